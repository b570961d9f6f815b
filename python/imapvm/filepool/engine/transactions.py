"""Operations, and the write transaction to which they are applied.

An operation is a frozen value. Ids are allocated from counters inside `apply`; times and random
values are set before the operation is queued. So the same operations applied to the same state
write the same bytes, however they are batched.

`apply` raises `FilepoolError` before it writes wherever possible. If it has already written, the
writer aborts the transaction and repeats the batch without the operation.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final, Protocol, TypeAlias, TypeVar

import lmdb

LmdbTxn: TypeAlias = "lmdb.Transaction[bytes]"
LmdbCursor: TypeAlias = "lmdb.Cursor[bytes]"
Table: TypeAlias = lmdb._Database

UINT64: Final = Struct("<Q")
"""Value of a counter: the last number allocated."""

Txn_contra = TypeVar("Txn_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class Operation(Protocol[Txn_contra, Result_co]):
    """Change to one environment, as a value."""

    def apply(self, txn: Txn_contra, /) -> Result_co:
        """Apply the change.

        Raises:
            FilepoolError: the change is refused. If anything was written, the batch is repeated.
        """


class WriteTxn:
    """Write transaction that counts its writes."""

    __slots__ = ("_counters", "_counters_table", "_numbers", "_txn", "written")

    def __init__(self, txn: LmdbTxn, counters: Table) -> None:
        self._txn = txn
        self._counters_table = counters
        self._numbers: dict[bytes, int] = {}
        self.written = 0

    def get(self, key: bytes, table: Table) -> bytes | None:
        return self._txn.get(key, None, table)

    def require(self, key: bytes, table: Table) -> bytes:
        """Return the value of a key that was found in this transaction.

        Raises:
            KeyError: it is absent.
        """
        value = self._txn.get(key, None, table)
        if value is None:
            raise KeyError(key)
        return value

    def put(self, key: bytes, value: bytes, table: Table) -> None:
        self.written += 1
        self._txn.put(key, value, True, True, False, table)  # noqa: FBT003

    def put_last(self, key: bytes, value: bytes, table: Table) -> None:
        """Put under a key that is probably the table's highest, so that pages are filled."""
        self.written += 1
        if not self._txn.put(key, value, True, True, True, table):  # noqa: FBT003
            self._txn.put(key, value, True, True, False, table)  # noqa: FBT003

    def delete(self, key: bytes, table: Table) -> bool:
        self.written += 1
        return self._txn.delete(key, b"", table)

    def leaf_pages(self, table: Table) -> int:
        """Return the number of pages of a table that hold its rows."""
        pages: int = self._txn.stat(table)["leaf_pages"]
        return pages

    def cursor(self, table: Table) -> LmdbCursor:
        return self._txn.cursor(table)

    def keys(self, table: Table, prefix: bytes, limit: int) -> list[bytes]:
        """Return the first keys with a prefix, at most `limit`."""
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

    def items(self, table: Table, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield rows with a prefix. The table must not be written to meanwhile."""
        with self._txn.cursor(table) as cursor:
            if cursor.set_range(prefix):
                for key, value in cursor:
                    if not key.startswith(prefix):
                        return
                    yield key, value

    def number(self, counter: bytes) -> int:
        """Return the last number allocated from a counter."""
        value = self._numbers.get(counter)
        if value is None:
            stored = self._txn.get(counter, None, self._counters_table)
            value = UINT64.unpack(stored)[0] if stored else 0
        return value

    def allocate(self, counter: bytes) -> int:
        """Allocate the next number of a counter, from 1; the counter is written by `flush`."""
        self.written += 1
        value = self._numbers[counter] = self.number(counter) + 1
        return value

    def set_number(self, counter: bytes, value: int) -> None:
        """Set the last number allocated from a counter."""
        self.written += 1
        self._numbers[counter] = value

    def flush(self) -> None:
        """Write counters; called once, at the end of the transaction."""
        for counter, value in self._numbers.items():
            self.put(counter, UINT64.pack(value), self._counters_table)
        self._numbers.clear()
