"""The tables of annotations (RFC 5464): entries with their values, and a log of changed entries.

    annotations          mailbox, user                       entries and bytes of this scope
                         mailbox, user, entry, 0, part       a value, in parts of one page
    annotation_usage     account                             entries, and the state of the log
    annotation_changes   account, number                     changed entry

Mailboxes have ids that are never reused, so RENAME changes nothing here, and the entries of a
deleted mailbox cannot be found any more: they are swept with its messages. The bytes of all
entries of an account are the counter of its quota (`imapvm.filepool.operations.quota`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import Struct, error
from typing import Final, NamedTuple, Self

from imapvm._core import VALUE_BYTES
from imapvm.filepool.engine.transactions import LmdbCursor, Table
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.schema import ID_KEY, PAIR_KEY
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId

SERVER: Final = MailboxId(0)
"""In keys: the server itself. Its private entries have the user's account as `user`."""
SHARED: Final = AccountId(0)
"""In keys: shared entries of a mailbox."""
CHANGES_KEPT: Final = 10_000
"""Changed entries of an account that are logged; a session that has missed older ones must end."""
ORIGIN_BYTES: Final = 6
"""Length of the id of a session, which is not sent the changes that it has made."""

PART_KEY: Final = Struct(">xB")
"""End of a key in `annotations`: NUL, which no entry contains, and the number of the part."""
FIRST_PART: Final = Struct("<IQ")
"""Part 0: bytes of the value, and number of the last change in the log, or 0. The value follows."""
FIRST_BYTES: Final = VALUE_BYTES - FIRST_PART.size
SCOPE_ROW: Final = Struct("<IQ")
"""Entries, and bytes of their names and values."""
USAGE_ROW: Final = Struct("<IIQQ")
CHANGE_ROW: Final = Struct(f"<QQ{ORIGIN_BYTES}s")
"""Mailbox, user, and session that made the change. The entry follows."""


class Scope(NamedTuple):
    """Annotations that are named together: of one mailbox, shared or private to one user."""

    mailbox: MailboxId
    """0: the server."""
    user: AccountId
    """0: shared."""

    @property
    def key(self) -> bytes:
        return PAIR_KEY.pack(*self)

    def part_key(self, entry: bytes, part: int) -> bytes:
        """Return the key of a part of an entry: `/comment`, without its scope, in lower case."""
        return self.key + entry + PART_KEY.pack(part)


class ScopeTotals(NamedTuple):
    """Entries of a scope, and bytes of their names and values."""

    entries: int = 0
    size: int = 0


@dataclass(slots=True)
class AnnotationUsage:
    """Row of `annotation_usage`, decoded."""

    entries: int = 0
    """Shared entries of the account's mailboxes, and private entries of the user."""
    changes: int = 0
    """Rows in the log."""
    number: int = 0
    """Number of the last change."""
    trimmed: int = 0
    """The log is complete for changes after this number."""

    def __bytes__(self) -> bytes:
        return USAGE_ROW.pack(self.entries, self.changes, self.number, self.trimmed)

    @classmethod
    def from_bytes(cls, stored: bytes | None) -> Self:
        """Decode a row; without one, the account has had no annotations.

        Raises:
            CorruptDataError: the row cannot be decoded.
        """
        if stored is None:
            return cls()
        try:
            return cls(*USAGE_ROW.unpack(stored))
        except error:
            raise CorruptDataError("cannot read the annotation usage of an account") from None


class AnnotationChange(NamedTuple):
    """Changed entry."""

    number: int
    scope: Scope
    origin: bytes
    entry: bytes


# --- reading ----------------------------------------------------------------------------------


Get = Callable[[bytes, Table], bytes | None]
"""Reading of one row in a transaction."""


def read_head(get: Get, table: Table, scope: Scope, entry: bytes) -> tuple[int, int]:
    """Return bytes of a value and number of its last change; (-1, 0) for NIL."""
    stored = get(scope.part_key(entry, 0), table)
    return (-1, 0) if stored is None else head_of(stored)


def head_of(stored: bytes) -> tuple[int, int]:
    """Return bytes of a value and number of its last change, from part 0.

    Raises:
        CorruptDataError: it cannot be decoded.
    """
    try:
        size, number = FIRST_PART.unpack_from(stored)
    except error:
        raise CorruptDataError("cannot read an annotation") from None
    return size, number


def read_value(get: Get, table: Table, scope: Scope, entry: bytes) -> bytes | None:
    """Return a value; None for NIL.

    Raises:
        CorruptDataError: a part is missing.
    """
    stored = get(scope.part_key(entry, 0), table)
    if stored is None:
        return None
    size, _ = head_of(stored)
    more = (get(scope.part_key(entry, part), table) or b"" for part in range(1, parts_of(size)))
    value = b"".join((stored[FIRST_PART.size :], *more))
    if len(value) != size:
        raise CorruptDataError(f"cannot read an annotation of mailbox {scope.mailbox}")
    return value


def parts_of(size: int) -> int:
    """Return the number of parts of a value."""
    return 1 + max(-(-(size - FIRST_BYTES) // VALUE_BYTES), 0)


def entries_after(
    cursor: LmdbCursor, scope: Scope, below: bytes, after: bytes, limit: int
) -> list[tuple[bytes, int]]:
    """Return entries below one, ascending, with the bytes of their values: the first after `after`.

    Args:
        cursor: of the table `annotations`.
        scope: of the entries.
        below: the entry above, without a slash at its end; b"" for all.
        after: an entry, or b"".
        limit: maximum number of entries; each may have a few rows.
    """
    found: list[tuple[bytes, int]] = []
    prefix = scope.key + below + b"/"
    # After all parts of `after`: the parts have numbers below 255.
    start = scope.part_key(after, 255) if after else prefix
    if cursor.set_range(start):
        for key, stored in cursor:
            if not key.startswith(prefix) or len(found) == limit:
                break
            if key[-1] == 0:
                entry = key[PAIR_KEY.size : -PART_KEY.size]
                found.append((entry, head_of(stored)[0]))
    return found


def totals_of(stored: bytes | None) -> ScopeTotals:
    """Return the totals in the row of a scope.

    Raises:
        CorruptDataError: it cannot be decoded.
    """
    if stored is None:
        return ScopeTotals()
    try:
        return ScopeTotals(*SCOPE_ROW.unpack(stored))
    except error:
        raise CorruptDataError("cannot read the totals of annotations") from None


def changes_after(cursor: LmdbCursor, account: int, number: int) -> Iterator[AnnotationChange]:
    """Yield the logged changes of an account after a number, in their order.

    Raises:
        CorruptDataError: one cannot be decoded.
    """
    prefix = ID_KEY.pack(account)
    if cursor.set_range(PAIR_KEY.pack(account, number + 1)):
        for key, stored in cursor:
            if not key.startswith(prefix):
                return
            try:
                mailbox, user, origin = CHANGE_ROW.unpack_from(stored)
                scope = Scope(MailboxId(mailbox), AccountId(user))
                yield AnnotationChange(
                    PAIR_KEY.unpack(key)[1], scope, origin, stored[CHANGE_ROW.size :]
                )
            except error:
                raise CorruptDataError(
                    f"cannot read the annotation log of account {account}"
                ) from None


# --- writing ----------------------------------------------------------------------------------


def usage_of(txn: GroupTxn, account: AccountId) -> AnnotationUsage:
    """Return the row of an account."""
    return AnnotationUsage.from_bytes(txn.get(ID_KEY.pack(account), txn.tables.annotation_usage))


def put_usage(txn: GroupTxn, account: AccountId, usage: AnnotationUsage) -> None:
    """Write the row of an account."""
    txn.put(ID_KEY.pack(account), bytes(usage), txn.tables.annotation_usage)


def put_totals(txn: GroupTxn, scope: Scope, totals: ScopeTotals) -> None:
    """Write the totals of a scope; without entries, delete its row."""
    if totals.entries:
        txn.put(scope.key, SCOPE_ROW.pack(*totals), txn.tables.annotations)
    else:
        txn.delete(scope.key, txn.tables.annotations)


def put_value(txn: GroupTxn, scope: Scope, entry: bytes, value: bytes, number: int) -> None:
    """Write a value, in parts; the entry has none, or parts of a longer one would be left."""
    table = txn.tables.annotations
    head = FIRST_PART.pack(len(value), number)
    txn.put(scope.part_key(entry, 0), head + value[:FIRST_BYTES], table)
    for part in range(1, parts_of(len(value))):
        start = FIRST_BYTES + (part - 1) * VALUE_BYTES
        txn.put(scope.part_key(entry, part), value[start : start + VALUE_BYTES], table)


def delete_value(txn: GroupTxn, scope: Scope, entry: bytes, size: int) -> None:
    """Delete all parts of a value with so many bytes."""
    for part in range(parts_of(size)):
        txn.delete(scope.part_key(entry, part), txn.tables.annotations)


def log_change(
    txn: GroupTxn, account: AccountId, usage: AnnotationUsage, change: AnnotationChange
) -> None:
    """Add a change to the log. The caller writes `usage`."""
    usage.number = change.number
    usage.changes += 1
    value = CHANGE_ROW.pack(*change.scope, change.origin) + change.entry
    txn.put(PAIR_KEY.pack(account, change.number), value, txn.tables.annotation_changes)


def forget_change(txn: GroupTxn, account: AccountId, usage: AnnotationUsage, number: int) -> None:
    """Delete the change of an entry that a later one replaces. The caller writes `usage`."""
    if number and txn.delete(PAIR_KEY.pack(account, number), txn.tables.annotation_changes):
        usage.changes -= 1


def trim_log(txn: GroupTxn, account: AccountId, usage: AnnotationUsage) -> None:
    """Delete the oldest changes until CHANGES_KEPT are left. The caller writes `usage`."""
    table = txn.tables.annotation_changes
    for key in txn.keys(table, ID_KEY.pack(account), usage.changes - CHANGES_KEPT):
        txn.delete(key, table)
        usage.changes -= 1
        usage.trimmed = PAIR_KEY.unpack(key)[1]
