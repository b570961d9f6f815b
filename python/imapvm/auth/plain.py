"""The mechanisms that send the password as it is: PLAIN (RFC 4616) and LOGIN."""

from functools import partial

from imapvm.auth.steps import Challenge, Failure, Step, claim


def start_plain(initial: bytes | None) -> Step:
    """PLAIN: all of it in one message, in the command or behind an empty challenge."""
    return Challenge(b"", _plain) if initial is None else _plain(initial)


def _plain(message: bytes) -> Step:
    """Read `[authzid] NUL authcid NUL passwd`."""
    parts = message.split(b"\0")
    if len(parts) != 3:  # authzid, authcid, passwd
        return Failure("PLAIN wants authzid NUL authcid NUL password")
    acting, name, password = parts
    step = claim(name, password)
    # Nobody may act for somebody else. Names are compared in any case, as at login.
    if (
        acting
        and acting.decode(errors="replace").casefold() != name.decode(errors="replace").casefold()
    ):
        return Failure("the authorization identity must be empty or your own")
    return step


def start_login(initial: bytes | None) -> Step:
    """LOGIN (draft-murchison-sasl-login): name, then password, each behind a challenge.

    Obsolete since PLAIN, and still the only one that some mail programs have.
    """
    return Challenge(b"Username:", _name) if initial is None else _name(initial)


def _name(name: bytes) -> Step:
    return Challenge(b"Password:", partial(claim, name))
