"""CAPABILITY, NOOP, LOGOUT, ID: what may be said in any state (RFC 9051 section 6.1)."""

from collections.abc import Awaitable

from imapvm._core import Capability, Id, Logout, Noop, imap_string
from imapvm.commands.context import Context
from imapvm.commands.handlers.recent import claim_arrivals
from imapvm.commands.outcome import Done
from imapvm.session.capabilities import Facts, capabilities


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
