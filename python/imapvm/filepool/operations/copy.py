"""COPY and MOVE: messages in another mailbox of the same account, with shared bodies.

A COPY of many messages is staged, so that others' commits come in between and all copies still
appear at once (RFC 9051 section 6.4.7):

    StageCopies, for each batch    records are copied to the index of a mailbox that has no name,
                                   and references to their bodies are added
    CommitCopies                   the segments move to the target, with UIDs from its UIDNEXT

The mailbox without a name has a row in `sweep`, as the remains of a deleted mailbox have. So copies
that are not committed are swept, and references to bodies with them.
"""

from collections.abc import Iterator, Sequence

from imapvm._core import Record, UidSet, segment_counts, segment_records, segment_renumber
from imapvm.filepool.errors import MessageGoneError, OverQuotaError, StagedExpiredError
from imapvm.filepool.operations.append import check_uids, count_in, count_out
from imapvm.filepool.operations.quota import check_quota
from imapvm.filepool.tables.messages import index
from imapvm.filepool.tables.messages.bodies import STAGED_SECONDS, SweepKind, refer, sweep_key
from imapvm.filepool.tables.messages.changes import Change, log_change
from imapvm.filepool.tables.messages.keywords import intern, known_sets
from imapvm.filepool.tables.schema import ID_KEY, INDEX_KEY, MailboxRow
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId, ModSeq
from imapvm.model.values import frozen


@frozen
class CopyResult:
    """Result of COPY and MOVE (RFC 9051 section 7.1, COPYUID)."""

    uid_validity: int
    """UIDVALIDITY of the target."""
    source: UidSet
    copies: UidSet
    """As many as in `source`, in the same order."""
    modseq: ModSeq


@frozen
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
        if not self.move and txn.limits(self.account):
            _check_quota(txn, source, wanted)
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
        if not self.move:
            yield from take_copies(txn, source, wanted)
            return
        for records in index.remove(txn, source.id, wanted):
            count_out(txn, source, records)
            yield records

    def _put(
        self,
        txn: GroupTxn,
        source: MailboxRow,
        target: MailboxRow,
        records: Sequence[Record],
        sets: dict[int, int],
    ) -> None:
        copies = copies_of(txn, source, target, records, sets, first=target.uid_next, now=self.now)
        target.uid_next += len(copies)
        index.append(txn, target.id, copies)
        count_in(txn, target, copies)


def _check_quota(txn: GroupTxn, source: MailboxRow, wanted: UidSet) -> None:
    """Check that copies of some messages may be added to the account.

    The messages are counted only if copies of the whole mailbox would exceed a limit.

    Raises:
        OverQuotaError: a limit would be exceeded.
    """
    try:
        check_quota(txn, source.account, messages=source.messages, size=source.size)
    except OverQuotaError:
        messages = size = 0
        with txn.cursor(txn.tables.index) as cursor:
            keys = list(index.holding(cursor, source.id, wanted))
        for key in keys:
            records = segment_records(txn.require(key, txn.tables.index), wanted)
            messages += len(records)
            size += sum(record.size for record in records)
        check_quota(txn, source.account, messages=messages, size=size)


def take_copies(txn: GroupTxn, source: MailboxRow, wanted: UidSet) -> Iterator[list[Record]]:
    """Yield the messages, segment by segment; add a reference to the body of each."""
    with txn.cursor(txn.tables.index) as cursor:
        keys = list(index.holding(cursor, source.id, wanted))
    for key in keys:
        segment = txn.require(key, txn.tables.index)
        records = segment_records(segment, wanted)
        for record in records:
            refer(txn, record.body)
        if records:
            yield records


def copies_of(
    txn: GroupTxn,
    source: MailboxRow,
    target: MailboxRow,
    records: Sequence[Record],
    sets: dict[int, int],
    *,
    first: int,
    now: int,
) -> list[Record]:
    """Return copies of messages, with UIDs from `first`.

    Args:
        txn: gets keyword sets that are new in the target.
        source: mailbox of the messages.
        target: mailbox of the copies.
        records: the messages.
        sets: maps keyword sets of the source to those of the target; is extended.
        first: UID of the first copy.
        now: SAVEDATE of the copies.
    """
    for record in records:
        if record.keyword_set not in sets:
            names = known_sets(txn, source).names[record.keyword_set]
            sets[record.keyword_set] = intern(txn, target, names)
    return [
        Record(
            uid=first + number,
            size=record.size,
            flags=record.flags,
            keyword_set=sets[record.keyword_set],
            modseq=target.highest_modseq,
            date=record.date,
            zone=record.zone,
            saved=now,
            body=record.body,
            thread=record.thread,
        )
        for number, record in enumerate(records)
    ]


# --- staged copies -------------------------------------------------------------------------------


@frozen
class StagedCopies:
    """Copies that no mailbox has yet."""

    id: MailboxId
    """Mailbox id under which they are in the index."""
    until: int
    """Time at which they are swept if they are not committed, seconds since 1970."""
    source: UidSet
    """Messages copied so far."""

    @property
    def key(self) -> bytes:
        return sweep_key(self.until, SweepKind.MAILBOX, self.id)

    def check(self, txn: GroupTxn) -> None:
        """Check that they have not been swept.

        Raises:
            StagedExpiredError: the command took longer than a day.
        """
        if txn.get(self.key, txn.tables.sweep) is None:
            raise StagedExpiredError("the copies took too long")


@frozen
class StageCopies:
    """Copies of some messages, added to the staged ones; the first call allocates their id."""

    account: AccountId
    mailbox: MailboxId
    uids: UidSet
    to: MailboxId
    now: int
    whole: bool
    """Refuse if any message was expunged."""
    staged: StagedCopies | None

    def apply(self, txn: GroupTxn) -> StagedCopies:
        source = txn.mailbox(self.account, self.mailbox)
        target = txn.mailbox(self.account, self.to)
        if self.whole and len(index.present(txn, source.id, self.uids)) < len(self.uids):
            raise MessageGoneError("some of the messages have been expunged")
        staged = self.staged
        if staged is None:
            number = MailboxId(txn.allocate(b"mailbox"))
            staged = StagedCopies(number, self.now + STAGED_SECONDS, UidSet())
            txn.put(staged.key, b"", txn.tables.sweep)
        else:
            staged.check(txn)
        first = len(staged.source) + 1
        sets = {0: 0}
        runs: list[tuple[int, int]] = []
        for records in take_copies(txn, source, self.uids):
            copies = copies_of(
                txn, source, target, records, sets, first=first + len(runs), now=self.now
            )
            index.append(txn, staged.id, copies)
            runs.extend((record.uid, record.uid) for record in records)
        return StagedCopies(staged.id, staged.until, staged.source | UidSet(runs))


@frozen
class CommitCopies:
    """Staged copies, moved to the target as a whole."""

    account: AccountId
    to: MailboxId
    staged: StagedCopies

    def apply(self, txn: GroupTxn) -> CopyResult:
        target = txn.mailbox(self.account, self.to)
        source, table = self.staged.source, txn.tables.index
        self.staged.check(txn)
        check_uids(target, len(source))
        if not source:
            txn.delete(self.staged.key, txn.tables.sweep)
            return CopyResult(target.uid_validity, source, source, ModSeq(target.highest_modseq))
        first = target.uid_next
        usage = txn.usage(self.account)
        keys = txn.keys(table, ID_KEY.pack(self.staged.id), len(source))
        if txn.limits(self.account):
            size = sum(segment_counts(txn.require(key, table))[3] for key in keys)
            check_quota(txn, self.account, messages=len(source), size=size)
        txn.edit(target)
        txn.edit(usage)
        target.highest_modseq += 1
        last = index.last_segment(txn, target.id) or (b"", b"")
        for key in keys:
            segment = txn.require(key, table)
            messages, unseen, deleted, size = segment_counts(segment)
            segment = segment_renumber(segment, target.uid_next, target.highest_modseq)
            new_key = INDEX_KEY.pack(target.id, target.uid_next)
            index.add_segment(txn, last, new_key, segment)
            last = new_key, segment
            txn.delete(key, table)
            target.uid_next += messages
            target.messages += messages
            target.unseen += unseen
            target.deleted += deleted
            target.size += size
            usage.messages += messages
            usage.size += size
        txn.delete(self.staged.key, txn.tables.sweep)
        copies = UidSet(((first, target.uid_next - 1),))
        log_change(txn, target, Change.APPENDED, copies)
        return CopyResult(target.uid_validity, source, copies, ModSeq(target.highest_modseq))


@frozen
class DiscardCopies:
    """Expiry of staged copies now."""

    staged: StagedCopies
    now: int

    def apply(self, txn: GroupTxn) -> None:
        if txn.get(self.staged.key, txn.tables.sweep) is not None:
            txn.delete(self.staged.key, txn.tables.sweep)
            txn.put(sweep_key(self.now, SweepKind.MAILBOX, self.staged.id), b"", txn.tables.sweep)
