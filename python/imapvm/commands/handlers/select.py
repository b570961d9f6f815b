"""SELECT, EXAMINE, CLOSE, UNSELECT, CHECK: which mailbox is open (RFC 9051 section 6.3.2 ff.)."""

from collections.abc import Awaitable
from typing import Final

from imapvm._core import (
    Check,
    Close,
    Select,
    UidMap,
    UidSet,
    Unselect,
)
from imapvm.commands.context import Context
from imapvm.commands.handlers.listing import list_line
from imapvm.commands.handlers.names import mailbox_id, tell_normalized, wanted_mailbox
from imapvm.commands.outcome import Done, Refusal
from imapvm.commands.updates import keyword_names
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import AccountStore, Mailbox
from imapvm.model.flags import SYSTEM_FLAG_NAMES, SystemFlag
from imapvm.model.names import canonical_name
from imapvm.session.view import View, flags_response

UID_LAST: Final = 4294967295


def select(ctx: Context, command: Select) -> Done | Awaitable[Done]:
    """Open a mailbox; where that fails, none is open (RFC 9051 section 6.3.2)."""
    if command.condstore or command.qresync is not None:
        raise Refusal("CONDSTORE and QRESYNC are not offered", bad=True)
    store = ctx.session.store
    assert store is not None
    leaving = claim_arrivals(ctx)
    if ctx.session.view is not None:
        ctx.session.view = None
        ctx.out.condition("OK", "the mailbox selected before is closed", "CLOSED")
    if leaving is not None:
        return _select_later(ctx, store, command, leaving)
    with store.reading() as reader:
        mailbox = wanted_mailbox(reader, command.mailbox)
        if _is_to_claim(ctx, command, mailbox):
            return _claim_and_open(ctx, store, command, mailbox)
        return _open(ctx, reader, command, mailbox, mailbox.recent_from)


async def _select_later(
    ctx: Context, store: AccountStore, command: Select, leaving: Awaitable[None]
) -> Done:
    await leaving
    with store.reading() as reader:
        mailbox = wanted_mailbox(reader, command.mailbox)
        if not _is_to_claim(ctx, command, mailbox):
            return _open(ctx, reader, command, mailbox, mailbox.recent_from)
    return await _claim_and_open(ctx, store, command, mailbox)


def _is_to_claim(ctx: Context, command: Select, mailbox: Mailbox) -> bool:
    r"""Whether messages become \Recent to this session, and to no later one."""
    return not command.read_only and not ctx.session.rev2 and mailbox.recent_from < mailbox.uid_next


async def _claim_and_open(
    ctx: Context, store: AccountStore, command: Select, mailbox: Mailbox
) -> Done:
    recent_from = await claim(store, mailbox)
    with store.reading() as reader:
        again = reader.mailbox_by_id(mailbox.id)
        if again is None:
            raise Refusal("there is no such mailbox", code="NONEXISTENT")
        return _open(ctx, reader, command, again, recent_from)


def _open(
    ctx: Context, reader: Reader, command: Select, mailbox: Mailbox, recent_from: int
) -> Done:
    """Write all that RFC 9051 section 6.3.2 asks for, and what RFC 3501 asked for besides."""
    out, session = ctx.out, ctx.session
    numbers = reader.uid_map(mailbox)
    keywords = keyword_names(reader, mailbox) if mailbox.keyword_sets else []
    recent = UidSet()
    before = b""
    if not session.rev2:
        if recent_from < mailbox.uid_next:
            recent = numbers.uids & UidSet([(recent_from, UID_LAST)])
        before = b"* %d RECENT\r\n" % len(recent)
        if mailbox.unseen:
            unseen = _first_unseen(reader, mailbox, numbers)
            before += b"* OK [UNSEEN %d] first unseen\r\n" % unseen
    kept = () if command.read_only else (*SYSTEM_FLAG_NAMES.values(), *keywords, r"\*")
    # One piece: each line by itself would cost as much as reading the mailbox.
    out.raw(
        b"* %b\r\n"
        b"* %d EXISTS\r\n"
        b"%b"
        b"* OK [PERMANENTFLAGS (%b)] these are kept\r\n"
        b"* OK [UIDVALIDITY %d] UIDs valid\r\n"
        b"* OK [UIDNEXT %d] predicted next UID\r\n"
        b"* OK [MAILBOXID (%b)] of this mailbox\r\n"
        % (
            flags_response(keywords),
            len(numbers),
            before,
            " ".join(kept).encode(),
            mailbox.uid_validity,
            mailbox.uid_next,
            mailbox_id(mailbox).encode(),
        )
    )
    if session.rev2:
        tell_normalized(ctx, command.mailbox, canonical_name(command.mailbox))
        list_line(ctx, reader, mailbox)
    session.view = View(
        mailbox.id,
        numbers=numbers,
        told=mailbox.highest_modseq,
        recent=recent,
        read_only=command.read_only,
        keywords=keywords,
        keyword_sets=mailbox.keyword_sets,
    )
    return Done("examined" if command.read_only else "selected", _access(command))


def _first_unseen(reader: Reader, mailbox: Mailbox, numbers: UidMap) -> int:
    r"""The number of the first message without \Seen; there is one."""
    unseen = reader.snapshot.first_with_flags(mailbox.id, SystemFlag.SEEN, 0)
    number = None if unseen is None else numbers.number(unseen)
    if number is None:
        raise AssertionError("the counter of unseen messages is wrong")
    return number


def _access(command: Select) -> str:
    return "READ-ONLY" if command.read_only else "READ-WRITE"


def close(ctx: Context, _command: Close) -> Done | Awaitable[Done]:
    r"""Expunge what is \Deleted without a word, and select nothing (RFC 9051 section 6.4.1)."""
    view, store = ctx.session.view, ctx.session.store
    assert view is not None
    assert store is not None
    claiming = claim_arrivals(ctx)
    with store.reading() as reader:
        mailbox = reader.mailbox_by_id(view.mailbox)
    if view.read_only or mailbox is None or (not mailbox.deleted and claiming is None):
        ctx.session.view = None
        return Done("closed")
    return _expunge_and_close(ctx, store, view, claiming)


async def _expunge_and_close(
    ctx: Context, store: AccountStore, view: View, claiming: Awaitable[None] | None
) -> Done:
    if claiming is not None:
        await claiming
    await store.expunge(view.mailbox, view.numbers.uids)
    ctx.session.view = None
    return Done("closed")


def unselect(ctx: Context, _command: Unselect) -> Done | Awaitable[Done]:
    """Select nothing, and expunge nothing (RFC 9051 section 6.4.2)."""
    claiming = claim_arrivals(ctx)
    ctx.session.view = None
    return Done("unselected") if claiming is None else _claimed(claiming)


async def _claimed(claiming: Awaitable[None]) -> Done:
    await claiming
    return Done("unselected")


def check(_ctx: Context, _command: Check) -> Done:
    """Nothing: what was answered is on disk already (RFC 3501 section 6.4.1)."""
    return Done("everything is kept")


def claim_arrivals(ctx: Context) -> Awaitable[None] | None:
    """Move the mark behind what this session saw arrive; None where there is nothing to move."""
    view, store = ctx.session.view, ctx.session.store
    if view is None or store is None or view.read_only or not view.saw_arrivals:
        return None
    with store.reading() as reader:
        mailbox = reader.mailbox_by_id(view.mailbox)
    if mailbox is None or mailbox.recent_from >= mailbox.uid_next:
        return None
    view.saw_arrivals = False
    return _claim_arrivals(store, mailbox)


async def _claim_arrivals(store: AccountStore, mailbox: Mailbox) -> None:
    await claim(store, mailbox)


async def claim(store: AccountStore, mailbox: Mailbox) -> int:
    r"""Move the mark behind the last message; return where it was, from which all is \Recent."""
    try:
        return await store.claim_recent(mailbox.id)
    except StoreUnavailableError:
        return mailbox.recent_from
