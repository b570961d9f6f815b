"""CAPABILITY, NOOP, LOGOUT, ID, ENABLE, IDLE: commands of several states."""

from collections.abc import Awaitable

from imapvm._core import (
    Capability,
    Enable,
    Id,
    Idle,
    IdleDone,
    Logout,
    Malformed,
    Noop,
    imap_string,
)
from imapvm.commands.context import Context
from imapvm.commands.handlers.select import claim_arrivals
from imapvm.commands.outcome import Done, Refusal
from imapvm.session.capabilities import ENABLEABLE, Facts, capabilities, newly_enabled


def offered(ctx: Context) -> str:
    """What CAPABILITY says to this client now."""
    session = ctx.session
    return capabilities(
        Facts(
            state=session.state,
            can_start_tls=ctx.channel.can_start_tls,
            password_allowed=session.password_allowed,
        )
    )


def capability(ctx: Context, _command: Capability) -> Done:
    """Say what is offered now: it changes with TLS and with login (RFC 9051 section 6.1.1)."""
    ctx.out.untagged(f"CAPABILITY {offered(ctx)}".encode())
    return Done("these")


def noop(_ctx: Context, _command: Noop) -> Done:
    """Nothing, which lets the announcements be made (RFC 9051 section 6.1.2)."""
    return Done("nothing done")


def logout(ctx: Context, _command: Logout) -> Done | Awaitable[Done]:
    """BYE, then the tagged OK; whoever runs the session closes (RFC 9051 section 6.1.3)."""
    claiming = claim_arrivals(ctx)
    return _end(ctx) if claiming is None else _claim_and_end(ctx, claiming)


async def _claim_and_end(ctx: Context, claiming: Awaitable[None]) -> Done:
    await claiming
    return _end(ctx)


def _end(ctx: Context) -> Done:
    ctx.out.condition("BYE", "logging out")
    ctx.session.end()
    return Done("good bye")


def identify(ctx: Context, _command: Id) -> Done:
    """Say who we are. What the client says of itself changes nothing (RFC 2971 section 3.1)."""
    version = imap_string(ctx.services.version.encode())
    ctx.out.untagged(b'ID ("name" "imapvm" "version" %b)' % version)
    return Done("pleased to meet you")


def enable(ctx: Context, command: Enable) -> Done:
    """Turn on what is known and was not on; say what that was."""
    session = ctx.session
    names = newly_enabled(command.names, session.enabled)
    session.enabled.update(names)
    ctx.reader.utf8 = session.utf8
    ctx.out.untagged(" ".join(["ENABLED", *(ENABLEABLE[name] for name in names)]).encode())
    return Done("enabled")


async def idle(ctx: Context, _command: Idle) -> Done:
    """Tell news as it comes, until DONE.

    Also with no mailbox selected: then there is no news, and the connection stays.
    """
    ctx.out.continuation(b"idling")
    await ctx.flush()
    match await ctx.idle():
        case IdleDone():
            return Done("no longer idle")
        case Malformed() as fault:
            raise Refusal(f"DONE ends IDLE: {fault.message}", fault.code, bad=True)
        case other:
            raise AssertionError(f"{other!r} inside IDLE")
