"""Check of the index: open each segment and count its records."""

from imapvm._core import CorruptError, Record, segment_records
from imapvm.filepool.check.findings import Findings
from imapvm.filepool.check.state import Counted, GroupState
from imapvm.filepool.engine.transactions import LmdbTxn
from imapvm.filepool.tables.schema import INDEX_KEY, INLINE_MAX
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.flags import SystemFlag


def inspect_index(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    """Check all segments, and count their records."""
    before, last = 0, 0
    with txn.cursor(state.tables.index) as cursor:
        for key, segment in cursor:
            mailbox, first = INDEX_KEY.unpack(key)
            if mailbox != before:
                before, last = mailbox, 0
                state.note_id(b"mailbox", mailbox)
            what = f"the index of mailbox {mailbox} at UID {first}"
            try:
                records = segment_records(segment)
            except CorruptError as error:
                found.add(f"{what} is corrupt: {error}")
                state.index_readable = False
                continue
            state.check_mailbox(mailbox, "messages exist in", found)
            if not records or records[0].uid != first:
                found.add(f"{what} does not start with that UID")
            if first <= last:
                found.add(f"{what} does not ascend")
            if len(segment) > INLINE_MAX:
                found.add(f"{what} has {len(segment)} bytes, more than {INLINE_MAX}")
            if records:
                last = max(last, records[-1].uid)
            counted = state.counted.get(mailbox) or Counted()
            for record in records:
                _count(state, counted, mailbox, record, found)


def _count(
    state: GroupState,
    counted: Counted,
    mailbox: int,
    record: Record,
    found: Findings[GroupTxn],
) -> None:
    counted.messages += 1
    counted.unseen += not record.flags & SystemFlag.SEEN.value
    counted.deleted += bool(record.flags & SystemFlag.DELETED.value)
    counted.size += record.size
    counted.last_uid = max(counted.last_uid, record.uid)
    counted.modseq = max(counted.modseq, record.modseq)
    if record.keyword_set:
        counted.keyword_sets.add(record.keyword_set)
    state.uses[record.body] += 1
    state.note_id(b"body", record.body)
    state.note_id(b"thread", record.thread)
    if state.sizes.setdefault(record.body, record.size) != record.size:
        found.add(
            f"message {record.uid} of mailbox {mailbox} and another with the same body have "
            "different sizes"
        )
