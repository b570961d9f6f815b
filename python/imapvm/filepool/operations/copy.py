"""COPY and MOVE: messages in another mailbox of the same account, with shared bodies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imapvm._core import Record, UidSet, segment_records
from imapvm.filepool.errors import MessageGoneError
from imapvm.filepool.operations.append import check_uids, count_in, count_out
from imapvm.filepool.tables import index
from imapvm.filepool.tables.bodies import refer
from imapvm.filepool.tables.changes import Change, log_change
from imapvm.filepool.tables.keywords import intern, known_sets
from imapvm.filepool.tables.schema import MailboxRow
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId, ModSeq


@dataclass(frozen=True, slots=True)
class CopyResult:
    """Result of COPY and MOVE (RFC 9051 section 7.1, COPYUID)."""

    uid_validity: int
    """UIDVALIDITY of the target."""
    source: UidSet
    copies: UidSet
    """As many as in `source`, in the same order."""
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class CopyMessages:
    """COPY, or MOVE if `move` is set: all messages or none (RFC 6851 section 3.3)."""

    account: AccountId
    mailbox: MailboxId
    uids: UidSet
    to: MailboxId
    move: bool
    now: int
    whole: bool = False
    """Copy nothing if any message was expunged."""

    def apply(self, txn: GroupTxn) -> CopyResult:
        source = txn.mailbox(self.account, self.mailbox)
        target = txn.mailbox(self.account, self.to)
        check_uids(target, source.messages)
        # Exclude the copies if source and target are the same mailbox.
        wanted = self.uids & UidSet(((1, source.uid_next - 1),) if source.uid_next > 1 else ())
        if self.whole and len(index.present(txn, source.id, wanted)) < len(self.uids):
            raise MessageGoneError("some of the messages have been expunged")
        first = target.uid_next
        modseq = target.highest_modseq + 1
        sets = {0: 0}
        runs: list[tuple[int, int]] = []
        for records in self._take(txn, source, wanted):
            if not runs:
                txn.edit(target)
                target.highest_modseq = modseq
            self._put(txn, source, target, records, sets)
            runs.extend((record.uid, record.uid) for record in records)
        taken = UidSet(runs)
        if not taken:
            return CopyResult(target.uid_validity, taken, taken, ModSeq(target.highest_modseq))
        copies = UidSet(((first, target.uid_next - 1),))
        log_change(txn, target, Change.APPENDED, copies)
        if self.move:
            txn.edit(source)
            source.highest_modseq += 1
            log_change(txn, source, Change.EXPUNGED, taken)
        return CopyResult(target.uid_validity, taken, copies, ModSeq(target.highest_modseq))

    def _take(self, txn: GroupTxn, source: MailboxRow, wanted: UidSet) -> Iterator[list[Record]]:
        """Yield the messages, segment by segment; remove them if they are moved."""
        if self.move:
            for records in index.remove(txn, source.id, wanted):
                count_out(txn, source, records)
                yield records
            return
        with txn.cursor(txn.tables.index) as cursor:
            keys = index.holding(cursor, source.id, wanted)
        for key in keys:
            segment = txn.get(key, txn.tables.index)
            assert segment is not None
            records = segment_records(segment, wanted)
            for record in records:
                refer(txn, record.body)
            if records:
                yield records

    def _put(
        self,
        txn: GroupTxn,
        source: MailboxRow,
        target: MailboxRow,
        records: Sequence[Record],
        sets: dict[int, int],
    ) -> None:
        """Append copies; `sets` maps keyword sets of the source to those of the target."""
        for record in records:
            if record.keyword_set not in sets:
                names = known_sets(txn, source).names[record.keyword_set]
                sets[record.keyword_set] = intern(txn, target, names)
        copies = [
            Record(
                uid=target.uid_next + number,
                size=record.size,
                flags=record.flags,
                keyword_set=sets[record.keyword_set],
                modseq=target.highest_modseq,
                date=record.date,
                zone=record.zone,
                saved=self.now,
                body=record.body,
                thread=record.thread,
            )
            for number, record in enumerate(records)
        ]
        target.uid_next += len(copies)
        index.append(txn, target.id, copies)
        count_in(txn, target, copies)
