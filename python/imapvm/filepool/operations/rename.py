"""RENAME: a mailbox, all below it, and INBOX, which is another matter (RFC 9051 section 6.3.6)."""

from dataclasses import dataclass

from imapvm._core import UidSet, segment_uids
from imapvm.filepool.errors import InvalidNameError, MailboxExistsError, NoSuchMailboxError
from imapvm.filepool.operations.mailboxes import (
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
    """RENAME: subscriptions stay with the names, everything else goes with the mailboxes."""

    account: AccountId
    old: str
    new: str
    now: int

    def apply(self, txn: GroupTxn) -> None:
        usage = txn.usage(self.account)
        old = canonical_name(self.old)
        new = checked_name(self.new.removesuffix(DELIMITER))
        if name_row(txn, self.account, new)[0]:
            raise MailboxExistsError("There is a mailbox with the new name.")
        if old == INBOX:
            self._rename_inbox(txn, usage, new)
            return
        moves = self._moves(txn, old, new)
        missing = missing_parents(txn, self.account, new)
        staying = [name_row(txn, self.account, before)[1] for before, _, _ in moves]
        check_room(usage, len(missing) + sum(staying))
        for above in missing:
            new_mailbox(txn, usage, above, now=self.now)
        # All old names first: a new one may be among them ("a/b" to "a" takes "a/b/b" to "a/b").
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
        """Old name, new name and id of what is renamed: the mailbox, if it is one, and all below.

        Raises:
            FilepoolError: it cannot be done.
        """
        if is_below(new, old):
            raise InvalidNameError("A mailbox cannot be moved below itself.")
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
            raise NoSuchMailboxError("There is no mailbox with this name.")
        leaving = {name for name, _, _ in moves}
        for _, after, _ in moves:
            if after not in leaving and name_row(txn, self.account, after)[0]:
                raise MailboxExistsError(f"There is a mailbox {after} already.")
        return moves

    def _rename_inbox(self, txn: GroupTxn, usage: UsageRow, new: str) -> None:
        """Move all messages of INBOX to a new mailbox; INBOX stays, and so do names below it.

        The new mailbox takes over INBOX's rows as they are, UIDs too: only keys change.
        """
        inbox = txn.mailbox(self.account, name_row(txn, self.account, INBOX)[0])
        missing = missing_parents(txn, self.account, new)
        check_room(usage, len(missing) + 1)
        for above in missing:
            new_mailbox(txn, usage, above, now=self.now)
        row = new_mailbox(txn, usage, new, now=self.now)
        runs: list[tuple[int, int]] = []
        index = txn.tables.index
        for key in txn.keys(index, ID_KEY.pack(inbox.id), inbox.messages):
            segment = txn.get(key, index)
            assert segment is not None
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
