"""Dispatch: run the handler of a command, then write updates and the tagged response.

No other module writes a tagged response. A handler is called in the reactor's callback and mostly
ends there; one that waits is continued by the connection's task (`imapvm.model.stepping`):

    run --handler returns----------------+
     |                                   v
     +--handler suspends--> _finish --> _respond: updates, then the tagged response
                               ^         |
                               +--flush, yield as long as there are more updates than one call
                               |  writes
                               +--claim once, if EXISTS counted messages that may be recent
"""

import logging
from typing import Any, Final, NamedTuple, cast

from imapvm._core import Append, CorruptError, Idle, LiteralWanted, Malformed, Notify, Replace
from imapvm.commands.context import Context
from imapvm.commands.message_limit import LIMITED
from imapvm.commands.outcome import (
    CLIENT_BUG,
    DONE_WITH_NUMBERS,
    Disconnected,
    Done,
    Hangup,
    Refusal,
)
from imapvm.commands.table import CommandRow, Updates, row_of
from imapvm.commands.updates import claim_recent, write_updates
from imapvm.filepool.errors import (
    AnnotationTooLargeError,
    BodyGoneError,
    CorruptDataError,
    FilepoolError,
    InvalidNameError,
    LimitError,
    MailboxExistsError,
    MailboxHasChildrenError,
    MessageGoneError,
    NoSuchAccountError,
    NoSuchMailboxError,
    OverQuotaError,
    PermissionDeniedError,
    SpecialUseError,
    StagedExpiredError,
    StoreUnavailableError,
    TooManyAnnotationsError,
    UnknownGrantError,
)
from imapvm.model.limits import ANNOTATION_MAX, ERRORS_BEFORE_LOGIN_MAX
from imapvm.model.stepping import Suspended, start
from imapvm.session.events import Command, Event
from imapvm.session.interest import NOTHING, Interest, SelectedEvents
from imapvm.session.states import State
from imapvm.session.view import View

LOG: Final = logging.getLogger("imapvm.commands")

INTERNAL_ERROR: Final = "internal error; see the server's log"

CODES: Final[tuple[tuple[type[FilepoolError], str], ...]] = (
    (NoSuchMailboxError, "NONEXISTENT"),
    (PermissionDeniedError, "NOPERM"),
    (UnknownGrantError, "CANNOT"),
    (MailboxExistsError, "ALREADYEXISTS"),
    (MailboxHasChildrenError, "HASCHILDREN"),
    (InvalidNameError, "CANNOT"),
    (LimitError, "LIMIT"),
    (OverQuotaError, "OVERQUOTA"),
    (StoreUnavailableError, "UNAVAILABLE"),
    (SpecialUseError, "USEATTR"),
    (AnnotationTooLargeError, f"METADATA MAXSIZE {ANNOTATION_MAX}"),
    (TooManyAnnotationsError, "METADATA TOOMANY"),
    (BodyGoneError, "EXPUNGEISSUED"),
    (StagedExpiredError, "LIMIT"),
    (MessageGoneError, "EXPUNGEISSUED"),
)
"""Response codes for the filepool's errors (RFC 5530, RFC 9051 section 7.1)."""


class Failed(NamedTuple):
    """Tagged NO or BAD. A value: an exception would keep the frames it passed through."""

    status: str
    text: str
    code: str | None


def run(ctx: Context, event: Event) -> Suspended[None] | None:
    """Run the next event of a client; the responses are in `ctx.out` afterwards.

    If the session is over afterwards, send what is in `out` and close.

    Returns:
        None if the event is done, as most are. Else await it before the next event.

    Raises:
        Disconnected: here or from the awaitable: the connection is closed.
    """
    if type(event) is LiteralWanted:
        ctx.out.prompt("ready for literal")
        return None
    if type(event) is Malformed:
        _refuse_malformed(ctx, event)
        return None
    command = cast("Command", event)  # handlers read the other events, inside commands
    row = row_of(command)
    ended: Done | Failed | Suspended[Done]
    try:
        if ctx.session.state not in row.states:
            raise _wrong_state(ctx, command, row)
        if row.numbers and ctx.session.uidonly:
            raise Refusal(
                f"cannot {row.name}: UIDONLY is enabled; use UID {row.name}",
                code="UIDREQUIRED",
                bad=True,
            )
        result = row.handler(ctx if row.enter is None else row.enter(ctx), command)
        ended = result if type(result) is Done else start(result)
    except Disconnected:
        raise
    except Exception as error:
        ended = _failed(ctx, row, error)
    # Most commands end here, without a coroutine of dispatch's own: 0.3 us, 15 % of a NOOP.
    if type(ended) is Done and ended.afterwards is None and _respond(ctx, row, command.tag, ended):
        return None
    finish = _finish(ctx, row, command.tag, ended)
    return Suspended(finish, ended) if isinstance(ended, Suspended) else start(finish)


async def _finish(
    ctx: Context,
    row: CommandRow[Any, Any],
    tag: bytes,
    ended: Done | Failed | Suspended[Done],
) -> None:
    """Wait for a handler that has suspended; write all updates and the tagged response."""
    if isinstance(ended, Suspended):
        try:
            ended = await ended
        except Disconnected:
            raise
        except Exception as error:
            ended = _failed(ctx, row, error)
    claimed = False
    while not _respond(ctx, row, tag, ended, hold_exists=claimed):
        if await claim_recent(ctx.session):
            claimed = True
        else:
            await ctx.flush()
            await ctx.yield_control()
    if isinstance(ended, Done) and ended.afterwards is not None:
        await ended.afterwards()


def _respond(
    ctx: Context,
    row: CommandRow[Any, Any],
    tag: bytes,
    ended: Done | Failed,
    *,
    hold_exists: bool = False,
) -> bool:
    """Write the updates that are due, then the tagged response.

    Returns:
        False if more is due than one call writes: claim, or flush and let others run; call again.
    """
    session = ctx.session
    if (
        (session.view is not None or session.annotations is not None or session.watch is not None)
        and row.updates is not Updates.NONE
        and not session.over
    ):
        try:
            more = write_updates(
                session,
                ctx.out,
                hold_expunges=row.updates is Updates.HOLD_EXPUNGES or ended is DONE_WITH_NUMBERS,
                uid=row.uid,
                hold_exists=hold_exists,
                events=None if session.interest is None else _events(row, session.interest),
            )
            if more or (session.view is not None and session.view.undecided):
                return False
        except Hangup as reason:
            _hang_up(ctx, reason)
        except Exception:
            # Without the updates the client would count wrongly from here on.
            LOG.exception(
                "internal error in updates", extra={**ctx.session.log_fields(), "command": row.name}
            )
            _hang_up(ctx, Hangup(INTERNAL_ERROR, "SERVERBUG"))
    if session.aborted:
        return True  # a command that ends with BYE gets no tagged response
    code = ended.code
    if session.condstore and session.view is not None:
        code = _with_highest_modseq(ctx, session.view, ended)
    if (
        (code is None or code.startswith("MESSAGELIMIT "))
        and type(ended) is Done
        and (row.updates is Updates.HOLD_EXPUNGES or ended is DONE_WITH_NUMBERS)
        and session.view is not None
        and session.view.expunged
        and session.view.events.expunges
    ):
        if code is not None:
            ctx.out.condition("NO", LIMITED, code)  # RFC 9738 section 3.1
        code = "EXPUNGEISSUED"  # held back; the client may send NOOP (RFC 5530)
    if type(ended) is Done:
        ctx.out.tagged(tag, "OK", row.completed, code)
    else:
        ctx.out.tagged(tag, ended.status, ended.text, code)
        _count_error(ctx)
    return True


def _events(row: CommandRow[Any, Any], interest: Interest) -> SelectedEvents:
    """Return the updates that end a command of a client that uses NOTIFY.

    NOTIFY SET is also a NOOP, which sends all that is due (RFC 5465 section 3.1). The expunges of
    EXPUNGE, MOVE and REPLACE are their own responses.
    """
    events = interest.selected
    if row.command is Notify and interest is not NOTHING:
        return SelectedEvents(items=events.items)
    return events._replace(expunges=True) if row.expunges else events


def _with_highest_modseq(ctx: Context, view: View, ended: Done | Failed) -> str | None:
    """Return the code of the tagged response: HIGHESTMODSEQ if it is due, and there is no other.

    Beside another code, and after a failure, write it in an untagged OK.
    """
    modseq = view.take_highest_modseq()
    if modseq is None:
        return ended.code
    code = f"HIGHESTMODSEQ {modseq}"
    if type(ended) is Done and ended.code is None:
        return code
    ctx.out.condition("OK", "highest mod-sequence", code)
    return ended.code


def _failed(ctx: Context, row: CommandRow[Any, Any], error: Exception) -> Failed:
    """Return the response to a command that failed; log errors of the server and of its disk.

    A response that is not written to its end is removed; if its start has been sent, the connection
    closes without another byte, which the client would read as a part of that response.
    """
    if not ctx.out.discard_unfinished():
        LOG.error(
            "response cut off",
            exc_info=error,
            extra={**ctx.session.log_fields(), "command": row.name},
        )
        ctx.session.abort()
        return Failed("NO", INTERNAL_ERROR, None)
    match error:
        case Hangup():
            _hang_up(ctx, error)
            return Failed("NO", error.text, error.code)
        case Refusal():
            return Failed("BAD" if error.bad else "NO", error.text, error.code)
        case NoSuchAccountError():
            _hang_up(ctx, Hangup("account was deleted", "CONTACTADMIN"))
            return Failed("NO", "account was deleted", "CONTACTADMIN")
        case CorruptError() | CorruptDataError():
            LOG.error(
                "corrupt data",
                exc_info=error,
                extra={**ctx.session.log_fields(), "command": row.name},
            )
            return Failed("NO", "stored data is corrupt; see the server's log", "CORRUPTION")
        case FilepoolError():
            code = next((code for kind, code in CODES if isinstance(error, kind)), None)
            return Failed("NO", str(error), code)
        case _:
            LOG.error(
                "internal error",
                exc_info=error,
                extra={**ctx.session.log_fields(), "command": row.name},
            )
            return Failed("NO", INTERNAL_ERROR, "SERVERBUG")


def _wrong_state(ctx: Context, command: Command, row: CommandRow[Any, Any]) -> Refusal:
    """Return the BAD for a command that is not allowed in this state; skip what belongs to it."""
    if isinstance(command, Append | Replace):
        ctx.reader.refuse_literal()
    elif isinstance(command, Idle):
        ctx.reader.refuse_idle()
    match ctx.session.state:
        case State.NOT_AUTHENTICATED:
            reason = "not authenticated"
        case State.AUTHENTICATED if State.SELECTED in row.states:
            reason = "no mailbox is selected"
        case State.SELECTED if State.AUTHENTICATED in row.states:
            reason = "a mailbox is selected"
        case _:
            reason = "already authenticated"
    return Refusal(f"cannot {row.name}: {reason}", bad=True)


def _refuse_malformed(ctx: Context, malformed: Malformed) -> None:
    """Answer what is no command with BAD, or with NO if it is only over a limit."""
    if malformed.fatal:
        _hang_up(ctx, Hangup(malformed.message))
        return
    text = f"{malformed.name}: {malformed.message}" if malformed.name else malformed.message
    status = "NO" if malformed.is_no else "BAD"
    if malformed.tag is None:
        ctx.out.condition(status, text, malformed.code)
    else:
        code = malformed.code if malformed.is_no else malformed.code or CLIENT_BUG
        ctx.out.tagged(malformed.tag, status, text, code)
    _count_error(ctx)


def _hang_up(ctx: Context, reason: Hangup) -> None:
    ctx.out.condition("BYE", reason.text, reason.code)
    ctx.session.abort()


def _count_error(ctx: Context) -> None:
    """Count errors before login; too many of them end the connection."""
    session = ctx.session
    if session.state is State.NOT_AUTHENTICATED:
        session.errors += 1
        if session.errors > ERRORS_BEFORE_LOGIN_MAX:
            _hang_up(ctx, Hangup("too many errors before login"))
