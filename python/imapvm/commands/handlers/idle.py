"""IDLE (RFC 2177, RFC 9051 section 6.3.13)."""

from imapvm._core import Idle, IdleDone, Malformed
from imapvm.commands.context import Context
from imapvm.commands.outcome import Done, Refusal


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
