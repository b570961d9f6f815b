"""Sweeping: removal of expired data in bounded steps.

The table `sweep` has a row for each expiring item, in the order of time. A step ends when it has
removed STEP_ROWS rows; an item that is not completely removed keeps its row.
"""

from contextlib import suppress
from typing import Final

from imapvm._core import CorruptError, segment_records
from imapvm.filepool.engine.transactions import Table
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.operations.mailboxes.annotations import drop_annotations
from imapvm.filepool.tables.acl import clear_acl
from imapvm.filepool.tables.annotations import SERVER, Scope
from imapvm.filepool.tables.messages.bodies import SweepKind, release, sweep_key
from imapvm.filepool.tables.messages.changes import CHANGES_KEPT, JOURNAL_ROWS_KEPT, Change
from imapvm.filepool.tables.schema import (
    CHANGE_KEY,
    COUNTER,
    ID_KEY,
    PAIR_KEY,
    SEEN_BLOCK_KEY,
    SWEEP_KEY,
    MailboxRow,
    forgotten_key,
)
from imapvm.filepool.tables.seen import trim_seen
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.values import frozen

STEP_ROWS: Final = 2000
"""Rows that one step removes, in about 10 ms; other operations wait no longer than that."""
MAILBOXES_PER_STEP: Final = 500
"""Mailboxes whose change log one step examines."""


@frozen
class SweepReport:
    """Numbers of removed items."""

    bodies: int = 0
    mailboxes: int = 0
    accounts: int = 0
    deliveries: int = 0
    journal_rows: int = 0
    change_rows: int = 0
    more: bool = False
    """True if expired data remains: call again."""

    def __add__(self, other: "SweepReport") -> "SweepReport":
        """Add the numbers; take `more` from the later report."""
        return SweepReport(
            self.bodies + other.bodies,
            self.mailboxes + other.mailboxes,
            self.accounts + other.accounts,
            self.deliveries + other.deliveries,
            self.journal_rows + other.journal_rows,
            self.change_rows + other.change_rows,
            other.more,
        )


class Budget:
    """Number of rows that may still be removed in this step."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = STEP_ROWS

    def clear(self, txn: GroupTxn, table: Table, prefix: bytes) -> bool:
        """Remove rows with a prefix; return True if none remain."""
        keys = txn.keys(table, prefix, self.left)
        for key in keys:
            txn.delete(key, table)
        self.left -= len(keys)
        return self.left > 0


def clear_mailbox(txn: GroupTxn, mailbox: int, budget: Budget, now: int) -> bool:
    """Remove the remains of a deleted mailbox and release its bodies; return True when done."""
    index = txn.tables.index
    while budget.left > 0:
        keys = txn.keys(index, ID_KEY.pack(mailbox), 1)
        if not keys:
            break
        segment = txn.require(keys[0], index)
        try:
            records = segment_records(segment)
        except CorruptError:
            records = []  # its bodies stay, and `filepool check` finds them
        for record in records:
            release(txn, record.body, now)
        txn.delete(keys[0], index)
        budget.left -= 1 + len(records)
    prefix = ID_KEY.pack(mailbox)
    txn.delete(forgotten_key(mailbox), txn.tables.counters)
    return (
        budget.left > 0
        and budget.clear(txn, txn.tables.changes, prefix)
        and budget.clear(txn, txn.tables.keywords, prefix)
        and budget.clear(txn, txn.tables.annotations, prefix)
        and budget.clear(txn, txn.tables.seen, prefix)
    )


def clear_account(txn: GroupTxn, account: AccountId, budget: Budget, now: int) -> bool:
    """Remove the remains of a deleted account, mailboxes first; return True when done."""
    prefix = ID_KEY.pack(account)
    table = txn.tables.mailboxes
    while budget.left > 0:
        keys = txn.keys(table, prefix, 1)
        if not keys:
            break
        mailbox = MailboxId(PAIR_KEY.unpack(keys[0])[1])
        txn.put(sweep_key(now, SweepKind.MAILBOX, mailbox), b"", txn.tables.sweep)
        txn.drop_mailbox(account, mailbox)
        budget.left -= 1 + clear_acl(txn, account, mailbox)
        budget.left -= drop_annotations(txn, account, mailbox)
    return (
        budget.left > 0
        and budget.clear(txn, txn.tables.names, prefix)
        and budget.clear(txn, txn.tables.threads, prefix)
        and budget.clear(txn, txn.tables.annotations, Scope(SERVER, account).key)
        and budget.clear(txn, txn.tables.annotation_usage, prefix)
        and budget.clear(txn, txn.tables.annotation_changes, prefix)
        and budget.clear(txn, txn.tables.name_changes, prefix)
    )


@frozen
class SweepStep:
    """Step of a sweep: due rows of `sweep`, then the change journal, then change logs.

    The result has the key in `mailboxes` at which the next step continues.
    """

    now: int
    after: bytes = b""
    """Key in `mailboxes` from which on change logs are examined."""
    expunges_kept: int | None = None
    """MODSEQs for which expunges are kept, at least CHANGES_KEPT; None: all are kept.

    Clients that return later get all UIDs without a message (RFC 7162 section 3.2.6)."""

    def apply(self, txn: GroupTxn) -> tuple[SweepReport, bytes]:
        budget = Budget()
        counts = dict.fromkeys((1, 2, 3, 4, 5, 6), 0)
        table = txn.tables.sweep
        end = SWEEP_KEY.pack(self.now + 1, 0)
        due = [key for key in txn.keys(table, b"", STEP_ROWS) if key < end]
        for key in due:
            _, kind = SWEEP_KEY.unpack_from(key)
            if budget.left <= 0 or not self._sweep(txn, kind, key, budget):
                break
            txn.delete(key, table)
            counts[kind] += 1
            budget.left -= 1
        journal = self._trim_journal(txn, budget)
        trimmed, after = self._trim_changes(txn, budget)
        report = SweepReport(
            bodies=counts[SweepKind.BODY] + counts[SweepKind.STAGED],
            mailboxes=counts[SweepKind.MAILBOX],
            accounts=counts[SweepKind.ACCOUNT],
            deliveries=counts[SweepKind.DELIVERY],
            journal_rows=journal,
            change_rows=trimmed,
            more=budget.left <= 0 or self._is_due(txn, end),
        )
        return report, after

    def _is_due(self, txn: GroupTxn, end: bytes) -> bool:
        first = txn.keys(txn.tables.sweep, b"", 1)
        return bool(first) and first[0] < end

    def _sweep(self, txn: GroupTxn, kind: int, key: bytes, budget: Budget) -> bool:
        """Remove the item of one row; return True when it is completely removed."""
        what = key[SWEEP_KEY.size :]
        if kind == SweepKind.DELIVERY:
            txn.delete(what, txn.tables.deliveries)
            return True
        if kind == SweepKind.SEEN:
            return _trim_seen(txn, key, budget)
        (number,) = ID_KEY.unpack(what)
        if kind == SweepKind.MAILBOX:
            return clear_mailbox(txn, number, budget, self.now)
        if kind == SweepKind.ACCOUNT:
            return clear_account(txn, AccountId(number), budget, self.now)
        if txn.get(what, txn.tables.references) is not None:
            return True  # a message refers to it: only the row is wrong
        return budget.clear(txn, txn.tables.bodies, what) and budget.clear(
            txn, txn.tables.metadata, what
        )

    def _trim_journal(self, txn: GroupTxn, budget: Budget) -> int:
        """Remove all but the last JOURNAL_ROWS_KEPT rows; return the number of removed rows."""
        table = txn.tables.journal
        end = ID_KEY.pack(max(txn.last_sequence() - JOURNAL_ROWS_KEPT, 0) + 1)
        keys = [key for key in txn.keys(table, b"", budget.left) if key < end]
        for key in keys:
            txn.delete(key, table)
        budget.left -= len(keys)
        return len(keys)

    def _trim_changes(self, txn: GroupTxn, budget: Budget) -> tuple[int, bytes]:
        """Remove old rows of change logs; of expunges those older than `expunges_kept`."""
        examined, removed = 0, 0
        txn.flush()
        with txn.cursor(txn.tables.mailboxes) as cursor:
            found = cursor.set_range(self.after) if self.after else cursor.first()
            rows = []
            while found and examined < MAILBOXES_PER_STEP:
                key, stored = cursor.item()
                with suppress(CorruptDataError):  # reported by `filepool check`
                    row = MailboxRow.from_bytes(key, stored)
                    if row.highest_modseq - row.changes_from > CHANGES_KEPT or _forgotten(
                        txn, row.id
                    ) < self._forget_up_to(row):
                        rows.append((key, row))
                examined += 1
                found = cursor.next()
            after = cursor.key() if found else b""
        for key, row in rows:
            if budget.left <= 0:
                return removed, key
            if txn.get(ID_KEY.pack(row.account), txn.tables.usage) is not None:
                row = txn.mailbox(row.account, row.id)
                removed += self._trim_mailbox(txn, row, budget)
                removed += self._forget_expunges(txn, row, budget)
        return removed, after

    def _forget_up_to(self, row: MailboxRow) -> int:
        """Return the MODSEQ up to which expunges need not be kept."""
        if self.expunges_kept is None:
            return 0
        return min(row.highest_modseq - self.expunges_kept, row.changes_from)

    def _trim_mailbox(self, txn: GroupTxn, row: MailboxRow, budget: Budget) -> int:
        """Remove old changes of one mailbox, each with all its parts."""
        table = txn.tables.changes
        done = row.highest_modseq - CHANGES_KEPT
        expired: list[bytes] = []
        with txn.cursor(table) as cursor:
            if cursor.set_range(CHANGE_KEY.pack(row.id, row.changes_from + 1, 0)):
                for key, value in cursor:
                    mailbox, modseq, part = CHANGE_KEY.unpack(key)
                    if mailbox != row.id or modseq > done:
                        break
                    if len(expired) >= budget.left and part == 0:
                        done = modseq - 1
                        break
                    if value[0] != Change.EXPUNGED:
                        expired.append(key)
        for key in expired:
            txn.delete(key, table)
        budget.left -= len(expired)
        if done > row.changes_from:
            txn.edit(row)
            row.changes_from = done
        return len(expired)

    def _forget_expunges(self, txn: GroupTxn, row: MailboxRow, budget: Budget) -> int:
        """Remove old expunges of one mailbox, each with all its parts.

        Up to `changes_from` the log has nothing else.
        """
        table = txn.tables.changes
        before, done = _forgotten(txn, row.id), self._forget_up_to(row)
        expired: list[bytes] = []
        if done <= before:
            return 0
        with txn.cursor(table) as cursor:
            if cursor.set_range(CHANGE_KEY.pack(row.id, before + 1, 0)):
                for key, _ in cursor:
                    mailbox, modseq, part = CHANGE_KEY.unpack(key)
                    if mailbox != row.id or modseq > done:
                        break
                    if len(expired) >= budget.left and part == 0:
                        done = modseq - 1
                        break
                    expired.append(key)
        for key in expired:
            txn.delete(key, table)
        budget.left -= len(expired)
        if done > before:
            txn.put(forgotten_key(row.id), COUNTER.pack(done), txn.tables.counters)
        return len(expired)


def _trim_seen(txn: GroupTxn, item: bytes, budget: Budget) -> bool:
    """Remove expunged messages from what readers have seen; return True when done.

    The value of the item is the account at which the next step continues.
    """
    mailbox, block = SEEN_BLOCK_KEY.unpack_from(item, SWEEP_KEY.size)
    stored = txn.require(item, txn.tables.sweep)
    reader = COUNTER.unpack(stored)[0] if stored else 0
    trimmed = trim_seen(txn, MailboxId(mailbox), block, reader, budget.left)
    budget.left -= trimmed.cost
    if trimmed.reader is None:
        return True
    txn.put(item, COUNTER.pack(trimmed.reader), txn.tables.sweep)
    return False


def _forgotten(txn: GroupTxn, mailbox: int) -> int:
    """Return the MODSEQ up to which expunges of a mailbox are no longer logged."""
    stored = txn.get(forgotten_key(mailbox), txn.tables.counters)
    return 0 if stored is None else int(COUNTER.unpack(stored)[0])
