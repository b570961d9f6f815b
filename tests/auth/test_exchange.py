"""SASL exchanges: messages of PLAIN and LOGIN."""

import pytest

from imapvm.auth.exchange import MECHANISMS
from imapvm.auth.steps import Challenge, Claim, Failure, claim
from imapvm.model.limits import LOGIN_NAME_MAX, PASSWORD_MAX


def run(mechanism: str, *messages: bytes | None):
    """Return the challenges, and the final step."""
    initial, *responses = messages
    step, challenges = MECHANISMS[mechanism].start(initial), []
    for response in responses:
        assert isinstance(step, Challenge)
        challenges.append(step.data)
        step = step.then(response)
    return challenges, step


def test_plain_with_an_initial_response():
    assert run("PLAIN", b"\0tim\0tanstaaftanstaaf") == ([], Claim("tim", b"tanstaaftanstaaf"))


def test_plain_after_an_empty_challenge():
    assert run("PLAIN", None, b"\0tim\0secret") == ([b""], Claim("tim", b"secret"))


def test_plain_with_the_same_authorization_identity_in_any_case():
    assert run("PLAIN", b"Tim\0tim\0secret") == ([], Claim("tim", b"secret"))


def test_plain_with_another_authorization_identity_is_marked():
    claimed = run("PLAIN", b"Ursel\0Kurt\0xipj3plmq")[1]
    assert claimed == Claim("Kurt", b"xipj3plmq", acts_for_another=True)
    assert isinstance(run("PLAIN", b"Ursel\0\0xipj3plmq")[1], Failure)


@pytest.mark.parametrize(
    "message",
    [b"", b"tim", b"tim\0secret", b"\0tim\0sec\0ret", b"\0\0secret", b"\0tim\0", b"\0\xff\0secret",
     b"\0t\x01m\0secret", b"\0t\nm\0secret", "\0t\u202em\0x".encode()],
)  # fmt: skip
def test_plain_that_is_not_rfc_4616_is_refused(message):
    assert isinstance(run("PLAIN", message)[1], Failure)
    assert isinstance(run("PLAIN", None, message)[1], Failure)


def test_login_asks_for_the_name_and_then_for_the_password():
    assert run("LOGIN", None, b"tim", b"secret") == (
        [b"Username:", b"Password:"],
        Claim("tim", b"secret"),
    )


def test_login_takes_the_name_as_initial_response():
    assert run("LOGIN", b"tim", b"secret") == ([b"Password:"], Claim("tim", b"secret"))


@pytest.mark.at_limit("PASSWORD_MAX")
def test_login_accepts_a_name_and_a_password_at_their_limits():
    name, password = b"n" * LOGIN_NAME_MAX, b"p" * PASSWORD_MAX
    expected = Claim(name.decode(), password)
    assert run("LOGIN", None, name, password)[1] == run("LOGIN", name, password)[1] == expected


@pytest.mark.past_limit("PASSWORD_MAX")
@pytest.mark.parametrize(
    ("name", "password"),
    [(b"n" * (LOGIN_NAME_MAX + 1), b"p"), (b"n", b"p" * (PASSWORD_MAX + 1)), (b"n\0", b"p"),
     (b"n", b"p\0"), (b"\xff", b"p")],
)  # fmt: skip
def test_login_refuses_what_plain_refuses(name, password):
    assert isinstance(run("LOGIN", None, name, password)[1], Failure)
    assert isinstance(run("PLAIN", b"\0" + name + b"\0" + password)[1], Failure)


def test_login_without_a_name_or_password_is_refused():
    assert isinstance(run("LOGIN", b"", b"secret")[1], Failure)
    assert isinstance(run("LOGIN", b"tim", b"")[1], Failure)


def test_plain_and_login_are_marked_as_showing_the_password():
    assert {row.name for row in MECHANISMS.values() if row.shows_password} == {"PLAIN", "LOGIN"}


@pytest.mark.at_limit("LOGIN_NAME_MAX")
def test_name_may_be_as_long_as_the_limit():
    name = b"n" * LOGIN_NAME_MAX
    assert claim(name, b"p" * PASSWORD_MAX) == Claim(name.decode(), b"p" * PASSWORD_MAX)


@pytest.mark.past_limit("LOGIN_NAME_MAX")
def test_longer_name_or_password_is_refused():
    assert isinstance(claim(b"n" * (LOGIN_NAME_MAX + 1), b"p"), Failure)
    assert isinstance(claim(b"n", b"p" * (PASSWORD_MAX + 1)), Failure)


def test_names_may_be_any_utf_8():
    name = "J\u00f6rg \u65e5\u672c"
    assert claim(name.encode(), b"p") == Claim(name, b"p")


def test_claim_does_not_show_its_password():
    assert "hunter2" not in repr(Claim("tim", b"hunter2"))
    assert "tim" in repr(Claim("tim", b"hunter2"))
