"""The change log of each mailbox (`changes`), and the change journal of the group (`ring`).

A change raises the mailbox's MODSEQ by one and is one row of the log: its kind and its UIDs. So
reading the changes since a MODSEQ costs in proportion to them (`Snapshot.changes`). The journal
lists changed mailboxes in the order of commits, for other processes.
"""

from enum import IntEnum
from typing import Final

from imapvm._core import UidSet
from imapvm.filepool.tables.messages.bodies import SweepKind
from imapvm.filepool.tables.schema import (
    CHANGE_KEY,
    ID_KEY,
    INLINE_MAX,
    JOURNAL_ROW,
    SEEN_BLOCK,
    SEEN_BLOCK_KEY,
    SWEEP_KEY,
    MailboxRow,
)
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.changes import AccountChange
from imapvm.model.ids import AccountId

JOURNAL_ROWS_KEPT: Final = 100_000
"""Rows of the journal that are kept; a process with a longer lag takes every mailbox as changed."""
CHANGES_KEPT: Final = 10_000
"""MODSEQs for which a mailbox's log is complete; of older changes, only expunges are kept.

Clients that return after a longer time get flags from the index (RFC 7162 section 3.1).
"""

SEEN_HEAD: Final = 1 + ID_KEY.size
"""Bytes before the UIDs of a change of \\Seen."""
ROWS_COMPARED: Final = 2_000
"""Rows of the log that a STORE with UNCHANGEDSINCE reads, in about 5 ms.

For a client whose MODSEQ is older, every change of \\Seen counts.
"""
RUNS_PER_PART: Final = 190
"""Runs of UIDs in one part of a change; a run takes at most ten bytes (two varints of 32 bits)."""


class Change(IntEnum):
    """Kinds of rows in `changes` and `ring`; those of messages also in rust/src/filepool."""

    APPENDED = 1
    FLAGGED = 2
    EXPUNGED = 3
    CREATED = 4
    """In the journal only, like the kinds below."""
    DELETED = 5
    RENAMED = 6
    ACCOUNT = 7
    """Of an account: annotations, names, subscriptions, or rights on mailboxes of others."""
    RIGHTS = 8
    """Of the ACL of a mailbox."""
    SEEN = 9
    r"""Of \Seen only, in a mailbox with readers; the log has the account whose flag it is.

    In the journal such a change is FLAGGED.
    """


def log_change(txn: GroupTxn, row: MailboxRow, kind: Change, uids: UidSet) -> None:
    """Log a change of some messages at the mailbox's highest MODSEQ, and add it to the journal."""
    stored = bytes(uids)
    if len(stored) < INLINE_MAX:  # not by a call: this is in each STORE and APPEND
        key = CHANGE_KEY.pack(row.id, row.highest_modseq, 0)
        txn.put(key, bytes((kind,)) + stored, txn.tables.changes)
    else:
        _log_parts(txn, row, bytes((kind,)), uids)
    record_change(txn, row, kind)
    if kind is Change.EXPUNGED and row.has_readers:
        _trim_seen_later(txn, row, uids)


def blocks_of(uids: UidSet) -> list[int]:
    """Return the blocks of the table `seen` in which some UIDs are, ascending."""
    blocks = {
        block
        for first, last in uids.runs()
        for block in range(first // SEEN_BLOCK, last // SEEN_BLOCK + 1)
    }
    return sorted(blocks)


def _trim_seen_later(txn: GroupTxn, row: MailboxRow, uids: UidSet) -> None:
    r"""Have the next sweep remove expunged messages from what readers have as \Seen."""
    head = SWEEP_KEY.pack(0, SweepKind.SEEN)
    for block in blocks_of(uids):
        txn.put(head + SEEN_BLOCK_KEY.pack(row.id, block), b"", txn.tables.sweep)


def log_seen_change(txn: GroupTxn, row: MailboxRow, account: AccountId, uids: UidSet) -> None:
    r"""Log a change of the \Seen of one account, which other accounts are not sent."""
    _log_parts(txn, row, bytes((Change.SEEN,)) + ID_KEY.pack(account), uids)
    record_change(txn, row, Change.FLAGGED)


def _log_parts(txn: GroupTxn, row: MailboxRow, head: bytes, uids: UidSet) -> None:
    table = txn.tables.changes
    runs = uids.runs()
    for part, at in enumerate(range(0, len(runs), RUNS_PER_PART)):
        some = bytes(UidSet(runs[at : at + RUNS_PER_PART]))
        txn.put(CHANGE_KEY.pack(row.id, row.highest_modseq, part), head + some, table)


def read_change(stored: bytes) -> tuple[Change, AccountId | None, bytes]:
    r"""Return the kind of a row of the log, the account of a change of \Seen, and stored UIDs.

    Raises:
        ValueError: the row cannot be read.
    """
    kind = Change(stored[0]) if stored else Change.CREATED
    if kind is not Change.SEEN:
        return kind, None, stored[1:]
    if len(stored) < SEEN_HEAD:
        raise ValueError("no account in a change of \\Seen")
    return kind, AccountId(ID_KEY.unpack_from(stored, 1)[0]), stored[SEEN_HEAD:]


def without_seen_of_others(
    txn: GroupTxn, row: MailboxRow, modified: UidSet, since: int, user: AccountId | None
) -> UidSet:
    r"""Return modified messages without those of which only the \Seen of others has changed.

    Args:
        txn: the transaction.
        row: the mailbox.
        modified: messages with a MODSEQ above `since`.
        since: the MODSEQ. If the log does not reach back so far, or has more than ROWS_COMPARED
            rows since, all are returned.
        user: account whose \Seen counts; None: that of all.
    """
    if user is None or since < row.changes_from:
        return modified
    runs: list[tuple[int, int]] = []
    prefix = ID_KEY.pack(row.id)
    with txn.cursor(txn.tables.changes) as cursor:
        found = cursor.set_range(CHANGE_KEY.pack(row.id, since + 1, 0))
        for _ in range(ROWS_COMPARED):
            if not found or not cursor.key().startswith(prefix):
                return modified & UidSet(runs)
            kind, account, uids = read_change(cursor.value())
            if kind is not Change.EXPUNGED and account in (None, user):
                runs.extend(UidSet.from_bytes(uids).runs())
            found = cursor.next()
    return modified


def record_change(txn: GroupTxn, row: MailboxRow, kind: Change) -> None:
    """Add a changed mailbox to the journal."""
    _add_to_journal(txn, row.id, row.highest_modseq, kind)
    txn.changed.add(row.id)


def record_account_change(txn: GroupTxn, account: AccountId, number: int) -> None:
    """Add an account to the journal, with the number of its last change in its log.

    Account 0 is any account: rights of all users or of a group have changed.
    """
    _add_to_journal(txn, account, number, Change.ACCOUNT)
    txn.changed.add(AccountChange(account))


def _add_to_journal(txn: GroupTxn, subject: int, number: int, kind: Change) -> None:
    sequence = txn.allocate_sequence()
    row = JOURNAL_ROW.pack(subject, number, kind)
    txn.put_last(ID_KEY.pack(sequence), row, txn.tables.journal)
    txn.journal_rows[1:] = [sequence]
