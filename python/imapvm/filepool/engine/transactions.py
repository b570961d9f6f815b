"""An operation, and the write transaction it is applied to.

An operation is a frozen value. Ids are taken from counters inside `apply`; times and random values
are put into it before it is queued. So the same operations applied to the same state give the same
octets, in whatever batches they are committed.

`apply` raises a `FilepoolError` before it writes anything, wherever it can know; where it cannot,
the writer notices that something was written and does the batch again without it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

from imapvm.filepool.errors import NoSuchAccountError, NoSuchMailboxError
from imapvm.filepool.tables.schema import (
    COUNTER,
    ID_KEY,
    PAIR_KEY,
    AccountTables,
    GroupTables,
    MailboxRow,
    UsageRow,
)
from imapvm.model.ids import AccountId, MailboxId

if TYPE_CHECKING:
    import lmdb

    from imapvm.filepool.tables.keywords import KeywordCache

Txn_contra = TypeVar("Txn_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class Operation(Protocol[Txn_contra, Result_co]):
    """A change to one environment, as a value."""

    def apply(self, txn: Txn_contra, /) -> Result_co:
        """Carry it out.

        Raises:
            FilepoolError: it cannot be done; if anything was written, the transaction is redone.
        """


class WriteTxn:
    """One write transaction, and how often it has written."""

    __slots__ = ("_counters", "_counters_table", "_numbers", "_txn", "written")

    def __init__(self, txn: "lmdb.Transaction[bytes]", counters: "lmdb._Database") -> None:
        self._txn = txn
        self._counters_table = counters
        self._numbers: dict[bytes, int] = {}
        self.written = 0

    @property
    def raw(self) -> "lmdb.Transaction[bytes]":
        """LMDB's transaction, for what only reads."""
        return self._txn

    def get(self, key: bytes, table: "lmdb._Database") -> bytes | None:
        return self._txn.get(key, None, table)

    def put(self, key: bytes, value: bytes, table: "lmdb._Database") -> None:
        self.written += 1
        self._txn.put(key, value, True, True, False, table)  # noqa: FBT003

    def put_last(self, key: bytes, value: bytes, table: "lmdb._Database") -> None:
        """Put under a key that is likely the table's highest: then pages are filled to the end."""
        self.written += 1
        if not self._txn.put(key, value, True, True, True, table):  # noqa: FBT003
            self._txn.put(key, value, True, True, False, table)  # noqa: FBT003

    def delete(self, key: bytes, table: "lmdb._Database") -> bool:
        self.written += 1
        return self._txn.delete(key, b"", table)

    def cursor(self, table: "lmdb._Database") -> "lmdb.Cursor[bytes]":
        return self._txn.cursor(table)

    def keys(self, table: "lmdb._Database", prefix: bytes, limit: int) -> list[bytes]:
        """The first keys with a prefix, at most `limit` of them."""
        found: list[bytes] = []
        with self._txn.cursor(table) as cursor:
            if limit > 0 and cursor.set_range(prefix):
                for key in cursor.iternext(True, False):  # noqa: FBT003
                    if not key.startswith(prefix):
                        break
                    found.append(key)
                    if len(found) == limit:
                        break
        return found

    def items(self, table: "lmdb._Database", prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows with a prefix; write nothing to the table meanwhile."""
        with self._txn.cursor(table) as cursor:
            if cursor.set_range(prefix):
                for key, value in cursor:
                    if not key.startswith(prefix):
                        return
                    yield key, value

    def number(self, counter: bytes) -> int:
        """The last number that a counter gave out."""
        value = self._numbers.get(counter)
        if value is None:
            stored = self._txn.get(counter, None, self._counters_table)
            value = COUNTER.unpack(stored)[0] if stored else 0
        return value

    def allocate(self, counter: bytes) -> int:
        """The next number of a counter; the first is 1. Written once a transaction."""
        self.written += 1
        value = self._numbers[counter] = self.number(counter) + 1
        return value

    def flush(self) -> None:
        """Write what was kept back because it changes often in one transaction."""
        for counter, value in self._numbers.items():
            self.put(counter, COUNTER.pack(value), self._counters_table)
        self._numbers.clear()


class AccountsTxn(WriteTxn):
    """A write transaction on the environment of accounts."""

    __slots__ = ("tables",)

    def __init__(self, txn: "lmdb.Transaction[bytes]", tables: AccountTables) -> None:
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

    def __init__(
        self, txn: "lmdb.Transaction[bytes]", tables: GroupTables, keyword_cache: "KeywordCache"
    ) -> None:
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
