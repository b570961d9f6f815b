r"""Changes to mailboxes by users who are not their owner (RFC 4314 section 4).

Flags that a user has no right to set are left out: the command succeeds with the others, and STORE
returns a `PartialStoreResult`. \Seen is in the table `seen` unless the mailbox shares it; then its
index record has the owner's only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from imapvm._core import (
    STORE_ADD,
    STORE_REMOVE,
    STORE_REPLACE,
    UidSet,
    segments_store,
    uids_modified,
    uids_with_flags,
)
from imapvm.filepool.errors import (
    InvalidNameError,
    LimitError,
    MailboxExistsError,
    MessageGoneError,
    PermissionDeniedError,
)
from imapvm.filepool.operations.append import AppendMessages, AppendResult, NewMessage
from imapvm.filepool.operations.mailboxes.acl import DENIED, permitted_row
from imapvm.filepool.operations.mailboxes.annotations import SetAnnotations
from imapvm.filepool.operations.mailboxes.mailboxes import CreateMailbox, checked_name
from imapvm.filepool.operations.mailboxes.rename import RENAMED_AT_ONCE, RenameMailbox
from imapvm.filepool.operations.store_flags import (
    ExpungeMessages,
    ExpungeResult,
    PartialStoreResult,
    StoreFlags,
    StoreResult,
    unaffected,
)
from imapvm.filepool.tables.acl import has_shared_seen, rights_of
from imapvm.filepool.tables.mailboxes import Mailbox, name_row
from imapvm.filepool.tables.messages import index
from imapvm.filepool.tables.messages.changes import (
    Change,
    log_change,
    log_seen_change,
    without_seen_of_others,
)
from imapvm.filepool.tables.name_changes import NO_ORIGIN
from imapvm.filepool.tables.schema import MailboxRow, name_key
from imapvm.filepool.tables.seen import change_seen, seen_among
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.flags import SystemFlag
from imapvm.model.ids import AccountId, MailboxId, ModSeq
from imapvm.model.names import DELIMITER, INBOX, canonical_name, parents
from imapvm.model.rights import ANNOTATION_RIGHTS, Grantee, Rights
from imapvm.model.values import frozen

SEEN: Final = SystemFlag.SEEN.value
DELETED: Final = SystemFlag.DELETED.value
SYSTEM: Final = sum(SystemFlag)


@frozen
class SharedUser:
    """User who is not the owner."""

    account: AccountId
    grantees: tuple[Grantee, ...]
    """The user, the user's groups, and anyone."""


def settable_flags(rights: Rights) -> int:
    """Return the system flags that a user may change."""
    flags = 0
    if Rights.SEEN in rights:
        flags |= SEEN
    if Rights.DELETE_MESSAGES in rights:
        flags |= DELETED
    if Rights.WRITE in rights:
        flags |= SYSTEM & ~(SEEN | DELETED)
    return flags


# --- flags --------------------------------------------------------------------------------------


@frozen
class StoreSharedFlags:
    """STORE by a reader; refused only if no flag in it may be changed (RFC 4314 section 4)."""

    request: StoreFlags
    reader: SharedUser

    def apply(self, txn: GroupTxn) -> StoreResult:
        request = self.request
        row, rights = permitted_row(
            txn, request.account, request.mailbox, self.reader.grantees, Rights.READ
        )
        allowed = settable_flags(rights)
        named = request.flags | (SYSTEM if request.mode == STORE_REPLACE else 0)
        keywords = request.keywords if Rights.WRITE in rights else ()
        if not (named & allowed or keywords) and (named or request.keywords):
            raise PermissionDeniedError(DENIED)
        own_seen = not _shares_seen(txn, row)
        uids, refused = self._unchanged(txn, row, own_seen=own_seen)
        changed, since = UidSet(), ModSeq(row.highest_modseq)
        private = allowed & SEEN and own_seen
        common = allowed & ~SEEN if private else allowed
        if private:
            changed |= self._store_private(txn, row, uids)
        for part in _parts(txn, row, request, uids, common, keywords, rights):
            changed |= part.apply(txn).changed
        is_partial = bool(named & ~allowed) or (
            Rights.WRITE not in rights and bool(request.keywords or request.mode == STORE_REPLACE)
        )
        result = PartialStoreResult if is_partial else StoreResult
        return result(changed, refused, ModSeq(row.highest_modseq), since)

    def _unchanged(
        self, txn: GroupTxn, row: MailboxRow, *, own_seen: bool
    ) -> tuple[UidSet, UidSet]:
        """Return the messages to change, and those that changed since UNCHANGEDSINCE."""
        request = self.request
        if request.unchanged_since is None:
            return request.uids, UidSet()
        private = request.flags & SEEN and own_seen
        _, segments = index.load(txn, row.id, request.uids)
        refused = uids_modified(segments, request.unchanged_since) & request.uids
        if refused and not private:  # \Seen of the reader is not in the index
            refused = refused - unaffected(txn, row, request, segments, refused)
        if refused:
            user = self.reader.account if own_seen else None
            refused = without_seen_of_others(txn, row, refused, request.unchanged_since, user)
        return request.uids - refused, refused

    def _store_private(self, txn: GroupTxn, row: MailboxRow, uids: UidSet) -> UidSet:
        r"""Change the reader's \Seen; return the messages that changed."""
        request = self.request
        names_seen = bool(request.flags & SEEN)
        if request.mode != STORE_REPLACE and not names_seen:
            return UidSet()
        now_seen = request.mode != STORE_REMOVE and names_seen
        before = seen_among(txn, row.id, self.reader.account, uids)
        present = index.present(txn, row.id, uids)
        changed = present - before if now_seen else present & before
        if changed:
            change_seen(txn, row.id, self.reader.account, changed, seen=now_seen)
            touch(txn, row, changed)
            log_seen_change(txn, row, self.reader.account, changed)
        return changed


def _shares_seen(txn: GroupTxn, row: MailboxRow) -> bool:
    return has_shared_seen(lambda key: txn.get(key, txn.tables.acl), row.id)


def _parts(
    txn: GroupTxn,
    row: MailboxRow,
    request: StoreFlags,
    uids: UidSet,
    common: int,
    keywords: tuple[str, ...],
    rights: Rights,
) -> Iterator[StoreFlags]:
    """Yield the operations that change only flags that the reader may change.

    Args:
        txn: the transaction.
        row: the mailbox.
        request: the whole change.
        uids: its messages.
        common: bits in index records that may be changed.
        keywords: of the request, if they may be changed.
        rights: of the reader.
    """
    whole = replace(
        request, uids=uids, flags=request.flags & common, keywords=keywords, unchanged_since=None
    )
    if request.mode != STORE_REPLACE:
        if whole.flags or keywords:
            yield whole
        return
    if Rights.WRITE not in rights:
        if whole.flags:
            yield replace(whole, mode=STORE_ADD)
        if common & ~whole.flags:
            yield replace(whole, mode=STORE_REMOVE, flags=common & ~whole.flags)
        return
    kept = SYSTEM & ~common
    for bits in range(kept + 1):
        if bits & ~kept:
            continue
        some = (
            uids
            if not kept
            else uids_with_flags(index.load(txn, row.id, uids)[1], kept, bits) & uids
        )
        if some:
            yield replace(whole, uids=some, flags=whole.flags | bits)


def touch(txn: GroupTxn, row: MailboxRow, uids: UidSet) -> None:
    r"""Give messages a new MODSEQ, without another change: the index records have no private flag.

    Each \Seen is changed and changed back. The caller logs the change.
    """
    txn.edit(row)
    row.highest_modseq += 1
    table = txn.tables.index
    keys, segments = index.load(txn, row.id, uids)
    seen = uids_with_flags(segments, SEEN, SEEN) & uids
    for wanted, modes in (
        (seen, (STORE_REMOVE, STORE_ADD)),
        (uids - seen, (STORE_ADD, STORE_REMOVE)),
    ):
        for mode in modes:
            stored, *_ = segments_store(
                segments,
                wanted,
                mode=mode,
                flags=SEEN,
                keyword_map={},
                modseq=row.highest_modseq,
            )
            segments = [new or old for new, old in zip(stored, segments, strict=True)]
    for key, segment in zip(keys, segments, strict=True):
        txn.put(key, segment, table)


@frozen
class TouchMessages:
    r"""New MODSEQ for messages, after a choice of whose \Seen readers have."""

    account: AccountId
    mailbox: MailboxId
    uids: UidSet

    def apply(self, txn: GroupTxn) -> None:
        row = txn.mailbox(self.account, self.mailbox)
        present = index.present(txn, row.id, self.uids)
        if present:
            touch(txn, row, present)
            log_change(txn, row, Change.FLAGGED, present)


# --- messages -------------------------------------------------------------------------------------


@frozen
class AppendSharedMessages:
    """APPEND by a reader, and the copies of COPY and MOVE from another account."""

    account: AccountId
    mailbox: MailboxId
    messages: tuple[NewMessage, ...]
    now: int
    reader: SharedUser

    def apply(self, txn: GroupTxn) -> AppendResult:
        row, rights = permitted_row(
            txn, self.account, self.mailbox, self.reader.grantees, Rights.INSERT
        )
        allowed = settable_flags(rights)
        private = allowed & SEEN and not _shares_seen(txn, row)
        stored = allowed & ~SEEN if private else allowed
        messages = tuple(
            replace(
                message,
                flags=message.flags & stored,
                keywords=message.keywords if Rights.WRITE in rights else (),
            )
            for message in self.messages
        )
        appended = AppendMessages(self.account, self.mailbox, messages, self.now).apply(txn)
        if private:
            seen = UidSet.of(
                uid
                for uid, message in zip(appended.uids, self.messages, strict=True)
                if message.flags & SEEN
            )
            change_seen(txn, row.id, self.reader.account, seen, seen=True)
        return appended


@frozen
class RemoveMessages:
    r"""Removal of messages, with or without \Deleted: MOVE to another account."""

    account: AccountId
    mailbox: MailboxId
    uids: UidSet
    now: int

    def apply(self, txn: GroupTxn) -> ExpungeResult:
        mark = StoreFlags(self.account, self.mailbox, self.uids, STORE_ADD, DELETED, (), None)
        mark.apply(txn)
        return ExpungeMessages(self.account, self.mailbox, self.uids, self.now).apply(txn)


@frozen
class ReplaceSharedMessage:
    """REPLACE by a reader, within the mailboxes of one account."""

    account: AccountId
    mailbox: MailboxId
    uid: int
    to: MailboxId
    message: NewMessage
    now: int
    reader: SharedUser

    def apply(self, txn: GroupTxn) -> AppendResult:
        needed = Rights.READ | Rights.DELETE_MESSAGES | Rights.EXPUNGE
        row, _ = permitted_row(txn, self.account, self.mailbox, self.reader.grantees, needed)
        uids = UidSet(((self.uid, self.uid),))
        if not index.present(txn, row.id, uids):
            raise MessageGoneError("the message has been expunged")
        RemoveMessages(self.account, self.mailbox, uids, self.now).apply(txn)
        append = AppendSharedMessages(self.account, self.to, (self.message,), self.now, self.reader)
        return append.apply(txn)


@frozen
class SetSharedAnnotations:
    """SETMETADATA by a reader: `l`, and one of `r`, `s`, `w`, `i`, `p` (RFC 5464 section 3.3)."""

    request: SetAnnotations
    reader: SharedUser

    def apply(self, txn: GroupTxn) -> None:
        _, rights = permitted_row(
            txn,
            self.request.account,
            self.request.mailbox,
            self.reader.grantees,
            Rights.LOOKUP,
        )
        if not rights & ANNOTATION_RIGHTS:
            raise PermissionDeniedError(DENIED)
        self.request.apply(txn)


# --- mailboxes ------------------------------------------------------------------------------------


def _check_parent(
    txn: GroupTxn, account: AccountId, name: str, grantees: Sequence[Grantee]
) -> None:
    """Check that a user may create a mailbox: `k` on the nearest parent that exists.

    The same error for every reason, and as many look-ups: a user without the right learns nothing
    of other names, nor whether the account exists.

    Raises:
        PermissionDeniedError: the user may not.
        MailboxExistsError: the mailbox exists, and the user can see it.
    """
    ids = [name_row(txn, account, above)[0] for above in parents(name)]
    nearest = next((mailbox for mailbox in reversed(ids) if mailbox), MailboxId(0))
    taken = name_row(txn, account, name)[0]
    rights = _rights(txn, nearest, grantees)
    visible = Rights.LOOKUP in _rights(txn, taken, grantees)
    if taken and visible:
        raise MailboxExistsError("mailbox already exists")
    if taken or Rights.CREATE not in rights:
        raise PermissionDeniedError(DENIED)


def _rights(txn: GroupTxn, mailbox: MailboxId, grantees: Sequence[Grantee]) -> Rights:
    return rights_of(lambda key: txn.get(key, txn.tables.acl), mailbox, grantees)


@frozen
class CreateSharedMailbox:
    """CREATE below a mailbox of another user; the new mailbox gets the parent's ACL."""

    account: AccountId
    name: str
    now: int
    reader: SharedUser
    origin: bytes = NO_ORIGIN
    """Id of the session, which is not notified; so below."""

    def apply(self, txn: GroupTxn) -> Mailbox:
        name = checked_name(self.name.removesuffix(DELIMITER))
        _check_parent(txn, self.account, name, self.reader.grantees)
        create = CreateMailbox(
            self.account, name, (), subscribe=False, now=self.now, origin=self.origin
        )
        return create.apply(txn)


@frozen
class RenameSharedMailbox:
    """RENAME within the mailboxes of another user: `x` on the mailbox, `k` on the new parent."""

    account: AccountId
    old: str
    new: str
    now: int
    reader: SharedUser
    origin: bytes = NO_ORIGIN

    def apply(self, txn: GroupTxn) -> None:
        old = canonical_name(self.old)
        new = checked_name(self.new.removesuffix(DELIMITER))
        mailbox, _ = name_row(txn, self.account, old)
        permitted_row(txn, self.account, mailbox, self.reader.grantees, Rights.DELETE_MAILBOX)
        if old == INBOX:
            raise InvalidNameError("INBOX of another user cannot be renamed")
        _check_parent(txn, self.account, new, self.reader.grantees)
        below = txn.keys(txn.tables.names, name_key(self.account, old + DELIMITER), RENAMED_AT_ONCE)
        if len(below) >= RENAMED_AT_ONCE:
            raise LimitError(f"more than {RENAMED_AT_ONCE} mailboxes to rename at once")
        try:
            RenameMailbox(self.account, old, new, self.now, self.origin).apply(txn)
        except MailboxExistsError:
            raise PermissionDeniedError(DENIED) from None  # a child that cannot be seen, perhaps
