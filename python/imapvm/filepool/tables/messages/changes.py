"""The change log of each mailbox (`changes`), and the change journal of the group (`ring`).

A change raises the mailbox's MODSEQ by one and is one row of the log: its kind and its UIDs. So
reading the changes since a MODSEQ costs in proportion to them (`Snapshot.changes`). The journal
lists changed mailboxes in the order of commits, for other processes.
"""

from enum import IntEnum
from typing import Final

from imapvm._core import UidSet
from imapvm.filepool.tables.schema import CHANGE_KEY, ID_KEY, INLINE_MAX, JOURNAL_ROW, MailboxRow
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.changes import AccountChange
from imapvm.model.ids import AccountId

JOURNAL_ROWS_KEPT: Final = 100_000
"""Rows of the journal that are kept; a process with a longer lag takes every mailbox as changed."""
CHANGES_KEPT: Final = 10_000
"""MODSEQs for which a mailbox's log is complete; of older changes, only expunges are kept.

Clients that return after a longer time get flags from the index (RFC 7162 section 3.1).
"""

RUNS_PER_PART: Final = 190
"""Runs of UIDs in one part of a change; a run takes at most ten bytes (two varints of 32 bits)."""


class Change(IntEnum):
    """Kinds of rows in `changes` and `ring`; the first three also in rust/src/filepool."""

    APPENDED = 1
    FLAGGED = 2
    EXPUNGED = 3
    CREATED = 4
    """In the journal only, like the kinds below."""
    DELETED = 5
    RENAMED = 6
    ANNOTATED = 7
    """Of an account: annotations of its mailboxes, or its own of the server."""
    RIGHTS = 8
    """Of the ACL of a mailbox."""


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
    _add_to_journal(txn, row.id, row.highest_modseq, kind)
    txn.changed.add(row.id)


def record_account_change(txn: GroupTxn, account: AccountId, number: int) -> None:
    """Add an account with changed annotations to the journal, and the number of its last change."""
    _add_to_journal(txn, account, number, Change.ANNOTATED)
    txn.changed.add(AccountChange(account))


def _add_to_journal(txn: GroupTxn, subject: int, number: int, kind: Change) -> None:
    sequence = txn.allocate_sequence()
    row = JOURNAL_ROW.pack(subject, number, kind)
    txn.put_last(ID_KEY.pack(sequence), row, txn.tables.journal)
    txn.journal_rows[1:] = [sequence]
