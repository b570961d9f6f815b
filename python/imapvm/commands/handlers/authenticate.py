"""STARTTLS, AUTHENTICATE and LOGIN (RFC 9051 section 6.2)."""

from base64 import b64encode
from collections.abc import Awaitable
from typing import Final

from imapvm._core import Authenticate, Login, Malformed, SaslResponse, StartTls
from imapvm.auth.authenticator import TooManyLoginsError
from imapvm.auth.exchange import MECHANISMS, Challenge, Claim, Failure
from imapvm.auth.steps import claim
from imapvm.commands.context import Context
from imapvm.commands.handlers.anytime import offered
from imapvm.commands.outcome import Done, Refusal

WRONG: Final = "no such user with this password"
"""The same for an unknown user and for a wrong password (RFC 5530, AUTHENTICATIONFAILED)."""


def login(ctx: Context, command: Login) -> Awaitable[Done]:
    """Take name and password as they are (RFC 9051 section 6.2.3)."""
    _require_privacy(ctx)
    return _sign_in(ctx, claim(command.user, command.password))


async def authenticate(ctx: Context, command: Authenticate) -> Done:
    """SASL, with or without an initial response (RFC 4959)."""
    mechanism = MECHANISMS.get(command.mechanism)
    if mechanism is None:
        raise Refusal("there is no such mechanism here", code="CANNOT")
    if mechanism.shows_password:
        _require_privacy(ctx)
    step = mechanism.start(command.initial)
    while isinstance(step, Challenge):
        step = step.then(await _ask(ctx, step.data))
    return await _sign_in(ctx, step)


def _require_privacy(ctx: Context) -> None:
    if not ctx.session.password_allowed:
        raise Refusal("not without TLS: a password would be sent in the clear", "PRIVACYREQUIRED")


async def _ask(ctx: Context, challenge: bytes) -> bytes:
    """Send a challenge; return the response, base64 undone."""
    ctx.reader.expect_sasl()
    ctx.out.continuation(b64encode(challenge))
    match await ctx.next_event():
        case SaslResponse(data=None):
            raise Refusal("cancelled", bad=True)  # RFC 9051 section 6.2.2
        case SaslResponse(data=bytes(data)):
            return data
        case Malformed() as fault:
            raise Refusal(fault.message, fault.code, bad=not fault.is_no)
        case other:
            raise AssertionError(f"{other!r} inside AUTHENTICATE")


async def _sign_in(ctx: Context, claimed: Claim | Failure) -> Done:
    """Check name and password; the answer says what is offered now (RFC 9051 section 7.1)."""
    if isinstance(claimed, Failure):
        raise Refusal(claimed.text, "AUTHENTICATIONFAILED")
    await ctx.flush()
    services = ctx.services
    try:
        account = await services.authenticator.login(
            claimed.name, claimed.password, peer=ctx.session.peer
        )
    except TooManyLoginsError as busy:
        raise Refusal("too many logins in progress; try again later", "UNAVAILABLE") from busy
    if account is None:
        raise Refusal(WRONG, "AUTHENTICATIONFAILED")
    ctx.signed_in(services.pool.account(account))
    return Done("welcome", f"CAPABILITY {offered(ctx)}")


def starttls(ctx: Context, _command: StartTls) -> Done:
    """Answer OK in the clear, then shake hands.

    What the client sent behind STARTTLS without waiting for the OK was not encrypted, whoever
    wrote it: it is forgotten, never carried out.
    """
    if ctx.session.tls:
        raise Refusal("TLS is already in use", bad=True)
    if not ctx.channel.can_start_tls:
        raise Refusal("this server has no certificate", code="CANNOT")
    return Done("begin TLS now", afterwards=ctx.start_tls)
