"""Carry out what a client said: the one place that announces and writes tagged answers."""

import logging
from collections.abc import Awaitable
from typing import Any, Final, cast

from imapvm._core import Append, CorruptError, Idle, LiteralWanted, Malformed
from imapvm.commands.context import Context
from imapvm.commands.outcome import Disconnected, Done, Hangup, Refusal
from imapvm.commands.table import Expunges, Row, row_of
from imapvm.commands.updates import announce, catch_up
from imapvm.filepool.errors import (
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
    SpecialUseError,
    StoreUnavailableError,
)
from imapvm.model.limits import ERRORS_BEFORE_LOGIN_MAX
from imapvm.session.events import Command, Event
from imapvm.session.states import State

LOG: Final = logging.getLogger("imapvm.commands")

CODES: Final[tuple[tuple[type[FilepoolError], str], ...]] = (
    (NoSuchMailboxError, "NONEXISTENT"),
    (MailboxExistsError, "ALREADYEXISTS"),
    (MailboxHasChildrenError, "HASCHILDREN"),
    (InvalidNameError, "CANNOT"),
    (LimitError, "LIMIT"),
    (StoreUnavailableError, "UNAVAILABLE"),
    (SpecialUseError, "USEATTR"),
    (BodyGoneError, "EXPUNGEISSUED"),
    (MessageGoneError, "EXPUNGEISSUED"),
)
"""What the filepool refuses, as RFC 5530 and RFC 9051 section 7.1 call it."""


def run(ctx: Context, event: Event) -> Awaitable[None] | None:
    """Carry out the next thing a client said; what is to be sent is in `ctx.out` afterwards.

    After it the session may be over: then send what is in `out` and close.

    Returns:
        What is to be awaited before anything else of this client is looked at, or None where it
        is already done: most commands need no task switch.

    Raises:
        Disconnected: here or from the awaitable: the client is gone.
    """
    if type(event) is LiteralWanted:
        ctx.out.continuation(b"go ahead")
        return None
    if type(event) is Malformed:
        return _malformed(ctx, event)
    command = cast("Command", event)  # the rest comes inside commands, to their handlers
    row = row_of(command)
    try:
        if ctx.session.state not in row.states:
            raise _out_of_place(ctx, command, row)
        if row.catches_up:
            catch_up(ctx)
        ended = row.handler(ctx, command)
        if type(ended) is Done:
            return _finish(ctx, row, command.tag, ended)
    except Exception as fault:
        return _fail(ctx, row, command.tag, fault)
    assert not isinstance(ended, Done)
    return _wait(ctx, row, command, ended)


async def _wait(ctx: Context, row: Row[Any], command: Command, ending: Awaitable[Done]) -> None:
    try:
        ended = await ending
    except Disconnected:
        raise
    except Exception as fault:
        more = _fail(ctx, row, command.tag, fault)
    else:
        more = _finish(ctx, row, command.tag, ended)
    if more is not None:
        await more


def _out_of_place(ctx: Context, command: Command, row: Row[Any]) -> Refusal:
    """Say why not in this state; what belongs to the command is not taken for the next one."""
    if isinstance(command, Append):
        ctx.reader.refuse_literal()
    elif isinstance(command, Idle):
        ctx.reader.refuse_idle()
    match ctx.session.state:
        case State.NOT_AUTHENTICATED:
            why = "sign in first"
        case State.AUTHENTICATED if State.SELECTED in row.states:
            why = "select a mailbox first"
        case State.SELECTED if State.AUTHENTICATED in row.states:
            why = "not while a mailbox is selected"
        case _:
            why = "you are already signed in"
    return Refusal(f"{row.name}: {why}", bad=True)


def _malformed(ctx: Context, fault: Malformed) -> Awaitable[None] | None:
    """Answer what is no command: BAD, or NO where only a bound was passed."""
    if fault.fatal:
        _hang_up(ctx, Hangup(fault.message))
        return None
    text = f"{fault.name}: {fault.message}" if fault.name else fault.message
    status = "NO" if fault.is_no else "BAD"
    if fault.tag is None:
        ctx.out.condition(status, text, fault.code)
    else:
        ctx.out.tagged(fault.tag, status, text, fault.code)
    _count_fault(ctx)
    return None


def _fail(ctx: Context, row: Row[Any], tag: bytes, fault: Exception) -> Awaitable[None] | None:
    """Answer a command that was not carried out, and log what is our own fault."""
    match fault:
        case Disconnected():
            raise fault
        case Hangup():
            _hang_up(ctx, fault)
            return None
        case Refusal():
            refusal = fault
        case NoSuchAccountError():
            _hang_up(ctx, Hangup("your account was deleted", "UNAVAILABLE"))
            return None
        case CorruptError() | CorruptDataError():
            LOG.error("%s: damaged data", row.name, exc_info=fault)
            refusal = Refusal("stored data is damaged; the operator has been told", "CORRUPTION")
        case FilepoolError():
            code = next((code for error, code in CODES if isinstance(fault, error)), None)
            refusal = Refusal(str(fault), code)
        case _:
            LOG.error("%s: internal error", row.name, exc_info=fault)
            refusal = Refusal("internal error; the operator has been told", "SERVERBUG")
    return _answer(ctx, row, tag, "BAD" if refusal.bad else "NO", refusal.text, refusal.code)


def _finish(ctx: Context, row: Row[Any], tag: bytes, done: Done) -> Awaitable[None] | None:
    more = _answer(ctx, row, tag, "OK", done.text, done.code)
    return more if done.afterwards is None else done.afterwards()


def _answer(
    ctx: Context, row: Row[Any], tag: bytes, status: str, text: str, code: str | None
) -> Awaitable[None] | None:
    """Write the announcements that are due, then the tagged line."""
    if _announce(ctx, row):
        return _answer_later(ctx, row, tag, status, text, code)
    _tagged(ctx, tag, status, text, code)
    return None


async def _answer_later(
    ctx: Context, row: Row[Any], tag: bytes, status: str, text: str, code: str | None
) -> None:
    """There is more to announce than may be held: send it before the rest."""
    await ctx.flush()
    while _announce(ctx, row):
        await ctx.flush()
    _tagged(ctx, tag, status, text, code)


def _announce(ctx: Context, row: Row[Any]) -> bool:
    if ctx.session.view is None or ctx.session.over or row.expunges is Expunges.NEW:
        return False
    try:
        return announce(ctx, hold_expunges=row.expunges is Expunges.HELD, uid=row.uid)
    except Hangup as reason:
        _hang_up(ctx, reason)
    except Exception as fault:
        # Without the announcements the client would count wrongly from here on: end it.
        LOG.error("announcing: internal error", exc_info=fault)
        _hang_up(ctx, Hangup("internal error; the operator has been told", "SERVERBUG"))
    return False


def _tagged(ctx: Context, tag: bytes, status: str, text: str, code: str | None) -> None:
    if ctx.session.broken_off:
        return  # the connection ended while the command was answered
    ctx.out.tagged(tag, status, text, code)
    if status != "OK":
        _count_fault(ctx)


def _hang_up(ctx: Context, reason: Hangup) -> None:
    ctx.out.condition("BYE", reason.text, reason.code)
    ctx.session.break_off()


def _count_fault(ctx: Context) -> None:
    """A stranger who cannot speak IMAP, or guesses passwords, is let go after a few tries."""
    session = ctx.session
    if session.state is State.NOT_AUTHENTICATED:
        session.faults += 1
        if session.faults > ERRORS_BEFORE_LOGIN_MAX:
            _hang_up(ctx, Hangup("too many errors before login"))
