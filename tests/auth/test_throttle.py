"""Delays after login failures."""

import pytest
from tests.clock import Clock

from imapvm.auth.throttle import (
    FORGET_SECONDS,
    LONGEST_FOR_NAME_SECONDS,
    LONGEST_SECONDS,
    PAIR_FREE,
    SPREAD_FREE,
    Throttle,
)
from imapvm.model.limits import THROTTLE_ENTRIES_MAX


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def throttle(clock) -> Throttle:
    return Throttle(clock)


def test_no_delay_without_failures(throttle):
    assert throttle.delay("192.0.2.1", "fred") == 0
    throttle.succeeded("192.0.2.1", "fred")
    assert len(throttle) == 0


def test_each_failure_beyond_the_free_ones_doubles_the_delay_up_to_a_limit(throttle):
    delays = []
    for _ in range(PAIR_FREE + 7):
        throttle.failed("192.0.2.1", "fred")
        delays.append(throttle.delay("192.0.2.1", "fred"))
    assert delays == [0, 0, 1, 2, 4, 8, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]


def test_thousands_of_failures_do_not_overflow(throttle):
    for _ in range(5000):
        throttle.failed("192.0.2.1", "fred")
    assert throttle.delay("192.0.2.1", "fred") == LONGEST_SECONDS


def test_failures_do_not_delay_others(throttle):
    for _ in range(50):
        throttle.failed("192.0.2.1", "fred")
    assert throttle.delay("192.0.2.2", "fred") == 0
    assert throttle.delay("192.0.2.1", "wilma") == 0


def test_one_telephone_with_an_old_password_does_not_slow_its_office(throttle, clock):
    for _ in range(500):
        clock.now += 60
        throttle.failed("192.0.2.1", "fred")
        assert throttle.delay("192.0.2.1", "wilma") == 0


def test_peer_that_tries_many_names_is_delayed_with_each(throttle):
    for number in range(SPREAD_FREE):
        throttle.failed("192.0.2.1", f"user{number}")
    assert throttle.delay("192.0.2.1", "new") == 0
    throttle.failed("192.0.2.1", "one more")
    assert throttle.delay("192.0.2.1", "new") == 1
    assert throttle.delay("192.0.2.2", "new") == 0


def test_guesses_from_many_peers_are_delayed_and_the_owner_not_locked_out(throttle):
    for number in range(SPREAD_FREE + 100):
        throttle.failed(f"192.0.2.{number}", "fred")
    assert throttle.delay("198.51.100.1", "fred") == LONGEST_FOR_NAME_SECONDS
    assert throttle.delay("198.51.100.1", "wilma") == 0


def test_success_clears_the_failures_of_that_peer_with_that_name(throttle):
    for _ in range(10):
        throttle.failed("192.0.2.1", "fred")
    throttle.succeeded("192.0.2.1", "fred")
    assert throttle.delay("192.0.2.1", "fred") == 0
    assert len(throttle) == 0


def test_logins_of_one_account_do_not_clear_failures_with_others(throttle):
    for number in range(SPREAD_FREE + 5):
        throttle.failed("192.0.2.1", f"user{number}")
        throttle.succeeded("192.0.2.1", "mallory")
    assert throttle.delay("192.0.2.1", "new") == LONGEST_SECONDS


def test_failures_expire_after_a_while_and_not_before(throttle, clock):
    for _ in range(PAIR_FREE + 1):
        throttle.failed("192.0.2.1", "fred")
    clock.now += FORGET_SECONDS - 1
    assert throttle.delay("192.0.2.1", "fred") == 1
    clock.now += 1
    assert throttle.delay("192.0.2.1", "fred") == 0


@pytest.mark.at_limit("THROTTLE_ENTRIES_MAX")
def test_failures_are_counted_up_to_the_limit(throttle):
    for _ in range(PAIR_FREE + 1):
        throttle.failed("192.0.2.1", "fred")  # three entries
    number = 0
    while len(throttle) < THROTTLE_ENTRIES_MAX:
        throttle.failed("198.51.100.1", f"user{number}")
        number += 1
    assert throttle.delay("192.0.2.1", "fred") == 1


@pytest.mark.past_limit("THROTTLE_ENTRIES_MAX")
def test_one_more_failure_drops_the_oldest(throttle):
    for _ in range(PAIR_FREE + 1):
        throttle.failed("192.0.2.1", "fred")
    for number in range(THROTTLE_ENTRIES_MAX):
        throttle.failed("198.51.100.1", f"user{number}")
    assert len(throttle) == THROTTLE_ENTRIES_MAX
    assert throttle.delay("192.0.2.1", "fred") == 0
    assert throttle.delay("198.51.100.1", "x") == LONGEST_SECONDS
