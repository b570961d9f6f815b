"""Check of keyword sets, change logs, the change journal, threads and counters."""

from struct import error

from imapvm._core import CorruptError, UidSet
from imapvm.filepool.check.findings import Findings, delete_row, put_row
from imapvm.filepool.check.mailboxes import recount
from imapvm.filepool.check.state import GroupState
from imapvm.filepool.engine.transactions import LmdbTxn
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.messages.changes import Change, read_change
from imapvm.filepool.tables.name_changes import decoded
from imapvm.filepool.tables.schema import (
    CHANGE_KEY,
    COUNTER,
    FORGOTTEN_EXPUNGES,
    ID_KEY,
    JOURNAL_ROW,
    KEYWORDS_KEY,
    PAIR_KEY,
)
from imapvm.filepool.tables.transactions import GroupTxn


def inspect_logs(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    """Check keyword sets, change logs, the change journal and threads."""
    _inspect_keywords(txn, state, found)
    _inspect_changes(txn, state, found)
    _inspect_journal(txn, state, found)
    _inspect_names(txn, state, found)
    _inspect_threads(txn, state, found)


def inspect_counters(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    """Check that no id occurs that its counter would allocate again. Call it last."""
    table = state.tables.counters
    for counter, number in state.highest.items():
        stored = txn.get(counter, None, table)
        if number > (COUNTER.unpack(stored)[0] if stored else 0):
            found.add(
                f"{counter.decode()} {number} exists, but was not allocated",
                put_row(table, counter, COUNTER.pack(number)),
            )


def _inspect_keywords(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    sets: set[bytes] = set()
    last_mailbox = last_number = 0
    with txn.cursor(state.tables.keywords) as cursor:
        for key, names in cursor:
            mailbox, number = KEYWORDS_KEY.unpack(key)
            if not state.check_mailbox(mailbox, "keywords exist in", found):
                continue
            if mailbox != last_mailbox:
                sets, last_mailbox, last_number = set(), mailbox, 0
            row = state.mailboxes.get(mailbox)
            what = f"keyword set {number} of mailbox {mailbox}"
            if row is not None and (number > row.keyword_sets or number != last_number + 1):
                found.add(f"{what} has a number that was not allocated")
            if not names or not all(names.split(b" ")) or not names.isascii():
                found.add(f"{what} cannot be read")
            if names.lower() in sets:
                found.add(f"{what} exists twice")
            sets.add(names.lower())
            last_number = number
    for row in state.mailboxes.values():
        for number in range(1, row.keyword_sets + 1):
            if txn.get(KEYWORDS_KEY.pack(row.id, number), None, state.tables.keywords) is None:
                found.add(f"keyword set {number} of mailbox {row.id} is missing")


def _inspect_changes(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    forgotten = _inspect_forgotten(txn, state, found)
    with txn.cursor(state.tables.changes) as cursor:
        for key, stored in cursor:
            mailbox, modseq, _ = CHANGE_KEY.unpack(key)
            if not state.check_mailbox(mailbox, "changes exist in", found):
                continue
            row = state.mailboxes.get(mailbox)
            if row is None:
                continue
            what = f"change {modseq} of mailbox {mailbox}"
            if modseq > row.highest_modseq:
                counted = state.counted[mailbox]
                counted.modseq = max(counted.modseq, modseq)
                found.add(
                    f"{what} is above its highest MODSEQ, {row.highest_modseq}",
                    recount(state, row) if state.index_readable else None,
                )
            try:
                kind, _, some = read_change(stored)
                uids = UidSet.from_bytes(some)
            except (CorruptError, ValueError, IndexError):
                found.add(f"{what} cannot be read")
                continue
            if kind > Change.EXPUNGED and kind is not Change.SEEN:
                found.add(f"{what} cannot be read")
            elif uids.last is None or uids.last >= row.uid_next:
                found.add(f"{what} is about messages that never existed")
            elif modseq <= (
                forgotten.get(mailbox, 0) if kind is Change.EXPUNGED else row.changes_from
            ):
                found.add(f"{what} should have been swept", delete_row(state.tables.changes, key))


def _inspect_forgotten(
    txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]
) -> dict[int, int]:
    """Return the MODSEQs up to which expunges are no longer logged, by mailbox."""
    table = state.tables.counters
    forgotten: dict[int, int] = {}
    with txn.cursor(table) as cursor:
        rows = iter(cursor) if cursor.set_range(FORGOTTEN_EXPUNGES) else iter(())
        for key, stored in rows:
            if not key.startswith(FORGOTTEN_EXPUNGES):
                break
            try:
                (mailbox,) = ID_KEY.unpack(key[len(FORGOTTEN_EXPUNGES) :])
                (modseq,) = COUNTER.unpack(stored)
            except error:
                found.add(f"counter {key!r} cannot be read", delete_row(table, key))
                continue
            row = state.mailboxes.get(mailbox)
            if not state.has_mailbox(mailbox):
                found.add(
                    f"forgotten expunges of mailbox {mailbox}, which does not exist",
                    delete_row(table, key),
                )
            elif row is not None and modseq > row.changes_from:
                found.add(
                    f"expunges of mailbox {mailbox} are forgotten up to {modseq}, but its change"
                    f" log is complete from {row.changes_from}",
                    put_row(table, key, COUNTER.pack(row.changes_from)),
                )
            else:
                forgotten[mailbox] = modseq
    return forgotten


def _inspect_journal(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    before = 0
    with txn.cursor(state.tables.journal) as cursor:
        for key, stored in cursor:
            (sequence,) = ID_KEY.unpack(key)
            if before and sequence != before + 1:
                found.add(f"the change journal has no rows between {before} and {sequence}")
            before = sequence
            try:
                mailbox, modseq, number = JOURNAL_ROW.unpack(stored)
                kind = Change(number)
            except (error, ValueError):
                found.add(f"row {sequence} of the change journal cannot be read")
                continue
            if kind is Change.ACCOUNT:
                continue  # an account, and no MODSEQ
            row = state.mailboxes.get(mailbox)
            if row is not None and modseq > row.highest_modseq:
                found.add(
                    f"row {sequence} of the change journal has MODSEQ {modseq} of mailbox "
                    f"{mailbox}, whose highest is {row.highest_modseq}"
                )
    state.note_id(b"ring", before)


def _inspect_names(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    table = state.tables.name_changes
    with txn.cursor(table) as cursor:
        for key, stored in cursor:
            try:
                account, number = PAIR_KEY.unpack(key)
                decoded(key, stored)
            except (error, CorruptDataError):
                found.add("a change of a name cannot be read", delete_row(table, key))
                continue
            if state.check_account(account, "names were changed of", found) and not number:
                found.add("a change of a name has no number", delete_row(table, key))


def _inspect_threads(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    with txn.cursor(state.tables.threads) as cursor:
        for key, stored in cursor:
            account, _ = PAIR_KEY.unpack(key)
            state.note_id(b"thread", COUNTER.unpack(stored)[0])
            state.check_account(account, "threads exist for", found)
