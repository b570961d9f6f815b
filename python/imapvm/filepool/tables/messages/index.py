"""The table `index`: segments of records, by mailbox and first UID.

Segments of a mailbox ascend and do not overlap.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from imapvm._core import (
    SEGMENT_RECORDS,
    Record,
    UidSet,
    segment_append,
    segment_counts,
    segment_records,
    segment_remove,
    segment_uids,
)
from imapvm.filepool.engine.transactions import LmdbCursor
from imapvm.filepool.tables.schema import ID_KEY, INDEX_KEY
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import UID_MAX

SPARSE: Final = SEGMENT_RECORDS // 4
"""A segment with at most this many records is joined to the previous one if that has room."""

SMALL: Final = 512
"""Bytes of a new segment at first; LMDB merges a page that is filled to less than a quarter."""


def holding(cursor: LmdbCursor, mailbox: int, uids: UidSet) -> Iterator[bytes]:
    """Yield the keys of the segments whose ranges contain any of some UIDs, ascending.

    A segment with a gap at the UID is included. Costs a seek for each run of UIDs that is not in
    the segment of the previous run. The cursor is at each segment until the next is taken.
    """
    prefix = ID_KEY.pack(mailbox)
    ahead = -1  # first UID of the segment at the cursor, which follows those that were yielded
    for first, last in uids.runs():
        if last < ahead:
            continue  # in the segment yielded last, or before the mailbox's first
        if (first > ahead or ahead < 0) and not _seek(
            cursor, prefix, INDEX_KEY.pack(mailbox, first)
        ):
            break
        while True:
            key = cursor.key()
            if not key.startswith(prefix):
                return
            ahead = int.from_bytes(key[8:], "big")
            if ahead > last:
                break
            yield key
            if not cursor.next():
                return


def load(txn: GroupTxn, mailbox: int, uids: UidSet) -> tuple[list[bytes], list[bytes]]:
    """Return keys and values of the segments whose ranges contain any of some UIDs, ascending."""
    keys: list[bytes] = []
    segments: list[bytes] = []
    with txn.cursor(txn.tables.index) as cursor:
        for key in holding(cursor, mailbox, uids):
            keys.append(key)
            segments.append(cursor.value())
    return keys, segments


def _seek(cursor: LmdbCursor, prefix: bytes, key: bytes) -> bool:
    """Move to the mailbox's last segment that starts at or before `key`, else to its first."""
    found = cursor.set_range(key)
    if found and cursor.key() == key:
        return True
    stepped = cursor.prev() if found else cursor.last()
    return (stepped and cursor.key().startswith(prefix)) or cursor.set_range(key)


def present(txn: GroupTxn, mailbox: int, uids: UidSet) -> UidSet:
    """Return those of some UIDs that exist."""
    runs: list[tuple[int, int]] = []
    with txn.cursor(txn.tables.index) as cursor:
        for _ in holding(cursor, mailbox, uids):
            runs.extend(segment_uids(cursor.value()).runs())
    return UidSet(runs) & uids


def last_segment(txn: GroupTxn, mailbox: int) -> tuple[bytes, bytes] | None:
    """Return key and value of a mailbox's last segment, or None if it has no messages."""
    with txn.cursor(txn.tables.index) as cursor:
        end = INDEX_KEY.pack(mailbox, UID_MAX)
        found = cursor.set_range(end)
        if not (found and cursor.key() == end) and not (cursor.prev() if found else cursor.last()):
            return None
        key, segment = cursor.item()
        return (key, segment) if key.startswith(ID_KEY.pack(mailbox)) else None


def append(txn: GroupTxn, mailbox: int, records: Sequence[Record]) -> None:
    """Append records to a mailbox."""
    table = txn.tables.index
    key, segment = last_segment(txn, mailbox) or (b"", b"")
    at = SEGMENT_RECORDS - segment_counts(segment)[0] if segment else 0
    if at and records:
        segment = segment_append(segment, records[:at])
        txn.put(key, segment, table)
    while at < len(records):
        part = records[at : at + SEGMENT_RECORDS]
        before, key = (key, segment), INDEX_KEY.pack(mailbox, part[0].uid)
        segment = segment_append(b"", part)
        add_segment(txn, before, key, segment)
        at += len(part)


def add_segment(txn: GroupTxn, before: tuple[bytes, bytes], key: bytes, segment: bytes) -> None:
    """Add a segment after the last of a mailbox, so that two segments share a page.

    A page has room for two full segments. When a third is added after them, LMDB moves the second
    to the new page, so that every page would be half empty. While the new segment is small, the
    second can be moved back: removing it merges the pages, and LMDB divides three segments of
    which the last is small after the second. The index is half as large, and STORE of a whole
    mailbox writes half as many pages.
    """
    table = txn.tables.index
    pages = txn.leaf_pages(table)
    txn.put(key, segment[:SMALL], table)
    if before[0] and txn.leaf_pages(table) > pages:
        txn.delete(before[0], table)
        txn.put(*before, table)
    if len(segment) > SMALL:
        txn.put(key, segment, table)


def remove(txn: GroupTxn, mailbox: int, uids: UidSet) -> Iterator[list[Record]]:
    """Remove records and yield them, segment by segment."""
    index = txn.tables.index
    with txn.cursor(index) as cursor:
        keys = list(holding(cursor, mailbox, uids))
    for key in keys:
        segment = txn.require(key, index)
        remaining, removed = segment_remove(segment, uids)
        if removed:
            txn.delete(key, index)
            if remaining:
                _put_back(txn, mailbox, remaining)
            yield removed


def _put_back(txn: GroupTxn, mailbox: int, segment: bytes) -> None:
    """Store the remaining records of a segment, alone or joined to the previous segment."""
    index = txn.tables.index
    first, _ = segment_uids(segment).runs()[0]
    key = INDEX_KEY.pack(mailbox, first)
    if segment_counts(segment)[0] <= SPARSE:
        with txn.cursor(index) as cursor:
            before = cursor.prev() if cursor.set_range(key) else cursor.last()
            neighbour = cursor.item() if before else (b"", b"")
        if (
            neighbour[0].startswith(ID_KEY.pack(mailbox))
            and segment_counts(neighbour[1])[0] <= SEGMENT_RECORDS - 2 * SPARSE
        ):
            joined = segment_append(neighbour[1], segment_records(segment))
            txn.put(neighbour[0], joined, index)
            return
    txn.put(key, segment, index)
