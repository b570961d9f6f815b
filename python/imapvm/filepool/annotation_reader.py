"""Reading annotations (RFC 5464); `imapvm.filepool.reading` has the transaction."""

from itertools import islice

from imapvm.filepool.engine.transactions import LmdbTxn, Table
from imapvm.filepool.tables.annotations import (
    AnnotationChange,
    AnnotationUsage,
    Scope,
    changes_after,
    entries_after,
    read_head,
    read_value,
)
from imapvm.filepool.tables.schema import ID_KEY, GroupTables
from imapvm.model.ids import AccountId


class AnnotationReader:
    """Annotations in a read transaction."""

    __slots__ = ("_account", "_tables", "_txn")
    _account: AccountId
    _tables: GroupTables
    _txn: LmdbTxn

    def annotation_size(self, scope: Scope, entry: bytes) -> int | None:
        """Return the bytes of a value; None for NIL."""
        size, _ = read_head(self._get, self._tables.annotations, scope, entry)
        return None if size < 0 else size

    def annotation(self, scope: Scope, entry: bytes) -> bytes | None:
        """Return the value of an entry; None for NIL."""
        return read_value(self._get, self._tables.annotations, scope, entry)

    def _get(self, key: bytes, table: Table) -> bytes | None:
        return self._txn.get(key, None, table)

    def annotations_below(
        self, scope: Scope, below: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, int]]:
        """Return entries at any depth below one, ascending, with the bytes of their values.

        Costs about 1 µs for each row; see `entries_after`.
        """
        with self._txn.cursor(self._tables.annotations) as cursor:
            return entries_after(cursor, scope, below, after, limit)

    def annotation_usage(self) -> AnnotationUsage:
        """Return the number of annotations of the account, and of the last change of one."""
        key = ID_KEY.pack(self._account)
        return AnnotationUsage.from_bytes(self._txn.get(key, None, self._tables.annotation_usage))

    def annotation_changes(self, since: int, limit: int) -> list[AnnotationChange]:
        """Return the first changes of annotations after a number; see `annotation_usage`."""
        with self._txn.cursor(self._tables.annotation_changes) as cursor:
            return list(islice(changes_after(cursor, self._account, since), limit))
