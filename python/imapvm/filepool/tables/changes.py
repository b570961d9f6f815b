"""The change log of each mailbox, and the ring that says which mailboxes have news.

A change raises the mailbox's MODSEQ by one and is one row of the log: its kind and its UIDs. So
"what is new since" costs in proportion to what is new.
"""

from enum import IntEnum
from typing import Final

from imapvm._core import UidSet
from imapvm.filepool.engine.transactions import LmdbCursor
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.schema import CHANGE_KEY, ID_KEY, INLINE_MAX, JOURNAL_ROW, MailboxRow
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.changes import MailboxChanges
from imapvm.model.ids import ModSeq

JOURNAL_ROWS_KEPT: Final = 100_000
"""Rows of the ring; who has fallen behind further takes every mailbox as changed."""
CHANGES_KEPT: Final = 10_000
"""MODSEQs for which a mailbox's log is complete; of what is older, only expunges are kept.

Clients that come back after a longer time are told of flags from the index (RFC 7162 section 3.1).
"""

RUNS_PER_PART: Final = 190
"""Runs of UIDs in one part of a change: each takes at most ten octets (two varints of 32 bits)."""


class Change(IntEnum):
    """Kinds of rows in `changes` and in `ring`."""

    APPENDED = 1
    FLAGGED = 2
    EXPUNGED = 3
    CREATED = 4
    """In the ring only, as those that follow."""
    DELETED = 5
    RENAMED = 6


def log_change(txn: GroupTxn, row: MailboxRow, kind: Change, uids: UidSet) -> None:
    """Record what happened to some UIDs at the mailbox's highest MODSEQ, and record_change it."""
    stored = bytes(uids)
    table = txn.tables.changes
    if len(stored) < INLINE_MAX:
        txn.put(CHANGE_KEY.pack(row.id, row.highest_modseq, 0), bytes((kind,)) + stored, table)
    else:
        runs = uids.runs()
        for part, at in enumerate(range(0, len(runs), RUNS_PER_PART)):
            some = bytes(UidSet(runs[at : at + RUNS_PER_PART]))
            txn.put(CHANGE_KEY.pack(row.id, row.highest_modseq, part), bytes((kind,)) + some, table)
    record_change(txn, row, kind)


def record_change(txn: GroupTxn, row: MailboxRow, kind: Change) -> None:
    """Put a row into the ring, so that every process hears of it."""
    sequence = txn.allocate(b"ring")
    txn.put_last(
        ID_KEY.pack(sequence),
        JOURNAL_ROW.pack(row.id, row.highest_modseq, kind),
        txn.tables.journal,
    )
    txn.journal_rows[1:] = [sequence]
    txn.changed.add(row.id)


def read_changes(
    cursor: LmdbCursor, mailbox: int, since: int, *, highest: int, complete: bool
) -> MailboxChanges:
    """Put the rows behind a MODSEQ together."""
    appended: list[tuple[int, int]] = []
    flagged: list[tuple[int, int]] = []
    expunged: list[tuple[int, int]] = []
    kinds = {Change.APPENDED: appended, Change.FLAGGED: flagged, Change.EXPUNGED: expunged}
    prefix = ID_KEY.pack(mailbox)
    if since < highest and cursor.set_range(CHANGE_KEY.pack(mailbox, since + 1, 0)):
        for key, value in cursor:
            if not key.startswith(prefix):
                break
            runs = kinds.get(value[0])  # type: ignore[call-overload]
            if runs is None:
                raise CorruptDataError(f"The change log of mailbox {mailbox} cannot be read.")
            runs.extend(UidSet.from_bytes(value[1:]).runs())
    new = UidSet(appended)
    return MailboxChanges(
        modseq=ModSeq(highest),
        appended=new,
        expunged=UidSet(expunged),
        flagged=UidSet(flagged) - new,
        complete=complete,
    )
