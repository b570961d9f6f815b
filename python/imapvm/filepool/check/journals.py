"""Keyword sets, change logs, the ring, threads, counters."""

from struct import error
from typing import TYPE_CHECKING

from imapvm._core import CorruptError, UidSet
from imapvm.filepool.check.findings import deleting, putting
from imapvm.filepool.check.mailboxes import counting
from imapvm.filepool.tables.changes import Change
from imapvm.filepool.tables.schema import (
    CHANGE_KEY,
    COUNTER,
    ID_KEY,
    KEYWORDS_KEY,
    PAIR_KEY,
    RING_ROW,
)

if TYPE_CHECKING:
    import lmdb

    from imapvm.filepool.check.findings import Findings
    from imapvm.filepool.check.state import GroupPicture
    from imapvm.filepool.engine.transactions import GroupTxn


def inspect_logs(
    txn: "lmdb.Transaction[bytes]", picture: "GroupPicture", found: "Findings[GroupTxn]"
) -> None:
    """Check what belongs to mailboxes and accounts beside messages."""
    _inspect_keywords(txn, picture, found)
    _inspect_changes(txn, picture, found)
    _inspect_ring(txn, picture, found)
    _inspect_threads(txn, picture, found)


def inspect_counters(
    txn: "lmdb.Transaction[bytes]", picture: "GroupPicture", found: "Findings[GroupTxn]"
) -> None:
    """No id may occur that its counter would give out again. Call it last."""
    table = picture.tables.counters
    for counter, number in picture.highest.items():
        stored = txn.get(counter, None, table)
        if number > (COUNTER.unpack(stored)[0] if stored else 0):
            found.add(
                f"There is a {counter.decode()} {number}, which was not given out.",
                putting(table, counter, COUNTER.pack(number)),
            )


def _inspect_keywords(
    txn: "lmdb.Transaction[bytes]", picture: "GroupPicture", found: "Findings[GroupTxn]"
) -> None:
    lost: set[int] = set()
    sets: set[bytes] = set()
    last_mailbox = last_number = 0
    with txn.cursor(picture.tables.keywords) as cursor:
        for key, names in cursor:
            mailbox, number = KEYWORDS_KEY.unpack(key)
            if not picture.knows_mailbox(mailbox):
                if mailbox not in lost:
                    lost.add(mailbox)
                    found.add(
                        f"There are keywords of mailbox {mailbox}, which does not exist.",
                        picture.sweep_mailbox(mailbox),
                    )
                continue
            if mailbox != last_mailbox:
                sets, last_mailbox, last_number = set(), mailbox, 0
            row = picture.mailboxes.get(mailbox)
            what = f"Keyword set {number} of mailbox {mailbox}"
            if row is not None and (number > row.keyword_sets or number != last_number + 1):
                found.add(f"{what} has a number that was not given out.")
            if not names or not all(names.split(b" ")) or not names.isascii():
                found.add(f"{what} cannot be read.")
            if names.lower() in sets:
                found.add(f"{what} is there twice.")
            sets.add(names.lower())
            last_number = number
    for row in picture.mailboxes.values():
        for number in range(1, row.keyword_sets + 1):
            if txn.get(KEYWORDS_KEY.pack(row.id, number), None, picture.tables.keywords) is None:
                found.add(f"Keyword set {number} of mailbox {row.id} is missing.")


def _inspect_changes(
    txn: "lmdb.Transaction[bytes]", picture: "GroupPicture", found: "Findings[GroupTxn]"
) -> None:
    lost: set[int] = set()
    with txn.cursor(picture.tables.changes) as cursor:
        for key, stored in cursor:
            mailbox, modseq, _ = CHANGE_KEY.unpack(key)
            if not picture.knows_mailbox(mailbox):
                if mailbox not in lost:
                    lost.add(mailbox)
                    found.add(
                        f"There are changes of mailbox {mailbox}, which does not exist.",
                        picture.sweep_mailbox(mailbox),
                    )
                continue
            row = picture.mailboxes.get(mailbox)
            if row is None:
                continue
            what = f"Change {modseq} of mailbox {mailbox}"
            if modseq > row.highest_modseq:
                counted = picture.counted[mailbox]
                counted.modseq = max(counted.modseq, modseq)
                found.add(
                    f"{what} is above its highest MODSEQ, {row.highest_modseq}.",
                    counting(picture, row) if picture.whole else None,
                )
            try:
                uids = UidSet.from_bytes(stored[1:])
                kind = Change(stored[0])
            except (CorruptError, ValueError, IndexError):
                found.add(f"{what} cannot be read.")
                continue
            if kind > Change.EXPUNGED:
                found.add(f"{what} cannot be read.")
            elif uids.last is None or uids.last >= row.uid_next:
                found.add(f"{what} is about messages that never were.")
            elif kind is not Change.EXPUNGED and modseq <= row.changes_from:
                found.add(
                    f"{what} should have been forgotten.", deleting(picture.tables.changes, key)
                )


def _inspect_ring(
    txn: "lmdb.Transaction[bytes]", picture: "GroupPicture", found: "Findings[GroupTxn]"
) -> None:
    before = 0
    with txn.cursor(picture.tables.ring) as cursor:
        for key, stored in cursor:
            (sequence,) = ID_KEY.unpack(key)
            if before and sequence != before + 1:
                found.add(f"The ring has nothing between {before} and {sequence}.")
            before = sequence
            try:
                mailbox, modseq, kind = RING_ROW.unpack(stored)
                Change(kind)
            except (error, ValueError):
                found.add(f"Row {sequence} of the ring cannot be read.")
                continue
            row = picture.mailboxes.get(mailbox)
            if row is not None and modseq > row.highest_modseq:
                found.add(
                    f"Row {sequence} of the ring is about MODSEQ {modseq} of mailbox {mailbox}, "
                    f"whose highest is {row.highest_modseq}."
                )
    picture.saw(b"ring", before)


def _inspect_threads(
    txn: "lmdb.Transaction[bytes]", picture: "GroupPicture", found: "Findings[GroupTxn]"
) -> None:
    lost: set[int] = set()
    with txn.cursor(picture.tables.threads) as cursor:
        for key, stored in cursor:
            account, _ = PAIR_KEY.unpack(key)
            picture.saw(b"thread", COUNTER.unpack(stored)[0])
            if not picture.knows_account(account) and account not in lost:
                lost.add(account)
                found.add(
                    f"There are threads of account {account}, which does not exist.",
                    picture.sweep_account(account),
                )
