"""Write transactions on the environment of accounts and on a storage group."""

from imapvm.filepool.engine.transactions import LmdbTxn, WriteTxn
from imapvm.filepool.errors import NoSuchAccountError, NoSuchMailboxError
from imapvm.filepool.tables.keyword_cache import KeywordCache
from imapvm.filepool.tables.schema import (
    ID_KEY,
    PAIR_KEY,
    AccountTables,
    GroupTables,
    MailboxRow,
    UsageRow,
)
from imapvm.model.ids import AccountId, MailboxId


class AccountsTxn(WriteTxn):
    """A write transaction on the environment of accounts."""

    __slots__ = ("tables",)

    def __init__(self, txn: LmdbTxn, tables: AccountTables) -> None:
        super().__init__(txn, tables.counters)
        self.tables = tables


class GroupTxn(WriteTxn):
    """A write transaction on a storage group.

    Rows of `mailboxes` and `usage` are read once and written once a transaction, however many
    operations work on them. Say `edit` before the first change to one.
    """

    __slots__ = (
        "_edited",
        "_mailboxes",
        "_usages",
        "changed",
        "journal_rows",
        "keyword_cache",
        "tables",
    )

    def __init__(self, txn: LmdbTxn, tables: GroupTables, keyword_cache: KeywordCache) -> None:
        super().__init__(txn, tables.counters)
        self.tables = tables
        self.keyword_cache = keyword_cache
        self.changed: set[MailboxId] = set()
        """Mailboxes that something has happened to."""
        self.journal_rows: list[int] = []
        """First and last sequence number written to the ring, once there is one."""
        self._mailboxes: dict[int, MailboxRow] = {}
        self._usages: dict[int, UsageRow] = {}
        self._edited: dict[bytes, MailboxRow | UsageRow] = {}

    def usage(self, account: AccountId) -> UsageRow:
        """The account's row; whoever has none does not exist.

        Raises:
            NoSuchAccountError: it was deleted, or never was.
        """
        row = self._usages.get(account)
        if row is None:
            key = ID_KEY.pack(account)
            stored = self.get(key, self.tables.usage)
            if stored is None:
                raise NoSuchAccountError("This account does not exist any more.")
            row = self._usages[account] = UsageRow.from_bytes(key, stored)
        return row

    def mailbox(self, account: AccountId, mailbox: MailboxId) -> MailboxRow:
        """A mailbox's row.

        Raises:
            NoSuchAccountError: the account does not exist any more.
            NoSuchMailboxError: it was deleted, or is another account's.
        """
        self.usage(account)
        row = self._mailboxes.get(mailbox)
        if row is None:
            key = PAIR_KEY.pack(account, mailbox)
            stored = self.get(key, self.tables.mailboxes)
            if stored is None:
                raise NoSuchMailboxError("This mailbox does not exist any more.")
            row = self._mailboxes[mailbox] = MailboxRow.from_bytes(key, stored)
        if row.account != account:
            raise NoSuchMailboxError("This mailbox does not exist.")
        return row

    def edit(self, row: MailboxRow | UsageRow) -> None:
        """The row is about to change: write it when the transaction ends."""
        self.written += 1
        self._edited[row.key] = row

    def add(self, row: MailboxRow | UsageRow) -> None:
        """The row is new."""
        self.edit(row)
        if isinstance(row, UsageRow):
            self._usages[row.account] = row
        else:
            self._mailboxes[row.id] = row

    def drop_usage(self, account: AccountId) -> None:
        """Remove an account's row: it does not exist any more."""
        key = ID_KEY.pack(account)
        self._edited.pop(key, None)
        self._usages.pop(account, None)
        self.delete(key, self.tables.usage)

    def drop_mailbox(self, account: AccountId, mailbox: MailboxId) -> None:
        """Remove a mailbox's row."""
        key = PAIR_KEY.pack(account, mailbox)
        self._edited.pop(key, None)
        self._mailboxes.pop(mailbox, None)
        self.delete(key, self.tables.mailboxes)

    def mailboxes(self, account: AccountId) -> list[MailboxRow]:
        """All mailboxes of an account, by id."""
        self.flush()
        rows = self.items(self.tables.mailboxes, ID_KEY.pack(account))
        return [
            self._mailboxes.get(PAIR_KEY.unpack(key)[1]) or MailboxRow.from_bytes(key, stored)
            for key, stored in rows
        ]

    def flush(self) -> None:
        for key, row in self._edited.items():
            table = self.tables.usage if isinstance(row, UsageRow) else self.tables.mailboxes
            self.put(key, bytes(row), table)
        self._edited.clear()
        super().flush()
