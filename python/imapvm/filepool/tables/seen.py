r"""The table `seen`: messages that a reader other than the owner has seen, in blocks of UIDs.

Only readers of mailboxes whose \Seen is private have rows. Expunged messages are removed by the
next sweep: UIDs are never reused. A change is a change of the mailbox with a new MODSEQ; the
change log has the reader, so only the reader's sessions are sent it.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from imapvm._core import UidSet
from imapvm.filepool.tables.messages import index
from imapvm.filepool.tables.messages.changes import blocks_of
from imapvm.filepool.tables.schema import ID_KEY, PAIR_KEY, SEEN_BLOCK, SEEN_KEY
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId

BLOCK_COST: Final = 20
"""Cost of reading which messages of a block exist, in rows that are removed in the same time."""
ACCOUNTS_PER_STEP: Final = 500
"""Mailboxes with rows that one step of removing a reader examines."""


def seen_prefix(mailbox: int, account: int) -> bytes:
    """Return the first part of the keys of a reader's rows."""
    return PAIR_KEY.pack(mailbox, account)


def union_of(rows: Iterable[tuple[bytes, bytes]]) -> UidSet:
    """Return all UIDs in the rows of a reader.

    By pairs: 100,000 runs take 3 ms, one row after another would take 15.
    """
    sets = [UidSet.from_bytes(stored) for _, stored in rows]
    while len(sets) > 1:
        odd = sets[len(sets) & ~1 :]
        sets = [one | other for one, other in zip(sets[::2], sets[1::2], strict=False)] + odd
    return sets[0] if sets else UidSet()


def seen_among(txn: GroupTxn, mailbox: MailboxId, account: AccountId, uids: UidSet) -> UidSet:
    """Return those of some messages that a reader has seen; reads their blocks only."""
    rows: list[tuple[bytes, bytes]] = []
    for block in blocks_of(uids):
        key = SEEN_KEY.pack(mailbox, account, block)
        stored = txn.get(key, txn.tables.seen)
        if stored is not None:
            rows.append((key, stored))
    return union_of(rows) & uids


def change_seen(
    txn: GroupTxn, mailbox: MailboxId, account: AccountId, uids: UidSet, *, seen: bool
) -> None:
    """Add messages to those that a reader has seen, or remove them."""
    table = txn.tables.seen
    while (first := uids.first) is not None:
        block = first // SEEN_BLOCK
        part = uids & _uids_of(block)
        uids -= part
        key = SEEN_KEY.pack(mailbox, account, block)
        stored = txn.get(key, table)
        before = UidSet() if stored is None else UidSet.from_bytes(stored)
        after = before | part if seen else before - part
        if after:
            txn.put(key, bytes(after), table)
        else:
            txn.delete(key, table)


class Trimmed(NamedTuple):
    """Result of `trim_seen`."""

    reader: int | None
    """Account at which to continue; None: done."""
    cost: int
    """In rows that are removed in the same time."""


def trim_seen(txn: GroupTxn, mailbox: MailboxId, block: int, reader: int, budget: int) -> Trimmed:
    """Remove expunged messages from a block of the rows of all readers of a mailbox.

    Args:
        txn: the transaction.
        mailbox: the mailbox.
        block: number of the block.
        reader: 0, or the account at which to continue.
        budget: cost at which to stop.
    """
    table, cost = txn.tables.seen, BLOCK_COST
    present = index.present(txn, mailbox, _uids_of(block))
    while cost < budget:
        key = _first_key(txn, SEEN_KEY.pack(mailbox, reader, block))
        if key is None or not key.startswith(ID_KEY.pack(mailbox)):
            return Trimmed(None, cost)
        _, found, number = SEEN_KEY.unpack(key)
        cost += 1
        if found != reader and number < block:
            reader = found
            continue
        if number == block:
            before = UidSet.from_bytes(txn.require(key, table))
            now = before & present
            if not now:
                txn.delete(key, table)
            elif now != before:
                txn.put(key, bytes(now), table)
        reader = found + 1
    return Trimmed(reader, cost)


def _first_key(txn: GroupTxn, start: bytes) -> bytes | None:
    with txn.cursor(txn.tables.seen) as cursor:
        return cursor.key() if cursor.set_range(start) else None


def _uids_of(block: int) -> UidSet:
    return UidSet([(max(block * SEEN_BLOCK, 1), (block + 1) * SEEN_BLOCK - 1)])


def clear_reader(
    txn: GroupTxn, account: AccountId, after: int, budget: int
) -> tuple[int | None, int]:
    """Remove rows of a reader who was deleted, one mailbox after another.

    Args:
        txn: the transaction.
        account: the reader.
        after: mailboxes up to this one are done.
        budget: rows that may be removed.

    Returns:
        The last mailbox that is done, or None if all are; and the budget that is left.
    """
    table = txn.tables.seen
    for _ in range(ACCOUNTS_PER_STEP):
        found = _next_mailbox(txn, after)
        if found is None:
            return None, budget
        keys = txn.keys(table, seen_prefix(found, account), budget)
        for key in keys:
            txn.delete(key, table)
        budget -= len(keys)
        if budget <= 0:
            return after, budget
        after = found
    return after, budget


def _next_mailbox(txn: GroupTxn, after: int) -> int | None:
    with txn.cursor(txn.tables.seen) as cursor:
        if cursor.set_range(ID_KEY.pack(after + 1)):
            return int(ID_KEY.unpack_from(cursor.key())[0])
    return None
