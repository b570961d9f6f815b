r"""Updates: changes in the store, written as untagged responses.

Of the selected mailbox here; of annotations in `imapvm.commands.annotations`, of other mailboxes in
`imapvm.commands.notifications`.

Messages that EXISTS counted are claimed as \Recent before the rest of the updates is written; see
`imapvm.session.view`.
"""

from collections.abc import Collection, Mapping
from typing import Final

from imapvm._core import (
    BoundSearch,
    FetchItems,
    FetchStream,
    ResponseWriter,
    SearchProgram,
    SearchTask,
    SortedMessages,
    UidMap,
    UidSet,
    UndecidedMessages,
)
from imapvm.commands.annotations import write_changed_annotations
from imapvm.commands.notifications import write_notifications
from imapvm.commands.outcome import Hangup
from imapvm.filepool.errors import FilepoolError
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import AccountStore, Mailbox
from imapvm.model.changes import MailboxChanges
from imapvm.model.ids import ModSeq
from imapvm.session.interest import SelectedEvents
from imapvm.session.live_results import CountedMessages
from imapvm.session.session import Session
from imapvm.session.view import NONE, View, permanent_flags

NEW_MESSAGES_BYTES: Final = 64 * 1024
"""FETCH responses for new messages (RFC 5465 section 5.2) that are written between two sends."""


class MailboxSource:
    """One mailbox in one read transaction: the `imapvm.session.view.Source` of the filepool."""

    __slots__ = ("keyword_sets", "mailbox", "modseq", "reader", "recent_from", "store")

    def __init__(self, store: AccountStore, reader: Reader, mailbox: Mailbox) -> None:
        self.store = store
        self.reader = reader
        self.mailbox = mailbox
        self.modseq = mailbox.highest_modseq
        self.keyword_sets = mailbox.keyword_sets
        self.recent_from = mailbox.recent_from

    def changes(self, since: ModSeq) -> MailboxChanges:
        return self.reader.changes(self.mailbox, since)

    def uid_map(self) -> UidMap:
        return self.reader.uid_map(self.mailbox)

    def modified(self, since: ModSeq) -> UidSet:
        return self.reader.snapshot.modified(self.mailbox.id, since)

    def segments(self, uids: UidSet) -> list[bytes]:
        return self.reader.segments(self.mailbox, uids)

    def keyword_text(self, sets: Collection[int]) -> Mapping[int, bytes]:
        return self.reader.keyword_text(self.mailbox, sets)

    def keyword_names(self) -> list[str]:
        return self.reader.keywords(self.mailbox)

    def fetch(
        self,
        out: ResponseWriter,
        items: FetchItems,
        numbers: UidMap,
        wanted: UidSet,
        *,
        recent: UidSet | None,
    ) -> tuple[UidSet, FetchStream | None]:
        later, _, stream = self.reader.fetch(
            out,
            self.mailbox,
            items,
            numbers,
            wanted,
            recent=recent,
            flags_too=None,
            max_bytes=NEW_MESSAGES_BYTES,
        )
        return later, stream

    # --- SearchSource ---

    def bind(self, program: SearchProgram, messages: CountedMessages) -> BoundSearch:
        reader, sets = self.reader, self.keyword_sets
        return program.bind(
            numbers=messages.numbers,
            saved=NONE,  # `$` is replaced by UIDs
            recent=messages.recent,
            keywords=(reader.snapshot, self.mailbox.id, sets) if sets else None,
            now=int(messages.now),
            seen=reader.private_seen(self.mailbox),
            id_bits=reader.id_bits,
        )

    def scan(self, bound: BoundSearch, uids: UidSet) -> tuple[UidSet, UndecidedMessages]:
        return bound.scan(self.reader.snapshot, self.mailbox.id, uids, self.store.columns)

    def search(self, task: SearchTask, max_bytes: int) -> bool:
        return task.step(self.reader.snapshot, max_bytes)

    def insert(
        self, order: SortedMessages, uids: UidSet, numbers: UidMap | None, max_bytes: int
    ) -> tuple[bytes, UidSet]:
        columns = self.store.key_columns
        return order.insert(
            self.reader.snapshot, self.mailbox.id, uids, columns, numbers, max_bytes
        )


def write_updates(
    session: Session[AccountStore],
    out: ResponseWriter,
    *,
    hold_expunges: bool,
    uid: bool,
    hold_exists: bool = False,
    events: SelectedEvents | None = None,
) -> bool:
    """Write changes that the client has not been sent: of its mailbox, and those that it watches.

    If the view has messages in `undecided` afterwards, the rest waits for a claim.

    Args:
        session: with or without a selected mailbox.
        out: gets the responses.
        hold_expunges: True while FETCH, STORE or SEARCH runs (RFC 9051 section 7.5.1).
        uid: True during UID commands (RFC 9051 section 6.4.9).
        hold_exists: True to leave new messages due.
        events: updates of the selected mailbox that the client gets; None: those of NOTIFY.

    Returns:
        True if more is due than one call writes: flush, and call again.

    Raises:
        Hangup: the mailbox was deleted, so the session cannot continue.
    """
    view, store = session.view, session.shared or session.store
    more = False
    if (
        view is not None
        and view.stream is not None
        and store is not None
        and not _continue_stream(store, view, view.stream, out)
    ):
        return True  # only its remainder may follow
    if session.annotations is not None and session.store is not None:
        more = write_changed_annotations(session, out, session.store, session.annotations)
    if session.watch is not None and session.watch.has_due and session.store is not None:
        more |= write_notifications(session, out, session.store, session.watch)
    if view is None or store is None:
        return more
    if view.synced == store.latest_txn_id() and not (view.live is not None and view.live.ages):
        return more
    with store.reading() as reader:
        source = _source(store, reader, view)
        if session.shared is not None:
            _write_rights(reader, source.mailbox, view, out)
        more |= view.write_updates(
            out,
            source,
            session.update_form,
            hold_expunges=hold_expunges,
            uid=uid,
            hold_exists=hold_exists,
            events=events,
        )
        view.synced = None if view.has_due else reader.txn_id
    return more


def _continue_stream(
    store: AccountStore, view: View, stream: FetchStream, out: ResponseWriter
) -> bool:
    """Write more of a FETCH response that was begun; return True when it is complete."""
    with store.reading() as reader:
        if not reader.write(stream, out, NEW_MESSAGES_BYTES):
            return False
    view.stream = None
    return True


def write_held_modseq(session: Session[AccountStore], out: ResponseWriter) -> None:
    """Write HIGHESTMODSEQ if changes are held back whose MODSEQ is less (RFC 7162 section 3.2).

    FETCH responses may have a higher one, from which a client would resume after a lost connection.
    At the end of a command dispatch writes it.
    """
    view = session.view
    if (
        session.condstore
        and view is not None
        and view.stream is None
        and view.highest_modseq < view.known_modseq
    ):
        code = f"HIGHESTMODSEQ {view.highest_modseq}"
        out.condition("OK", "highest mod-sequence", code)


async def claim_recent(session: Session[AccountStore]) -> bool:
    r"""Claim as \Recent the messages that EXISTS has counted, if no session had claimed them.

    Returns:
        False if there were none; else call `write_updates` again.
    """
    view, store = session.view, session.shared or session.store
    if view is None or store is None or (last := view.undecided.last) is None:
        return False
    try:
        view.note_claim(await store.claim_recent(view.mailbox, last), last)
    except FilepoolError:  # the disk is full, or the mailbox was deleted, which updates report
        view.note_claim(None, last)
    return True


def _write_rights(reader: Reader, mailbox: Mailbox, view: View, out: ResponseWriter) -> None:
    """Write PERMANENTFLAGS if the rights of the user have changed (RFC 4314 section 5.1.1)."""
    rights = reader.rights(mailbox.id)
    if rights == view.rights:
        return
    flags = permanent_flags(rights, reader.keywords(mailbox), read_only=view.read_only)
    if flags != permanent_flags(view.rights, reader.keywords(mailbox), read_only=view.read_only):
        out.condition("OK", "rights have changed", f"PERMANENTFLAGS ({flags.decode()})")
    view.rights = rights


def read_changes(session: Session[AccountStore]) -> bool:
    """Read the changes of the selected mailbox into the view, without writing responses.

    Returns:
        True if there are more changes than one call reads: call again.

    Raises:
        Hangup: the mailbox was deleted.
    """
    view, store = session.view, session.shared or session.store
    if view is None or store is None or view.synced == store.latest_txn_id():
        return False
    with store.reading() as reader:
        return view.read_changes(_source(store, reader, view))


def _source(store: AccountStore, reader: Reader, view: View) -> MailboxSource:
    mailbox = reader.mailbox_by_id(view.mailbox)
    if mailbox is None:
        raise Hangup("selected mailbox was deleted", "NONEXISTENT")
    return MailboxSource(store, reader, mailbox)
