"""Bring the client's picture of its mailbox up to what the store says."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imapvm._core import UidMap, UidSet
from imapvm.commands.outcome import Hangup
from imapvm.model.ids import ModSeq

if TYPE_CHECKING:
    from imapvm.commands.context import Context
    from imapvm.filepool.reading import Reader
    from imapvm.filepool.store import Mailbox
    from imapvm.model.changes import MailboxChanges
    from imapvm.session.view import View


class MailboxSource:
    """One mailbox in one read transaction, as `imapvm.session.view.Source` asks for it."""

    __slots__ = ("keyword_sets", "mailbox", "modseq", "reader")

    def __init__(self, reader: "Reader", mailbox: "Mailbox") -> None:
        self.reader = reader
        self.mailbox = mailbox
        self.modseq = mailbox.highest_modseq
        self.keyword_sets = mailbox.keyword_sets

    def changes(self, since: ModSeq) -> "MailboxChanges":
        return self.reader.changes(self.mailbox, since)

    def uid_map(self) -> UidMap:
        return self.reader.uid_map(self.mailbox)

    def modified(self, since: ModSeq) -> UidSet:
        return self.reader.snapshot.modified(self.mailbox.id, since)

    def segments(self, uids: UidSet) -> list[bytes]:
        return self.reader.segments(self.mailbox, uids)

    def keyword_text(self) -> Mapping[int, bytes]:
        return self.reader.keyword_text(self.mailbox)

    def keyword_names(self) -> list[str]:
        return keyword_names(self.reader, self.mailbox)


def keyword_names(reader: "Reader", mailbox: "Mailbox") -> list[str]:
    """Every keyword ever used in a mailbox, once, as it was first written."""
    names: dict[str, str] = {}
    for keywords in reader.keywords(mailbox).values():
        for name in keywords:
            names.setdefault(name.lower(), name)
    return sorted(names.values(), key=str.lower)


def announce(ctx: "Context", *, hold_expunges: bool, uid: bool) -> bool:
    """Write what the client is due to hear of its selected mailbox.

    Args:
        ctx: whose `out` gets it.
        hold_expunges: while FETCH, STORE or SEARCH runs (RFC 9051 section 7.5.1).
        uid: during UID commands (RFC 9051 section 6.4.9).

    Returns:
        True where more is due than is written at once: flush, and call again.

    Raises:
        Hangup: the mailbox is gone, and with it everything this session could go on with.
    """
    session = ctx.session
    view, store = session.view, session.store
    if view is None or store is None:
        return False
    if view.settled == store.latest_txn_id():
        return False
    with store.reading() as reader:
        more = view.announce(
            ctx.out,
            _source(reader, view),
            hold_expunges=hold_expunges,
            uid=uid or session.rev2,
            recent=not session.rev2,
        )
        view.settled = None if view.has_due else reader.txn_id
    return more


def catch_up(ctx: "Context") -> None:
    """Take up what has happened to the selected mailbox, without a word.

    Raises:
        Hangup: the mailbox is gone.
    """
    view, store = ctx.session.view, ctx.session.store
    if view is not None and store is not None and view.settled != store.latest_txn_id():
        with store.reading() as reader:
            view.learn(_source(reader, view))


def _source(reader: "Reader", view: "View") -> MailboxSource:
    mailbox = reader.mailbox_by_id(view.mailbox)
    if mailbox is None:
        raise Hangup("the selected mailbox was deleted")
    return MailboxSource(reader, mailbox)
