"""REPLACE: a message in place of another one (RFC 8508)."""

from imapvm._core import UidSet
from imapvm.filepool.errors import MessageGoneError
from imapvm.filepool.operations.append import (
    AppendMessages,
    AppendResult,
    NewMessage,
    count_out,
)
from imapvm.filepool.tables.messages import index
from imapvm.filepool.tables.messages.bodies import release
from imapvm.filepool.tables.messages.changes import Change, log_change
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.values import frozen


@frozen
class ReplaceMessage:
    """Message appended to a mailbox, and another one expunged from its mailbox: both or neither.

    The quota counts the difference (RFC 8508 section 3.4), so the old message is removed first.
    """

    account: AccountId
    mailbox: MailboxId
    uid: int
    to: MailboxId
    message: NewMessage
    now: int
    claim: bool = False
    """As of `AppendMessages`."""

    def apply(self, txn: GroupTxn) -> AppendResult:
        row = txn.mailbox(self.account, self.mailbox)
        replaced = UidSet(((self.uid, self.uid),))
        if not index.present(txn, row.id, replaced):
            raise MessageGoneError("the message has been expunged")
        txn.edit(row)
        row.highest_modseq += 1
        for records in index.remove(txn, row.id, replaced):
            count_out(txn, row, records)
            for record in records:
                release(txn, record.body, self.now)
        log_change(txn, row, Change.EXPUNGED, replaced)
        append = AppendMessages(self.account, self.to, (self.message,), self.now, self.claim)
        return append.apply(txn)
