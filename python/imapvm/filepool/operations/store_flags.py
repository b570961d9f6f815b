"""STORE and EXPUNGE."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from imapvm._core import (
    STORE_ADD,
    STORE_REPLACE,
    UidSet,
    keyword_sets,
    segment_uids,
    segments_store,
    uids_modified,
    uids_with_flags,
)
from imapvm.filepool.operations.append import count_out
from imapvm.filepool.tables.messages import index
from imapvm.filepool.tables.messages.bodies import release
from imapvm.filepool.tables.messages.changes import (
    Change,
    log_change,
    log_seen_change,
    without_seen_of_others,
)
from imapvm.filepool.tables.messages.keywords import check_keywords, known_sets, store_map
from imapvm.filepool.tables.schema import READERS_BIT, MailboxRow
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.flags import SystemFlag
from imapvm.model.ids import AccountId, MailboxId, ModSeq
from imapvm.model.values import frozen

SEEN = SystemFlag.SEEN.value
DELETED = SystemFlag.DELETED.value


@frozen
class StoreResult:
    """Result of STORE."""

    changed: UidSet
    refused: UidSet
    """Messages with changes after `unchanged_since` (RFC 7162 section 3.1.3, MODIFIED)."""
    modseq: ModSeq
    """The mailbox's highest MODSEQ; if messages were changed, also theirs."""
    since: ModSeq | None = None
    """The highest one before, if there were several changes."""
    is_partial: ClassVar[bool] = False
    """True if some flags were left unchanged: the user has not the right to change them."""


@frozen
class PartialStoreResult(StoreResult):
    """Result of STORE by a user who may change only some of the flags."""

    is_partial: ClassVar[bool] = True


@frozen
class ExpungeResult:
    """Result of EXPUNGE."""

    uids: UidSet
    modseq: ModSeq


@frozen
class StoreFlags:
    """STORE. Messages that already have the flags do not change, nor does their MODSEQ."""

    account: AccountId
    mailbox: MailboxId
    uids: UidSet
    mode: int
    """STORE_REPLACE, STORE_ADD or STORE_REMOVE of `_core`."""
    flags: int
    keywords: tuple[str, ...]
    unchanged_since: int | None

    def apply(self, txn: GroupTxn) -> StoreResult:
        row = txn.mailbox(self.account, self.mailbox)
        check_keywords(self.keywords)
        modseq = row.highest_modseq + 1
        table = txn.tables.index
        keys, segments = index.load(txn, row.id, self.uids)
        wanted, refused = self.uids, UidSet()
        if self.unchanged_since is not None:
            refused = self._changed_since(txn, row, segments, self.unchanged_since)
            wanted = wanted - refused
        sets: Mapping[int, int] = {}
        if self.keywords or self.mode == STORE_REPLACE:  # otherwise keywords do not change
            sets = store_map(txn, row, keyword_sets(segments, wanted), self.mode, self.keywords)
        stored, changed, unseen, deleted = segments_store(
            segments, wanted, mode=self.mode, flags=self.flags, keyword_map=sets, modseq=modseq
        )
        if changed:
            for key, segment in zip(keys, stored, strict=True):
                if segment is not None:
                    txn.put(key, segment, table)
            txn.edit(row)
            row.highest_modseq = modseq
            row.unseen += unseen
            row.deleted += deleted
            if row.uses & READERS_BIT and self._names_seen_only():
                log_seen_change(txn, row, self.account, changed)
            else:
                log_change(txn, row, Change.FLAGGED, changed)
        return StoreResult(changed, refused, ModSeq(row.highest_modseq))

    def _changed_since(
        self, txn: GroupTxn, row: MailboxRow, segments: Sequence[bytes], since: int
    ) -> UidSet:
        """Return the messages that the client has to see before it changes them."""
        later = uids_modified(segments, since) & self.uids
        if later:
            later = later - unaffected(txn, row, self, segments, later)
        if later and row.uses & READERS_BIT:
            later = without_seen_of_others(txn, row, later, since, self.account)
        return later

    def _names_seen_only(self) -> bool:
        return self.flags == SEEN and not self.keywords and self.mode != STORE_REPLACE


def unaffected(
    txn: GroupTxn, row: MailboxRow, request: StoreFlags, segments: Sequence[bytes], later: UidSet
) -> UidSet:
    r"""Return the changed messages whose flags are as a client expects that adds or removes some.

    A message has one MODSEQ for all flags, so the change may have been of another flag, and
    MODIFIED would be spurious (RFC 7162 sections 3.1.3 and 3.1.12). What the client knows is not
    stored; it is inferred: a flag that it adds is not set, and one that it removes is set.

    With a MODSEQ of 0 the client tests the presence of flags. System flags are always present.

    Args:
        txn: the transaction.
        row: the mailbox.
        request: the change.
        segments: segments of the index, ascending.
        later: messages of the segments that were changed after `unchanged_since`.
    """
    if request.mode == STORE_REPLACE:
        return UidSet()
    presence = request.unchanged_since == 0
    if presence and request.flags:
        return UidSet()
    expect_set = request.mode != STORE_ADD and not presence
    expected = uids_with_flags(segments, request.flags, request.flags if expect_set else 0)
    found = expected & later
    if not found or not request.keywords:
        return found
    names = {name.lower() for name in request.keywords}
    known = known_sets(txn, row)
    used = keyword_sets(segments, found)
    fitting = set()
    for number in used:
        had = {name.lower() for name in known.names[number]} if number else set()
        if names <= had if expect_set else names.isdisjoint(had):
            fitting.add(number)
    if not fitting or fitting == used:
        return found if fitting else UidSet()
    return UidSet.of(
        uid
        for segment in segments
        for uid in segment_uids(segment) & found
        if keyword_sets((segment,), UidSet.of((uid,))) <= fitting
    )


@frozen
class ExpungeMessages:
    r"""EXPUNGE and UID EXPUNGE: removal of those messages that have \Deleted."""

    account: AccountId
    mailbox: MailboxId
    uids: UidSet
    now: int

    def apply(self, txn: GroupTxn) -> ExpungeResult:
        row = txn.mailbox(self.account, self.mailbox)
        table = txn.tables.index
        runs: list[tuple[int, int]] = []
        if row.deleted:
            with txn.cursor(table) as cursor:
                for key in index.holding(cursor, row.id, self.uids):
                    segment = txn.require(key, table)
                    runs.extend(uids_with_flags((segment,), DELETED, DELETED).runs())
        expunged = UidSet(runs) & self.uids
        if expunged:
            txn.edit(row)
            row.highest_modseq += 1
            for records in index.remove(txn, row.id, expunged):
                count_out(txn, row, records)
                for record in records:
                    release(txn, record.body, self.now)
            log_change(txn, row, Change.EXPUNGED, expunged)
        return ExpungeResult(expunged, ModSeq(row.highest_modseq))
