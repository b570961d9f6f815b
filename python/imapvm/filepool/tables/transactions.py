"""Write transactions on the environment of accounts and on a storage group."""

from typing import Final

from imapvm.filepool.engine.transactions import LmdbTxn, WriteTxn
from imapvm.filepool.errors import NoSuchAccountError, NoSuchMailboxError
from imapvm.filepool.tables.messages.keyword_cache import KeywordCache
from imapvm.filepool.tables.quotas import annotation_key, pack_limits, unpack_limits
from imapvm.filepool.tables.schema import (
    ID_KEY,
    PAIR_KEY,
    AccountTables,
    GroupTables,
    MailboxRow,
    UsageRow,
)
from imapvm.model.changes import Changed
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.quota import NO_LIMITS, Limits, OwnLimits, effective

SEQUENCE: Final = b"ring"
"""Counter of the rows of the change journal."""
SEQUENCE_STEP: Final = 1024
"""Numbers by which it is ahead."""


class AccountsTxn(WriteTxn):
    """Write transaction on the environment of accounts."""

    __slots__ = ("tables",)

    def __init__(self, txn: LmdbTxn, tables: AccountTables) -> None:
        super().__init__(txn, tables.counters)
        self.tables = tables


class GroupTxn(WriteTxn):
    """Write transaction on a storage group.

    A row of `mailboxes` or `usage` is read and written once per transaction, however many
    operations change it. Call `edit` before the first change to a row.
    """

    __slots__ = (
        "_edited",
        "_limits",
        "_mailboxes",
        "_reserved",
        "_sequence",
        "_usages",
        "changed",
        "group",
        "journal_rows",
        "keyword_cache",
        "quota",
        "tables",
    )

    def __init__(
        self,
        txn: LmdbTxn,
        tables: GroupTables,
        keyword_cache: KeywordCache,
        *,
        group: tuple[int, int] = (0, 1),
        quota: Limits = NO_LIMITS,
    ) -> None:
        super().__init__(txn, tables.counters)
        self.tables = tables
        self.group = group
        """Number of the group, and number of groups of the filepool."""
        self.keyword_cache = keyword_cache
        self.changed: set[Changed] = set()
        """Mailboxes and accounts with changes."""
        self.journal_rows: list[int] = []
        """First and last sequence number written to the change journal, if any."""
        self.quota = quota
        """Default limits of the configuration."""
        self._sequence: int | None = None
        self._reserved = 0
        """Value of the counter SEQUENCE, once it was read."""
        self._limits: dict[AccountId, Limits] = {}
        self._mailboxes: dict[int, MailboxRow] = {}
        self._usages: dict[int, UsageRow] = {}
        self._edited: dict[bytes, MailboxRow | UsageRow] = {}

    def usage(self, account: AccountId) -> UsageRow:
        """Return the account's row.

        Raises:
            NoSuchAccountError: there is no row, so the account does not exist.
        """
        row = self._usages.get(account)
        if row is None:
            key = ID_KEY.pack(account)
            stored = self.get(key, self.tables.usage)
            if stored is None:
                raise NoSuchAccountError("account does not exist")
            row = self._usages[account] = UsageRow.from_bytes(key, stored)
        return row

    def set_own_limits(self, account: AccountId, own: OwnLimits) -> None:
        """Set the limits of an account; without any, its row is deleted."""
        self.usage(account)
        key = ID_KEY.pack(account)
        if own:
            self.put(key, pack_limits(own), self.tables.quotas)
        else:
            self.delete(key, self.tables.quotas)
        self._limits.pop(account, None)

    def limits(self, account: AccountId) -> Limits:
        """Return the limits of an account; empty if it has none."""
        found = self._limits.get(account)
        if found is None:
            stored = self.get(ID_KEY.pack(account), self.tables.quotas)
            found = self._limits[account] = (
                effective(unpack_limits(account, stored), self.quota) if stored else self.quota
            )
        return found

    def mailbox(self, account: AccountId, mailbox: MailboxId) -> MailboxRow:
        """Return a mailbox's row.

        Raises:
            NoSuchAccountError: the account does not exist.
            NoSuchMailboxError: the mailbox was deleted, or belongs to another account.
        """
        self.usage(account)
        row = self._mailboxes.get(mailbox)
        if row is None:
            key = PAIR_KEY.pack(account, mailbox)
            stored = self.get(key, self.tables.mailboxes)
            if stored is None:
                raise NoSuchMailboxError("mailbox does not exist")
            row = self._mailboxes[mailbox] = MailboxRow.from_bytes(key, stored)
        if row.account != account:
            raise NoSuchMailboxError("mailbox does not exist")
        return row

    def edit(self, row: MailboxRow | UsageRow) -> None:
        """Have the row, which is about to change, written by `flush`."""
        self.written += 1
        self._edited[row.key] = row

    def add(self, row: MailboxRow | UsageRow) -> None:
        """Add a new row."""
        self.edit(row)
        if isinstance(row, UsageRow):
            self._usages[row.account] = row
        else:
            self._mailboxes[row.id] = row

    def drop_usage(self, account: AccountId) -> None:
        """Delete an account's row, so that the account does not exist."""
        key = ID_KEY.pack(account)
        self._edited.pop(key, None)
        self._usages.pop(account, None)
        self._limits.pop(account, None)
        self.delete(key, self.tables.usage)
        self.delete(key, self.tables.quotas)
        self.delete(annotation_key(account), self.tables.counters)

    def drop_mailbox(self, account: AccountId, mailbox: MailboxId) -> None:
        """Delete a mailbox's row."""
        key = PAIR_KEY.pack(account, mailbox)
        self._edited.pop(key, None)
        self._mailboxes.pop(mailbox, None)
        self.delete(key, self.tables.mailboxes)

    def mailboxes(self, account: AccountId) -> list[MailboxRow]:
        """Return the rows of all mailboxes of an account, by id."""
        self.flush()
        rows = self.items(self.tables.mailboxes, ID_KEY.pack(account))
        return [
            self._mailboxes.get(PAIR_KEY.unpack(key)[1]) or MailboxRow.from_bytes(key, stored)
            for key, stored in rows
        ]

    def last_sequence(self) -> int:
        """Return the number of the journal's last row; of an empty journal, the counter."""
        if self._sequence is None:
            with self.cursor(self.tables.journal) as cursor:
                last = cursor.last()
                self._sequence = ID_KEY.unpack(cursor.key())[0] if last else self.number(SEQUENCE)
        return self._sequence

    def allocate_sequence(self) -> int:
        """Return the number for the next row of the journal.

        The counter is raised in steps, and is never below the number: version 0.1.0 takes the next
        one from it. Raised by one each time, it would be one of the nine pages that a STORE writes.
        """
        sequence = self._sequence = self.last_sequence() + 1
        if sequence > self._reserved:
            self._reserved = self.number(SEQUENCE)
        if sequence > self._reserved:
            self._reserved = sequence + SEQUENCE_STEP
            self.set_number(SEQUENCE, self._reserved)
        return sequence

    def flush(self) -> None:
        for key, row in self._edited.items():
            table = self.tables.usage if isinstance(row, UsageRow) else self.tables.mailboxes
            self.put(key, bytes(row), table)
        self._edited.clear()
        super().flush()
