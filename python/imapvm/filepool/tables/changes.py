"""The change log of each mailbox (`changes`), and the change journal of the group (`ring`).

A change raises the mailbox's MODSEQ by one and is one row of the log: its kind and its UIDs. So
reading the changes since a MODSEQ costs in proportion to them. The journal lists changed mailboxes
in the order of commits, for other processes.
"""

from enum import IntEnum
from itertools import zip_longest
from typing import Final

from imapvm._core import UidSet
from imapvm.filepool.engine.transactions import LmdbCursor
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.schema import CHANGE_KEY, ID_KEY, INLINE_MAX, JOURNAL_ROW, MailboxRow
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.changes import MailboxChanges
from imapvm.model.ids import ModSeq
from imapvm.model.limits import CHANGE_ROWS_MAX

JOURNAL_ROWS_KEPT: Final = 100_000
"""Rows of the journal that are kept; a process with a longer lag takes every mailbox as changed."""
CHANGES_KEPT: Final = 10_000
"""MODSEQs for which a mailbox's log is complete; of older changes, only expunges are kept.

Clients that return after a longer time get flags from the index (RFC 7162 section 3.1).
"""

RUNS_PER_PART: Final = 190
"""Runs of UIDs in one part of a change; a run takes at most ten bytes (two varints of 32 bits)."""


class Change(IntEnum):
    """Kinds of rows in `changes` and `ring`."""

    APPENDED = 1
    FLAGGED = 2
    EXPUNGED = 3
    CREATED = 4
    """In the journal only, like the kinds below."""
    DELETED = 5
    RENAMED = 6


def log_change(txn: GroupTxn, row: MailboxRow, kind: Change, uids: UidSet) -> None:
    """Log a change of some messages at the mailbox's highest MODSEQ, and add it to the journal."""
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
    """Add a changed mailbox to the journal."""
    sequence = txn.allocate(b"ring")
    txn.put_last(
        ID_KEY.pack(sequence),
        JOURNAL_ROW.pack(row.id, row.highest_modseq, kind),
        txn.tables.journal,
    )
    txn.journal_rows[1:] = [sequence]
    txn.changed.add(row.id)


def read_changes(
    cursor: LmdbCursor,
    mailbox: int,
    since: int,
    *,
    highest: int,
    complete: bool,
    expunges_complete: bool,
) -> MailboxChanges:
    """Read and merge the changes after a MODSEQ, up to the end of the CHANGE_ROWS_MAX-th row's.

    Args:
        cursor: of the table `changes`.
        mailbox: id of the mailbox.
        since: the MODSEQ.
        highest: the mailbox's highest MODSEQ.
        complete: False if the log does not reach back to `since`.
        expunges_complete: False if expunges after `since` are no longer logged.
    """
    sets: dict[int, list[UidSet]] = {
        Change.APPENDED: [],
        Change.FLAGGED: [],
        Change.EXPUNGED: [],
    }
    prefix = ID_KEY.pack(mailbox)
    until, rows, last = highest, 0, since
    if since < highest and cursor.set_range(CHANGE_KEY.pack(mailbox, since + 1, 0)):
        for key, value in cursor:
            if not key.startswith(prefix):
                break
            modseq = CHANGE_KEY.unpack(key)[1]
            if rows >= CHANGE_ROWS_MAX and modseq != last:
                until = last
                break
            rows, last = rows + 1, modseq
            same = sets.get(value[0])
            if same is None:
                raise CorruptDataError(f"cannot read the change log of mailbox {mailbox}")
            same.append(UidSet.from_bytes(value[1:]))
    appended = union(sets[Change.APPENDED])
    return MailboxChanges(
        modseq=ModSeq(until),
        appended=appended,
        expunged=union(sets[Change.EXPUNGED]),
        flagged=union(sets[Change.FLAGGED]) - appended,
        complete=complete,
        expunges_complete=expunges_complete,
    )


def union(sets: list[UidSet]) -> UidSet:
    """Return the union of many sets: in pairs, which takes a quarter of the time of their runs."""
    while len(sets) > 1:
        pairs = zip_longest(sets[::2], sets[1::2])
        sets = [one if other is None else one | other for one, other in pairs]
    return sets[0] if sets else UidSet()
