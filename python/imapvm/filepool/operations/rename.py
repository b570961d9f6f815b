"""RENAME of a mailbox and its children, and of INBOX (RFC 9051 section 6.3.6)."""

from dataclasses import dataclass

from imapvm._core import UidSet, segment_uids
from imapvm.filepool.errors import InvalidNameError, MailboxExistsError, NoSuchMailboxError
from imapvm.filepool.operations.mailboxes import (
    check_drift,
    check_room,
    checked_name,
    missing_parents,
    new_mailbox,
)
from imapvm.filepool.tables.changes import Change, log_change, record_change
from imapvm.filepool.tables.mailboxes import name_row, set_name
from imapvm.filepool.tables.schema import ID_KEY, NAME_ROW, UsageRow, name_key
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.names import DELIMITER, INBOX, canonical_name, is_below


@dataclass(frozen=True, slots=True)
class RenameMailbox:
    """RENAME: subscriptions stay with the names, everything else moves with the mailboxes."""

    account: AccountId
    old: str
    new: str
    now: int

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
        missing = missing_parents(txn, self.account, new)
        staying = [name_row(txn, self.account, before)[1] for before, _, _ in moves]
        check_room(usage, len(missing) + sum(staying))
        if missing:
            check_drift(txn, usage, self.now)
        for above in missing:
            new_mailbox(txn, usage, above, now=self.now)
        # Old names first: a new name may be one of them ("a/b" to "a" moves "a/b/b" to "a/b").
        for (before, _, _), subscribed in zip(moves, staying, strict=True):
            set_name(txn, usage, before, None, subscribed=subscribed)
        for _, after, mailbox in moves:
            _, subscribed = name_row(txn, self.account, after)
            set_name(txn, usage, after, mailbox, subscribed=subscribed)
            row = txn.mailbox(self.account, mailbox)
            txn.edit(row)
            row.name = after
            record_change(txn, row, Change.RENAMED)

    def _moves(self, txn: GroupTxn, old: str, new: str) -> list[tuple[str, str, MailboxId]]:
        """Return old name, new name and id of each mailbox to rename.

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
        leaving = {name for name, _, _ in moves}
        for _, after, _ in moves:
            if after not in leaving and name_row(txn, self.account, after)[0]:
                raise MailboxExistsError(f"mailbox {after} already exists")
        return moves

    def _rename_inbox(self, txn: GroupTxn, usage: UsageRow, new: str) -> None:
        """Move all messages of INBOX to a new mailbox; INBOX and its children stay.

        The new mailbox takes over INBOX's rows unchanged, including UIDs; only their keys change.
        """
        inbox = txn.mailbox(self.account, name_row(txn, self.account, INBOX)[0])
        missing = missing_parents(txn, self.account, new)
        check_room(usage, len(missing) + 1)
        check_drift(txn, usage, self.now)
        for above in missing:
            new_mailbox(txn, usage, above, now=self.now)
        row = new_mailbox(txn, usage, new, now=self.now)
        runs: list[tuple[int, int]] = []
        index = txn.tables.index
        for key in txn.keys(index, ID_KEY.pack(inbox.id), inbox.messages):
            segment = txn.require(key, index)
            runs.extend(segment_uids(segment).runs())
            txn.put(ID_KEY.pack(row.id) + key[8:], segment, index)
            txn.delete(key, index)
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
        if runs:
            moved = UidSet(runs)
            inbox.highest_modseq += 1
            row.highest_modseq = inbox.highest_modseq
            log_change(txn, row, Change.APPENDED, moved)
            log_change(txn, inbox, Change.EXPUNGED, moved)
