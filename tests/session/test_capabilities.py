"""The table of capabilities: what is said when, and that the documentation says the same."""

import re
from pathlib import Path

import pytest

from imapvm.session.capabilities import TABLE, Facts, capabilities, newly_enabled
from imapvm.session.states import State

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"
STRANGER = State.NOT_AUTHENTICATED


def told(state: State, *, can_start_tls: bool = False, password_allowed: bool = True) -> set[str]:
    facts = Facts(state=state, can_start_tls=can_start_tls, password_allowed=password_allowed)
    return set(capabilities(facts).split())


def test_the_document_has_the_same_rows():
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| (yes|no):", DOCUMENT.read_text(), re.MULTILINE)
    assert [(name, rfc.strip(), offered == "yes") for name, rfc, offered in rows] == [
        (row.name, row.rfc, row.when is not None) for row in TABLE
    ]


def test_each_row_says_when_or_why_not_and_no_name_stands_twice():
    assert len({row.name for row in TABLE}) == len(TABLE)
    for row in TABLE:
        assert (row.when is None) == bool(row.why_not), row.name


def test_both_revisions_are_always_said():
    for state in State:
        assert {"IMAP4rev1", "IMAP4rev2"} <= told(state)


def test_starttls_is_said_in_the_clear_only():
    """RFC 9051 section 6.2.1: and never again when TLS is there."""
    assert "STARTTLS" in told(STRANGER, can_start_tls=True, password_allowed=False)
    assert "STARTTLS" not in told(STRANGER)
    assert "STARTTLS" not in told(State.AUTHENTICATED, can_start_tls=True)


def test_a_password_is_asked_for_only_where_it_may_be_sent():
    """RFC 9051 section 6.2.3, RFC 8314 section 3."""
    closed = told(STRANGER, can_start_tls=True, password_allowed=False)
    assert "LOGINDISABLED" in closed
    assert "AUTH=PLAIN" not in closed
    opened = told(STRANGER)
    assert "LOGINDISABLED" not in opened
    assert "AUTH=PLAIN" in opened


@pytest.mark.parametrize("name", ["AUTH=PLAIN", "LOGINDISABLED", "SASL-IR", "STARTTLS"])
def test_after_login_nothing_is_said_of_signing_in(name):
    assert name not in told(State.AUTHENTICATED)


def test_no_space_hides_in_a_name_or_value():
    for row in TABLE:
        assert re.fullmatch(r"[^\s]+", row.name + row.value)


def test_enabling_passes_over_what_it_does_not_know_and_what_is_on():
    """RFC 5161 section 3.1."""
    asked = ("UTF8=ACCEPT", "CONDSTORE", "X-GOOD-IDEA", "IMAP4REV2", "UTF8=ACCEPT")
    assert newly_enabled(asked, ()) == ["UTF8=ACCEPT", "IMAP4REV2"]
    assert newly_enabled(asked, {"IMAP4REV2"}) == ["UTF8=ACCEPT"]
