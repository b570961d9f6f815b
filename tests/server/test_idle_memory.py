"""Promise 5 and 6: an idle session costs a few KiB, and hears at once of what was committed."""

import pytest
from bench.idle_memory import measure

pytestmark = pytest.mark.slow


def test_an_idle_session_takes_less_than_twelve_kib_and_is_told_at_once():
    report = measure(1000, 40, tls=False)
    assert report["octets_a_session"] < 12 * 1024
    assert report["octets_a_session_after_news"] < 12 * 1024
    assert report["news_to_one_ms"]["acknowledged"]["p50"] < 10


def test_an_idle_session_with_tls_takes_less_than_thirty_kib():
    assert measure(1000, 5, tls=True)["octets_a_session"] < 30 * 1024
