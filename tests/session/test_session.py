"""States of a session, derived from its store and view (RFC 9051 section 3)."""

import pytest

from imapvm._core import UidMap, UidSet
from imapvm.model.ids import MailboxId, ModSeq
from imapvm.session.session import Session
from imapvm.session.states import State
from imapvm.session.view import View


def new(**more) -> Session[str]:
    return Session(**({"peer": "x", "tls": False, "plain_allowed": False} | more))


def view() -> View:
    return View(MailboxId(1), numbers=UidMap(UidSet.of([1, 2])), known_modseq=ModSeq(1))


def test_states_in_their_order():
    session = new()
    assert session.state is State.NOT_AUTHENTICATED
    session.store = "store"
    assert session.state is State.AUTHENTICATED
    session.view = view()
    assert session.state is State.SELECTED
    session.view = None
    assert session.state is State.AUTHENTICATED
    session.end()
    assert session.state is State.LOGOUT
    assert not session.aborted


def test_an_aborted_session_is_over():
    session = new()
    session.abort()
    assert session.over
    assert session.aborted


@pytest.mark.parametrize(
    ("tls", "plain_allowed", "allowed"),
    [(False, False, False), (True, False, True), (False, True, True)],
)
def test_a_password_is_allowed_over_tls_or_by_configuration(tls, plain_allowed, allowed):
    assert new(tls=tls, plain_allowed=plain_allowed).password_allowed is allowed


@pytest.mark.parametrize(
    ("enabled", "rev2", "utf8"),
    [(set(), False, False), ({"UTF8=ACCEPT"}, False, True), ({"IMAP4REV2"}, True, True)],
)
def test_enabled_capabilities_change_the_session(enabled, rev2, utf8):
    session = new()
    session.enabled |= enabled
    assert (session.rev2, session.utf8) == (rev2, utf8)


def test_the_saved_search_result_is_empty_after_select():
    """RFC 9051 section 6.4.4.1."""
    assert view().saved == UidSet()
