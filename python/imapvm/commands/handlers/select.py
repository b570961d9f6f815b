r"""SELECT, EXAMINE, CLOSE, UNSELECT, CHECK (RFC 9051 section 6.3.2 ff.).

The store keeps a mark in each mailbox, `recent_from`: no session has claimed the messages from this
UID on as \Recent (RFC 3501 section 2.3.2). A read-write SELECT reads the mailbox, then moves the
mark to the UIDNEXT that it has read: a message that arrives in between is neither counted nor
claimed. Nothing is written if no message is unclaimed. If the disk is full the mark stays: reading
mail matters more than \Recent.
"""

from contextlib import suppress
from typing import Final, NamedTuple

from imapvm._core import Check, Close, Select, UidMap, UidSet, Unselect
from imapvm.commands.context import AccountContext, SelectedContext
from imapvm.commands.handlers.mailboxes.listing import write_list
from imapvm.commands.handlers.mailboxes.names import find_mailbox, mailbox_id, write_old_name
from imapvm.commands.handlers.resync import resynchronise
from imapvm.commands.handlers.store import expunge_deleted
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.filepool.errors import PermissionDeniedError, StoreUnavailableError
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import AccountStore, Mailbox
from imapvm.model.ids import UID_MAX
from imapvm.model.rights import ALL_RIGHTS, FLAG_RIGHTS, NO_RIGHTS, Rights
from imapvm.session.session import Session
from imapvm.session.view import NONE, View, flag_list, permanent_flags

READ_ONLY: Final = Done("READ-ONLY")
READ_WRITE: Final = Done("READ-WRITE")


class Opened(NamedTuple):
    """Mailbox as read for SELECT, in one transaction."""

    mailbox: Mailbox
    numbers: UidMap
    keywords: list[str]
    recent: UidSet
    r"""Messages that no session has claimed as \Recent; empty in IMAP4rev2, as `unseen` is 0."""
    unseen: int
    r"""Number of the first message without \Seen; 0 without one, or after ENABLE UIDONLY."""
    rights: Rights
    """Of the user."""
    changes_shown: bool
    """False for READ-ONLY: the user can make no change that others see."""


async def select(ctx: AccountContext, command: Select) -> Done:
    """Select a mailbox; if that fails, none is selected (RFC 9051 section 6.3.2).

    With QRESYNC, write the changes since the client's state (RFC 7162 section 3.2.5).
    """
    session = ctx.session
    if command.qresync is not None and not session.qresync:
        raise Refusal("cannot SELECT with QRESYNC before ENABLE QRESYNC", bad=True)
    if command.qresync is not None and session.uidonly and command.qresync[3] is not None:
        raise Refusal(
            "cannot SELECT with message sequence match data: UIDONLY is enabled",
            code="UIDREQUIRED",
            bad=True,
        )
    if session.view is not None:
        session.view = None
        ctx.write_closed("previous mailbox closed")
    if command.condstore:
        ctx.enable_condstore()
    rev2 = session.rev2
    store, name = ctx.locate(command.mailbox)
    with store.reading() as reader:
        opened = _read(reader, find_mailbox(ctx, reader, name), session)
        read_only = command.read_only or (
            opened.rights is not ALL_RIGHTS and not opened.rights & (FLAG_RIGHTS | Rights.EXPUNGE)
        )
        if rev2:
            _write(ctx, opened, read_only=read_only, rev2=True)
            write_old_name(ctx, command.mailbox, opened.mailbox.name)
            write_list(ctx, reader, opened.mailbox)
    if not rev2:
        if opened.recent and not read_only:
            opened = opened._replace(recent=await _claim(store, opened))
        _write(ctx, opened, read_only=read_only, rev2=False)
    session.shared = None if store.is_own else store
    session.view = View(
        opened.mailbox.id,
        numbers=opened.numbers,
        known_modseq=opened.mailbox.highest_modseq,
        recent=opened.recent,
        read_only=read_only,
        keywords=opened.keywords,
        keyword_sets=opened.mailbox.keyword_sets,
        rights=opened.rights,
        events=session.selected_events,
    )
    if command.qresync is not None:
        try:
            await resynchronise(
                SelectedContext(ctx), command.qresync, uid_validity=opened.mailbox.uid_validity
            )
        except BaseException:
            session.view = None
            raise
    return READ_ONLY if command.read_only or not opened.changes_shown else READ_WRITE


def _read(reader: Reader, mailbox: Mailbox, session: Session[AccountStore]) -> Opened:
    numbers = reader.uid_map(mailbox)
    keywords = reader.keywords(mailbox)
    recent, unseen = NONE, 0
    if not session.rev2:
        if mailbox.recent_from < mailbox.uid_next:
            recent = numbers.uids & UidSet([(mailbox.recent_from, UID_MAX)])
        if not session.uidonly:
            first = reader.first_unseen(mailbox)
            unseen = 0 if first is None else numbers.number(first) or 0
    rights = reader.rights(mailbox.id)
    return Opened(
        mailbox,
        numbers,
        keywords,
        recent,
        unseen,
        rights,
        rights is ALL_RIGHTS or _changes_shown(reader, mailbox, rights),
    )


def _changes_shown(reader: Reader, mailbox: Mailbox, rights: Rights) -> bool:
    """Return True if the user can make changes that others see (RFC 4314 section 5.2)."""
    seen = Rights.SEEN if reader.private_seen(mailbox) is None else NO_RIGHTS
    return bool(
        rights & (Rights.INSERT | Rights.EXPUNGE | Rights.WRITE | Rights.DELETE_MESSAGES | seen)
    )


async def _claim(store: AccountStore, opened: Opened) -> UidSet:
    r"""Claim the messages that EXISTS will count; return those that are \Recent here."""
    last = opened.mailbox.uid_next - 1
    try:
        recent_from = await store.claim_recent(opened.mailbox.id, last)
    except StoreUnavailableError:
        return opened.recent
    return opened.recent - UidSet([(1, recent_from - 1)]) if recent_from > 1 else opened.recent


def _write(ctx: AccountContext, opened: Opened, *, read_only: bool, rev2: bool) -> None:
    """Write the responses of RFC 9051 section 6.3.2, in IMAP4rev1 also those of RFC 3501."""
    mailbox = opened.mailbox
    rev1_lines = b""
    if not rev2:
        rev1_lines = b"* %d RECENT\r\n" % len(opened.recent)
        if opened.unseen:
            rev1_lines += b"* OK [UNSEEN %d] first unseen message\r\n" % opened.unseen
    flags = flag_list(opened.keywords)
    permanent = b"" if read_only else flags + rb" \*"
    if opened.rights is not ALL_RIGHTS:
        permanent = permanent_flags(opened.rights, opened.keywords, read_only=read_only)
    session = ctx.session
    disabled = session.disabled.names
    optional = b""
    if session.condstore or "CONDSTORE" not in disabled:
        optional = b"* OK [HIGHESTMODSEQ %d] highest mod-sequence\r\n" % mailbox.highest_modseq
    if "OBJECTID" not in disabled:
        optional += b"* OK [MAILBOXID (%b)] mailbox id\r\n" % mailbox_id(mailbox).encode()
    # One piece: a call for each line would cost as much as reading the mailbox.
    lines = (
        b"* FLAGS (%b)\r\n"
        b"* %d EXISTS\r\n"
        b"%b"
        b"* OK [PERMANENTFLAGS (%b)] flags permitted\r\n"
        b"* OK [UIDVALIDITY %d] UIDs valid\r\n"
        b"* OK [UIDNEXT %d] predicted next UID\r\n"
        b"%b"
        % (
            flags,
            len(opened.numbers),
            rev1_lines,
            permanent,
            mailbox.uid_validity,
            mailbox.uid_next,
            optional,
        )
    )
    language = session.language
    ctx.out.raw(lines if language.is_english else language.translate_lines(lines))


async def close(ctx: SelectedContext, _command: Close) -> Done:
    r"""Expunge messages with \Deleted without a response, and deselect (RFC 9051 section 6.4.1)."""
    view = ctx.view
    if not view.read_only:
        with suppress(PermissionDeniedError):  # RFC 4314 section 4, CLOSE
            await expunge_deleted(ctx, view.numbers.uids)
    ctx.session.view = None
    return DONE


def unselect(ctx: SelectedContext, _command: Unselect) -> Done:
    """Deselect without expunging (RFC 9051 section 6.4.2)."""
    ctx.session.view = None
    return DONE


def check(_ctx: SelectedContext, _command: Check) -> Done:
    """Do nothing: acknowledged changes are on disk already (RFC 3501 section 6.4.1)."""
    return DONE
