"""Mechanisms that send the password in the clear: PLAIN (RFC 4616) and LOGIN."""

from dataclasses import replace
from functools import partial

from imapvm.auth.steps import Challenge, Claim, Failure, Step, claim


def start_plain(initial: bytes | None) -> Step:
    """Start PLAIN: one message, in the command or after an empty challenge."""
    return Challenge(b"", _plain) if initial is None else _plain(initial)


def _plain(message: bytes) -> Step:
    """Parse `[authzid] NUL authcid NUL passwd`."""
    parts = message.split(b"\0")
    if len(parts) != 3:  # authzid, authcid, passwd
        return Failure("PLAIN requires authzid NUL authcid NUL password")
    acting, name, password = parts
    step = claim(name, password)
    # Proxy authorization is not supported. Names are compared without case, as at login.
    if isinstance(step, Claim) and acting:
        another = acting.decode(errors="replace").casefold() != step.name.casefold()
        return replace(step, acts_for_another=another)
    return step


def start_login(initial: bytes | None) -> Step:
    """Start LOGIN (draft-murchison-sasl-login): name and password, each after a challenge.

    Obsolete since PLAIN; some mail programs support no other mechanism.
    """
    return Challenge(b"Username:", _name) if initial is None else _name(initial)


def _name(name: bytes) -> Step:
    return Challenge(b"Password:", partial(claim, name))
