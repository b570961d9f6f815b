r"""SELECT, EXAMINE, CLOSE, UNSELECT, CHECK (RFC 9051 section 6.3.2 ff.), and the owner of \Recent.

A message is \Recent in the first session that is notified of it (RFC 3501 section 2.3.2). The store
keeps a mark in each mailbox: messages from `recent_from` on are claimed by no session. A read-write
SELECT moves the mark at once. Messages that arrive while the mailbox is selected are \Recent in
that session too, and the mark is moved when it leaves: one commit per session instead of one per
message. If the disk is full the mark stays: reading mail matters more than \Recent.
"""

from typing import Final

from imapvm._core import Check, Close, Select, UidMap, UidSet, Unselect
from imapvm.commands.context import AccountContext, SelectedContext
from imapvm.commands.handlers.listing import write_list
from imapvm.commands.handlers.names import find_mailbox, mailbox_id, write_old_name
from imapvm.commands.handlers.store import expunge_deleted
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.commands.updates import keyword_names
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import AccountStore, Mailbox
from imapvm.model.flags import SystemFlag
from imapvm.model.ids import UID_MAX
from imapvm.model.names import canonical_name
from imapvm.session.view import View, flag_list

READ_ONLY: Final = Done("READ-ONLY")
READ_WRITE: Final = Done("READ-WRITE")


async def select(ctx: AccountContext, command: Select) -> Done:
    """Select a mailbox; if that fails, none is selected (RFC 9051 section 6.3.2)."""
    if command.condstore or command.qresync is not None:
        raise Refusal("unknown SELECT parameter: CONDSTORE and QRESYNC are not offered", bad=True)
    session, store = ctx.session, ctx.store
    view, session.view = session.view, None
    if view is not None:
        ctx.out.condition("OK", "previous mailbox closed", "CLOSED")
        if view.unclaimed_recent:
            await claim_arrivals(store, view)
    with store.reading() as reader:
        mailbox = find_mailbox(reader, command.mailbox)
        if command.read_only or session.rev2 or mailbox.recent_from >= mailbox.uid_next:
            return _open(ctx, reader, command, mailbox, mailbox.recent_from)
    recent_from = await _claim(store, mailbox)
    with store.reading() as reader:
        current = reader.mailbox_by_id(mailbox.id)
        if current is None:
            raise Refusal("mailbox does not exist", code="NONEXISTENT")
        return _open(ctx, reader, command, current, recent_from)


def _open(
    ctx: AccountContext, reader: Reader, command: Select, mailbox: Mailbox, recent_from: int
) -> Done:
    """Write the responses of RFC 9051 section 6.3.2, in IMAP4rev1 also those of RFC 3501."""
    out, session = ctx.out, ctx.session
    numbers = reader.uid_map(mailbox)
    keywords = keyword_names(reader, mailbox) if mailbox.keyword_sets else []
    recent = UidSet()
    rev1_lines = b""
    if not session.rev2:
        if recent_from < mailbox.uid_next:
            recent = numbers.uids & UidSet([(recent_from, UID_MAX)])
        rev1_lines = b"* %d RECENT\r\n" % len(recent)
        if mailbox.unseen:
            unseen = _first_unseen(reader, mailbox, numbers)
            rev1_lines += b"* OK [UNSEEN %d] first unseen message\r\n" % unseen
    flags = flag_list(keywords)
    # One piece: a call for each line would cost as much as reading the mailbox.
    out.raw(
        b"* FLAGS (%b)\r\n"
        b"* %d EXISTS\r\n"
        b"%b"
        b"* OK [PERMANENTFLAGS (%b)] flags permitted\r\n"
        b"* OK [UIDVALIDITY %d] UIDs valid\r\n"
        b"* OK [UIDNEXT %d] predicted next UID\r\n"
        b"* OK [MAILBOXID (%b)] mailbox id\r\n"
        % (
            flags,
            len(numbers),
            rev1_lines,
            b"" if command.read_only else flags + rb" \*",
            mailbox.uid_validity,
            mailbox.uid_next,
            mailbox_id(mailbox).encode(),
        )
    )
    if session.rev2:
        write_old_name(ctx, command.mailbox, canonical_name(command.mailbox))
        write_list(ctx, reader, mailbox)
    session.view = View(
        mailbox.id,
        numbers=numbers,
        known_modseq=mailbox.highest_modseq,
        recent=recent,
        read_only=command.read_only,
        keywords=keywords,
        keyword_sets=mailbox.keyword_sets,
    )
    return READ_ONLY if command.read_only else READ_WRITE


def _first_unseen(reader: Reader, mailbox: Mailbox, numbers: UidMap) -> int:
    r"""Return the number of the first message without \Seen, which exists."""
    unseen = reader.snapshot.first_with_flags(mailbox.id, SystemFlag.SEEN, 0)
    number = None if unseen is None else numbers.number(unseen)
    if number is None:
        raise AssertionError("the counter of unseen messages is wrong")
    return number


async def close(ctx: SelectedContext, _command: Close) -> Done:
    r"""Expunge messages with \Deleted without a response, and deselect (RFC 9051 section 6.4.1)."""
    view, store = ctx.view, ctx.store
    await claim_arrivals(store, view)
    if not view.read_only:
        await expunge_deleted(ctx, view.numbers.uids)
    ctx.session.view = None
    return DONE


async def unselect(ctx: SelectedContext, _command: Unselect) -> Done:
    """Deselect without expunging (RFC 9051 section 6.4.2)."""
    ctx.session.view = None
    await claim_arrivals(ctx.store, ctx.view)
    return DONE


def check(_ctx: SelectedContext, _command: Check) -> Done:
    """Do nothing: acknowledged changes are on disk already (RFC 3501 section 6.4.1)."""
    return DONE


async def claim_arrivals(store: AccountStore, view: View) -> None:
    r"""Claim as \Recent the messages that arrived while a mailbox was selected."""
    if view.read_only or not view.unclaimed_recent:
        return
    with store.reading() as reader:
        mailbox = reader.mailbox_by_id(view.mailbox)
    if mailbox is not None and mailbox.recent_from < mailbox.uid_next:
        view.unclaimed_recent = False
        await _claim(store, mailbox)


async def _claim(store: AccountStore, mailbox: Mailbox) -> int:
    r"""Claim all messages; return the UID from which on they were \Recent."""
    try:
        return await store.claim_recent(mailbox.id)
    except StoreUnavailableError:
        return mailbox.recent_from
