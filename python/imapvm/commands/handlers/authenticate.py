"""STARTTLS, AUTHENTICATE and LOGIN (RFC 9051 section 6.2), UNAUTHENTICATE (RFC 8437)."""

import logging
from base64 import b64encode
from collections.abc import Mapping
from time import monotonic
from typing import Final

from imapvm._core import Authenticate, Login, Malformed, SaslResponse, StartTls, Unauthenticate
from imapvm.auth.authenticator import LoginFailedError, TooManyLoginsError
from imapvm.auth.exchange import MECHANISMS, Challenge, Claim, Failure
from imapvm.auth.steps import claim
from imapvm.commands.context import Context
from imapvm.commands.handlers.anytime import offered
from imapvm.commands.outcome import DONE, NO_CODE, Disconnected, Done, Refusal

LOG: Final = logging.getLogger(__name__)

WRONG: Final = "wrong user name or password"
"""The same for an unknown user and for a wrong password (RFC 5530, AUTHENTICATIONFAILED)."""


def starttls(ctx: Context, _command: StartTls) -> Done:
    """Write OK in the clear; the handshake follows (RFC 9051 section 6.2.1).

    Bytes that arrived together with STARTTLS were not encrypted, and may come from an attacker:
    they are discarded.
    """
    if ctx.session.tls:
        raise Refusal("cannot STARTTLS: TLS is already in use", bad=True)
    if not ctx.channel.can_start_tls:
        raise Refusal("cannot STARTTLS: the server has no certificate", code="CANNOT")
    return Done(afterwards=ctx.start_tls)


async def login(ctx: Context, command: Login) -> Done:
    """Sign in with a name and a password (RFC 9051 section 6.2.3)."""
    _require_privacy(ctx)
    return await _sign_in(ctx, claim(command.user, command.password), "command")


async def authenticate(ctx: Context, command: Authenticate) -> Done:
    """Run a SASL exchange, with or without an initial response (RFC 4959)."""
    mechanism = MECHANISMS.get(command.mechanism)
    if mechanism is None:
        raise Refusal(f"unknown mechanism {command.mechanism}", code="CANNOT")
    if mechanism.shows_password:
        _require_privacy(ctx)
    step = mechanism.start(command.initial)
    while isinstance(step, Challenge):
        step = step.then(await _ask(ctx, step.data))
    return await _sign_in(ctx, step, mechanism.name)


def unauthenticate(ctx: Context, _command: Unauthenticate) -> Done:
    """Return to the state before login; TLS and the client's ID stay (RFC 8437 section 3).

    A selected mailbox is not expunged. Compression ends with the tagged OK.
    """
    LOG.info("logout", extra={**ctx.session.log_fields(), "reason": "UNAUTHENTICATE"})
    ctx.sign_out()
    ctx.out.set_translation(None)
    return Done(afterwards=ctx.stop_compression) if ctx.channel.is_compressed else DONE


def _require_privacy(ctx: Context) -> None:
    if not ctx.session.password_allowed:
        raise Refusal("cannot send a password without TLS", "PRIVACYREQUIRED")


async def _ask(ctx: Context, challenge: bytes) -> bytes:
    """Send a challenge; return the response, base64 decoded."""
    ctx.reader.expect_sasl()
    ctx.out.continuation(b64encode(challenge))
    match await ctx.next_event():
        case SaslResponse(data=None):
            # RFC 9051 section 6.2.2
            raise Refusal("AUTHENTICATE cancelled", NO_CODE, bad=True)
        case SaslResponse(data=bytes(data)):
            return data
        case Malformed() as malformed:
            raise Refusal(malformed.message, malformed.code, bad=not malformed.is_no)
        case other:
            raise AssertionError(f"{other!r} inside AUTHENTICATE")


async def _sign_in(ctx: Context, claimed: Claim | Failure, mechanism: str) -> Done:
    """Verify name and password; return the new capabilities (RFC 9051 section 7.1).

    Args:
        ctx: the connection.
        claimed: what the client sent.
        mechanism: for the log; "command" for LOGIN.
    """
    session = ctx.session
    how = {"mechanism": mechanism, "tls": ctx.channel.tls_version or "none"}
    if session.client is not None:
        how["client"] = session.client
    if isinstance(claimed, Failure):
        _log_refusal(ctx, how, claimed.text)
        raise Refusal(claimed.text, "AUTHENTICATIONFAILED")
    await ctx.flush()
    tried = {"user": claimed.name, **how}
    try:
        account = await ctx.verify_password(claimed.name, claimed.password)
    except TooManyLoginsError as error:
        _log_refusal(ctx, tried, "too many logins in progress")
        raise Refusal("too many logins in progress; try again later", "UNAVAILABLE") from error
    except LoginFailedError as error:
        _log_failure(ctx, tried, str(error))
        raise Refusal(WRONG, "AUTHENTICATIONFAILED") from error
    except Disconnected:
        _log_failure(ctx, tried, "client closed the connection")
        raise
    if claimed.acts_for_another:
        _log_failure(ctx, tried, "authorization identity is another user")
        raise Refusal("cannot act for another user", "AUTHORIZATIONFAILED")
    pool = ctx.services.pool
    login_epoch = pool.accounts.login_epoch(account.id, account.credential)
    if login_epoch is None:
        _log_failure(ctx, tried, "account was changed during the login")
        raise Refusal(WRONG, "AUTHENTICATIONFAILED")
    ctx.sign_in(pool.account(account), login_epoch)
    session.user = account.name
    LOG.info("login", extra=session.log_fields() | how)
    return Done(f"CAPABILITY {offered(ctx)}")


def _log_refusal(ctx: Context, tried: Mapping[str, object], reason: str) -> None:
    """Log a failure without a password check: one address can cause thousands in a second."""
    if (skipped := ctx.services.refused_logins.skipped(monotonic())) is not None:
        _log_failure(ctx, {**tried, "skipped": skipped}, reason)


def _log_failure(ctx: Context, tried: Mapping[str, object], reason: str) -> None:
    LOG.info("login failed", extra={**ctx.session.log_fields(), **tried, "reason": reason})
