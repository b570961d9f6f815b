"""RENAME of a mailbox and its children, and of INBOX (RFC 9051 section 6.3.6).

A RENAME of many mailboxes is split, so that others' commits come in between:

    RenamePart, for each part    children are renamed, those of other children first
    RenameMailbox                the mailbox itself is renamed, with the children that remain

If the server stops before the last operation, the mailbox still has its old name, and the same
RENAME completes the change.
"""

from collections.abc import Sequence
from typing import Final

from imapvm._core import UidSet, segment_uids
from imapvm.filepool.errors import InvalidNameError, MailboxExistsError, NoSuchMailboxError
from imapvm.filepool.operations.mailboxes.annotations import check_copy, copy_annotations
from imapvm.filepool.operations.mailboxes.mailboxes import (
    check_drift,
    check_room,
    checked_name,
    missing_parents,
    new_mailbox,
)
from imapvm.filepool.operations.quota import check_quota
from imapvm.filepool.tables.mailboxes import name_row, set_name
from imapvm.filepool.tables.messages import index
from imapvm.filepool.tables.messages.changes import Change, log_change, record_change
from imapvm.filepool.tables.name_changes import NO_ORIGIN, NameChangeKind, log_name
from imapvm.filepool.tables.schema import ID_KEY, NAME_ROW, UsageRow, name_key
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.names import DELIMITER, INBOX, canonical_name, is_below
from imapvm.model.values import frozen

RENAMED_AT_ONCE: Final = 512
"""Mailboxes that one operation renames, in about 5 ms: other commits wait meanwhile."""
LOGGED_AT_ONCE: Final = 16_384
"""Messages of INBOX in one change of the log, which is read as a whole."""

Move = tuple[str, str, MailboxId]
"""Old name, new name, and mailbox."""


@frozen
class RenameMailbox:
    """RENAME: subscriptions stay with the names, everything else moves with the mailboxes."""

    account: AccountId
    old: str
    new: str
    now: int
    origin: bytes = NO_ORIGIN
    """Id of the session, which is not notified; so below."""

    def apply(self, txn: GroupTxn) -> None:
        usage = txn.usage(self.account)
        old = canonical_name(self.old)
        new = checked_name(self.new.removesuffix(DELIMITER))
        if name_row(txn, self.account, new)[0]:
            raise MailboxExistsError("mailbox already exists")
        if old == INBOX:
            self._rename_inbox(txn, usage, new)
            return
        moves = self._moves(txn, old, new)
        staying = [name_row(txn, self.account, before)[1] for before, _, _ in moves]
        _create_parents(txn, usage, new, sum(staying), self.now, self.origin)
        _rename(txn, usage, moves)
        top = next((mailbox for name, _, mailbox in moves if name == old), MailboxId(0))
        self._log(txn, old, new, top)

    def _log(self, txn: GroupTxn, old: str, new: str, mailbox: MailboxId) -> None:
        """Log the name at the top: no event is sent for its children (RFC 5465 section 5.4)."""
        kind = NameChangeKind.RENAMED
        log_name(txn, self.account, kind, new, mailbox, self.origin, old=old)

    def _moves(self, txn: GroupTxn, old: str, new: str) -> list[Move]:
        """Return the mailboxes to rename.

        Raises:
            InvalidNameError, MailboxExistsError, NoSuchMailboxError: RENAME is refused.
        """
        if is_below(new, old):
            raise InvalidNameError("a mailbox cannot be moved below itself")
        found = [(old, name_row(txn, self.account, old)[0])]
        start = len(ID_KEY.pack(self.account))
        for key, stored in txn.items(txn.tables.names, name_key(self.account, old + DELIMITER)):
            found.append((key[start:].decode(), MailboxId(NAME_ROW.unpack(stored)[0])))
        moves = [
            (name, checked_name(new + name[len(old) :]), mailbox)
            for name, mailbox in found
            if mailbox
        ]
        if not moves:
            raise NoSuchMailboxError("mailbox does not exist")
        _check_free(txn, self.account, moves)
        return moves

    def _rename_inbox(self, txn: GroupTxn, usage: UsageRow, new: str) -> None:
        """Move all messages of INBOX to a new mailbox; INBOX and its children stay.

        The new mailbox takes over INBOX's rows unchanged, including UIDs; only their keys change.
        """
        inbox = txn.mailbox(self.account, name_row(txn, self.account, INBOX)[0])
        missing = missing_parents(txn, self.account, new)
        check_room(usage, len(missing) + 1)
        if txn.limits(self.account):
            check_quota(txn, self.account, mailboxes=len(missing) + 1)
        check_drift(txn, usage, self.now)
        check_copy(txn, self.account, inbox.id)
        for above in missing:
            new_mailbox(txn, usage, above, now=self.now, origin=self.origin)
        row = new_mailbox(txn, usage, new, now=self.now)
        self._log(txn, INBOX, new, row.id)
        runs: list[tuple[int, int]] = []
        table = txn.tables.index
        last = (b"", b"")
        for key in txn.keys(table, ID_KEY.pack(inbox.id), inbox.messages):
            segment = txn.require(key, table)
            runs.extend(segment_uids(segment).runs())
            new_key = ID_KEY.pack(row.id) + key[8:]
            index.add_segment(txn, last, new_key, segment)
            last = new_key, segment
            txn.delete(key, table)
        keywords = txn.tables.keywords
        for key, names in list(txn.items(keywords, ID_KEY.pack(inbox.id))):
            txn.put(ID_KEY.pack(row.id) + key[8:], names, keywords)
        txn.edit(inbox)
        row.keyword_sets = inbox.keyword_sets
        row.messages, inbox.messages = inbox.messages, 0
        row.unseen, inbox.unseen = inbox.unseen, 0
        row.deleted, inbox.deleted = inbox.deleted, 0
        row.size, inbox.size = inbox.size, 0
        row.uid_next, row.recent_from = inbox.uid_next, inbox.recent_from
        copy_annotations(txn, self.account, inbox.id, row.id)
        moved = UidSet(runs)
        while moved:
            logged, moved = moved.split(LOGGED_AT_ONCE)
            inbox.highest_modseq += 1
            row.highest_modseq = inbox.highest_modseq
            log_change(txn, row, Change.APPENDED, logged)
            log_change(txn, inbox, Change.EXPUNGED, logged)


def _check_free(txn: GroupTxn, account: AccountId, moves: Sequence[Move]) -> None:
    """Check that no mailbox has one of the new names, except those that are renamed.

    Raises:
        MailboxExistsError: one has.
    """
    leaving = {before for before, _, _ in moves}
    for _, after, _ in moves:
        if after not in leaving and name_row(txn, account, after)[0]:
            raise MailboxExistsError(f"mailbox {after} already exists")


def _create_parents(
    txn: GroupTxn, usage: UsageRow, new: str, names: int, now: int, origin: bytes
) -> None:
    """Create the missing parents of a name.

    Raises:
        LimitError: the account has no room for them and for `names` more names.
    """
    missing = missing_parents(txn, usage.account, new)
    check_room(usage, len(missing) + names)
    if missing:
        if txn.limits(usage.account):
            check_quota(txn, usage.account, mailboxes=len(missing))
        check_drift(txn, usage, now)
    for above in missing:
        new_mailbox(txn, usage, above, now=now, origin=origin)


def _rename(txn: GroupTxn, usage: UsageRow, moves: Sequence[Move]) -> None:
    # Old names first: a new name may be one of them ("a/b" to "a" moves "a/b/b" to "a/b").
    for before, _, _ in moves:
        _, subscribed = name_row(txn, usage.account, before)
        set_name(txn, usage, before, None, subscribed=subscribed)
    for _, after, mailbox in moves:
        _, subscribed = name_row(txn, usage.account, after)
        set_name(txn, usage, after, mailbox, subscribed=subscribed)
        row = txn.mailbox(usage.account, mailbox)
        txn.edit(row)
        row.name = after
        record_change(txn, row, Change.RENAMED)


# --- RENAME of many mailboxes --------------------------------------------------------------------


@frozen
class RenamePart:
    """Part of a RENAME. Mailboxes that were deleted or renamed meanwhile are skipped."""

    account: AccountId
    new: str
    """New name of the mailbox at the top."""
    moves: tuple[Move, ...]
    names: int
    """Number of names that this operation and those after it add: subscriptions keep the old."""
    now: int
    origin: bytes = NO_ORIGIN

    def apply(self, txn: GroupTxn) -> None:
        usage = txn.usage(self.account)
        moves = [move for move in self.moves if name_row(txn, self.account, move[0])[0] == move[2]]
        _check_free(txn, self.account, moves)
        _create_parents(txn, usage, self.new, self.names, self.now, self.origin)
        _rename(txn, usage, moves)
        for old, new, mailbox in moves:
            if new == self.new:
                kind = NameChangeKind.RENAMED
                log_name(txn, self.account, kind, new, mailbox, self.origin, old=old)


def rename_parts(
    account: AccountId,
    old: str,
    new: str,
    moves: list[tuple[Move, bool]],
    now: int,
    origin: bytes = NO_ORIGIN,
) -> list[RenamePart]:
    """Return the parts of a RENAME, in the order in which they have to be applied.

    Args:
        account: owner of the mailboxes.
        old: canonical name of the mailbox at the top.
        new: its new canonical name.
        moves: all mailboxes to rename, each with True if its old name is subscribed; are sorted.
        now: seconds since 1970.
        origin: id of the session.
    """
    last: list[tuple[Move, bool]] = []
    if is_below(old, new):
        # A new name may be an old one, of a mailbox with fewer levels.
        moves.sort(key=lambda move: move[0][0].count(DELIMITER))
    else:
        moves.sort(reverse=True)
        moves, last = moves[:-RENAMED_AT_ONCE], moves[-RENAMED_AT_ONCE:]  # for RenameMailbox
    parts = [moves[at : at + RENAMED_AT_ONCE] for at in range(0, len(moves), RENAMED_AT_ONCE)]
    added = [sum(subscribed for _, subscribed in part) for part in (*parts, last)]
    return [
        RenamePart(account, new, tuple(move for move, _ in part), sum(added[number:]), now, origin)
        for number, part in enumerate(parts)
    ]
