"""Changes of a storage group when an account is enrolled or deleted. Each may be repeated."""

from imapvm.filepool.operations.mailboxes.mailboxes import new_mailbox
from imapvm.filepool.operations.mailboxes.special_uses import check_uses
from imapvm.filepool.operations.sweep import Budget, clear_account
from imapvm.filepool.tables.messages.bodies import SweepKind, sweep_key
from imapvm.filepool.tables.schema import ID_KEY, UsageRow
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId
from imapvm.model.names import INBOX, NEW_ACCOUNT_MAILBOXES
from imapvm.model.values import frozen


@frozen
class AddAccount:
    """Creation of an account's usage row and its default mailboxes."""

    account: AccountId
    now: int

    def apply(self, txn: GroupTxn) -> None:
        if txn.get(ID_KEY.pack(self.account), txn.tables.usage) is not None:
            return
        usage = UsageRow(self.account)
        txn.add(usage)
        new_mailbox(txn, usage, INBOX, now=self.now, subscribe=True)
        for name, use in NEW_ACCOUNT_MAILBOXES:
            uses = check_uses(txn, self.account, (use,))
            new_mailbox(txn, usage, name, now=self.now, uses=uses, subscribe=True)


@frozen
class ClearAccount:
    """Removal of an account's data, a bounded amount at a time; the result is True when done.

    After the first call the account does not exist in this group. Its messages are swept.
    """

    account: AccountId
    now: int

    def apply(self, txn: GroupTxn) -> bool:
        if txn.get(ID_KEY.pack(self.account), txn.tables.usage) is not None:
            txn.drop_usage(self.account)
        key = sweep_key(0, SweepKind.ACCOUNT, self.account)
        done = clear_account(txn, self.account, Budget(), self.now)
        if done:
            txn.delete(key, txn.tables.sweep)
        else:
            txn.put(key, b"", txn.tables.sweep)  # the sweep continues if this process ends
        return done
