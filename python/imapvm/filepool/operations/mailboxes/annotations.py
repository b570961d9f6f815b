"""Operations on annotations (RFC 5464), and on special uses as an annotation (RFC 6154 section 4).

Shared entries are counted and logged for the owner of the mailbox, private ones for their user,
who may be of another storage group.

DELETE and RENAME of INBOX call `drop_annotations` and `copy_annotations` in their transaction.
"""

from collections.abc import Sequence
from typing import Final

from imapvm.filepool.engine.transactions import Table
from imapvm.filepool.errors import (
    AnnotationTooLargeError,
    LimitError,
    SpecialUseError,
    TooManyAnnotationsError,
)
from imapvm.filepool.operations.mailboxes.special_uses import special_use_bits
from imapvm.filepool.operations.quota import add_annotations, check_quota
from imapvm.filepool.tables.annotations import (
    SERVER,
    SHARED,
    AnnotationChange,
    AnnotationUsage,
    Scope,
    ScopeTotals,
    delete_value,
    entries_after,
    forget_change,
    log_change,
    put_totals,
    put_usage,
    put_value,
    read_head,
    read_value,
    totals_of,
    trim_log,
    usage_of,
)
from imapvm.filepool.tables.messages.changes import record_account_change
from imapvm.filepool.tables.quotas import annotation_key
from imapvm.filepool.tables.schema import (
    ID_KEY,
    PAIR_KEY,
    READERS_BIT,
    MailboxRow,
    special_uses,
)
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.limits import (
    ANNOTATING_USERS_MAX,
    ANNOTATION_BYTES_PER_ACCOUNT_MAX,
    ANNOTATION_MAX,
    ANNOTATION_NAME_MAX,
    ANNOTATIONS_PER_ACCOUNT_MAX,
    ANNOTATIONS_PER_COMMAND_MAX,
    ANNOTATIONS_PER_MAILBOX_MAX,
)
from imapvm.model.values import frozen

MAILBOXES_PER_STEP: Final = 500
"""Mailboxes with annotations that one step of removing a user examines."""
SPECIAL_USE: Final = b"/specialuse"
"""Private entry that is not stored: the special uses of the mailbox (RFC 6154 section 4)."""


@frozen
class Annotation:
    """Entry and its new value; None removes the entry."""

    entry: bytes
    """Without its scope, in lower case: b"/comment"."""
    value: bytes | None
    shared: bool = False


@frozen
class SetAnnotations:
    """SETMETADATA: all changes, or none.

    The result has the other mailboxes that have lost a special use to this one, with those that
    they still have (RFC 6154 section 5.4).
    """

    account: AccountId
    """Owner of the mailbox; for entries of the server the user, or SHARED for shared ones."""
    mailbox: MailboxId
    """0: the server."""
    user: AccountId
    """User for private entries."""
    annotations: tuple[Annotation, ...]
    """In the order of the client: of two with the same name, the last one counts."""
    origin: bytes
    """Id of the session."""

    def apply(self, txn: GroupTxn) -> list[tuple[MailboxId, tuple[str, ...]]]:
        if self.account != SHARED:
            txn.usage(self.account)
        row = None if self.mailbox == SERVER else txn.mailbox(self.account, self.mailbox)
        if len(self.annotations) > ANNOTATIONS_PER_COMMAND_MAX:
            raise LimitError(f"a command has at most {ANNOTATIONS_PER_COMMAND_MAX} annotations")
        wanted: dict[tuple[Scope, bytes], bytes | None] = {}
        for one in self.annotations:
            _check(one)
            scope = Scope(self.mailbox, SHARED if one.shared else self.user)
            wanted[scope, one.entry] = one.value
        private = Scope(self.mailbox, self.user)
        moved: list[MailboxRow] = []
        new_uses = None
        if self.user != self.account and wanted.pop((private, SPECIAL_USE), None) is not None:
            raise SpecialUseError("a mailbox of another user cannot get a special use")
        if row is not None and (private, SPECIAL_USE) in wanted:
            new_uses = _uses(wanted.pop((private, SPECIAL_USE)))
            moved = [
                other
                for other in (txn.mailboxes(self.account) if new_uses else ())
                if other.uses & new_uses and other.id != row.id
            ]
        accounts = {self._counted_for(scope) for scope, _ in wanted} | {self.account}
        usages = {account: usage_of(txn, account) for account in sorted(accounts)}
        logged = sum(usage.number for usage in usages.values())
        self._set(txn, usages, wanted)
        usage = usages[self.account]
        if row is not None and new_uses is not None and new_uses != row.uses & ~READERS_BIT:
            txn.edit(row)
            row.uses = new_uses | row.uses & READERS_BIT
            self._log(txn, usage, private, SPECIAL_USE)
            for other in moved:
                other = txn.mailbox(self.account, other.id)
                txn.edit(other)
                other.uses &= ~new_uses
                other.highest_modseq += 1
                self._log(txn, usage, Scope(other.id, self.user), SPECIAL_USE)
        if row is not None and sum(usage.number for usage in usages.values()) > logged:
            txn.edit(row)
            row.highest_modseq += 1  # RFC 7162 section 3.2; it has no row in the change log
        for account, each in usages.items():
            trim_log(txn, account, each)
            put_usage(txn, account, each)
            record_account_change(txn, account, each.number)
        rows = (txn.mailbox(self.account, other.id) for other in moved)
        return [(other.id, special_uses(other.uses)) for other in rows]

    def _set(
        self,
        txn: GroupTxn,
        usages: dict[AccountId, AnnotationUsage],
        wanted: dict[tuple[Scope, bytes], bytes | None],
    ) -> None:
        """Check all limits, then write."""
        heads = {key: read_head(txn.get, txn.tables.annotations, *key) for key in wanted}
        totals: dict[Scope, ScopeTotals] = {}
        for (scope, entry), value in wanted.items():
            before, _ = heads[scope, entry]
            if scope not in totals:
                totals[scope] = totals_of(txn.get(scope.key, txn.tables.annotations))
            totals[scope] = _changed(totals[scope], entry, before, value)
        self._check_readers(txn, totals)
        for account, usage in usages.items():
            own = {scope: totals[scope] for scope in totals if self._counted_for(scope) == account}
            _count(txn, account, usage, own)
        for scope, after in totals.items():
            put_totals(txn, scope, after)
        for (scope, entry), value in wanted.items():
            before, last = heads[scope, entry]
            usage = usages[self._counted_for(scope)]
            if before < 0 and value is None:
                continue
            if before >= 0:
                delete_value(txn, scope, entry, before)
                forget_change(txn, self._counted_for(scope), usage, last)
            self._log(txn, usage, scope, entry)
            if value is not None:
                put_value(txn, scope, entry, value, usage.number)

    def _log(self, txn: GroupTxn, usage: AnnotationUsage, scope: Scope, entry: bytes) -> None:
        change = AnnotationChange(usage.number + 1, scope, self.origin, entry)
        log_change(txn, self._counted_for(scope), usage, change)

    def _counted_for(self, scope: Scope) -> AccountId:
        return self.account if scope.user == SHARED else scope.user

    def _check_readers(self, txn: GroupTxn, totals: dict[Scope, ScopeTotals]) -> None:
        """Check that another user may have annotations of the mailbox.

        Raises:
            TooManyAnnotationsError: too many others have some.
        """
        scope = Scope(self.mailbox, self.user)
        if self.user == self.account or scope not in totals or _totals(txn, scope).entries:
            return
        others = [scope.user for scope in _scopes(txn, self.mailbox)]
        if len(set(others) - {SHARED, self.account}) >= ANNOTATING_USERS_MAX:
            raise TooManyAnnotationsError(
                f"at most {ANNOTATING_USERS_MAX} users have annotations of a mailbox"
            )


def _check(annotation: Annotation) -> None:
    """Check the limits of one annotation.

    Raises:
        AnnotationTooLargeError, LimitError: it exceeds one.
    """
    if annotation.value is not None and len(annotation.value) > ANNOTATION_MAX:
        raise AnnotationTooLargeError(f"an annotation has at most {ANNOTATION_MAX} bytes")
    if len(annotation.entry) > ANNOTATION_NAME_MAX:
        raise LimitError(f"the name of an annotation has at most {ANNOTATION_NAME_MAX} bytes")


def _uses(value: bytes | None) -> int:
    """Return the bits of the special uses in a value.

    Raises:
        SpecialUseError: one is unknown, or not supported.
    """
    return special_use_bits((value or b"").decode("ascii", "replace").split())


def _changed(totals: ScopeTotals, entry: bytes, before: int, value: bytes | None) -> ScopeTotals:
    """Return the totals after a change of an entry; `before` is the size of its value, or -1."""
    entries, size = totals
    if before >= 0:
        entries, size = entries - 1, size - len(entry) - before
    if value is not None:
        entries, size = entries + 1, size + len(entry) + len(value)
    return ScopeTotals(entries, size)


def _count(
    txn: GroupTxn, account: AccountId, usage: AnnotationUsage, totals: dict[Scope, ScopeTotals]
) -> None:
    """Check the totals that some scopes are to have, and count them for the account.

    What grows is checked: an account that is over a limit may remove entries.

    Raises:
        TooManyAnnotationsError, LimitError, OverQuotaError: a limit would be exceeded.
    """
    more = ScopeTotals()
    for scope, after in totals.items():
        before = _totals(txn, scope)
        if after.entries > max(before.entries, ANNOTATIONS_PER_MAILBOX_MAX):
            raise TooManyAnnotationsError(
                f"a mailbox has at most {ANNOTATIONS_PER_MAILBOX_MAX} annotations of one kind"
            )
        more = ScopeTotals(
            more.entries + after.entries - before.entries, more.size + after.size - before.size
        )
    _check_account(txn, account, usage, more)
    if more.size:
        add_annotations(txn, account, more.size)
    usage.entries += more.entries


def _totals(txn: GroupTxn, scope: Scope) -> ScopeTotals:
    return totals_of(txn.get(scope.key, txn.tables.annotations))


def _check_account(
    txn: GroupTxn, account: AccountId, usage: AnnotationUsage, more: ScopeTotals
) -> None:
    """Check that an account may have more annotations, but for its quota.

    Raises:
        TooManyAnnotationsError, LimitError: a limit would be exceeded.
    """
    if more.entries > 0 and usage.entries + more.entries > ANNOTATIONS_PER_ACCOUNT_MAX:
        raise TooManyAnnotationsError(
            f"an account has at most {ANNOTATIONS_PER_ACCOUNT_MAX} annotations"
        )
    size = txn.number(annotation_key(account)) + more.size
    if more.size > 0 and size > ANNOTATION_BYTES_PER_ACCOUNT_MAX:
        raise LimitError(
            f"the annotations of an account have at most {ANNOTATION_BYTES_PER_ACCOUNT_MAX} bytes"
        )


# --- mailboxes that are deleted and renamed -------------------------------------------------------


def drop_annotations(txn: GroupTxn, account: AccountId, mailbox: MailboxId) -> int:
    """Uncount the annotations of a mailbox that is deleted; their rows are swept with the rest.

    Returns:
        The number of users whose annotations these were, at most ANNOTATING_USERS_MAX.
    """
    scopes = _scopes(txn, mailbox)
    for scope in scopes:
        totals = _totals(txn, scope)
        txn.delete(scope.key, txn.tables.annotations)
        user = account if scope.user == SHARED else scope.user
        if totals.entries and txn.get(ID_KEY.pack(user), txn.tables.annotation_usage) is not None:
            usage = usage_of(txn, user)
            usage.entries -= totals.entries
            put_usage(txn, user, usage)
            add_annotations(txn, user, -totals.size)
    return len(scopes)


def clear_user(txn: GroupTxn, user: AccountId, after: int, budget: int) -> tuple[int | None, int]:
    """Remove the annotations of a deleted user of others' mailboxes, one mailbox after another.

    Args:
        txn: the transaction.
        user: the user.
        after: mailboxes up to this one are done.
        budget: rows that may be removed.

    Returns:
        The last mailbox that is done, or None if all are; and the budget that is left.
    """
    tables = txn.tables
    for _ in range(MAILBOXES_PER_STEP):
        mailbox = _next_mailbox(txn, after)
        if mailbox is None:
            break
        if not _clear(txn, tables.annotations, Scope(mailbox, user).key, budget):
            return after, 0
        budget -= 1
        after = mailbox
    else:
        return after, budget
    if not _clear(txn, tables.annotation_changes, ID_KEY.pack(user), budget):
        return after, 0
    txn.delete(ID_KEY.pack(user), tables.annotation_usage)
    txn.delete(annotation_key(user), tables.counters)
    return None, budget


def _next_mailbox(txn: GroupTxn, after: int) -> MailboxId | None:
    with txn.cursor(txn.tables.annotations) as cursor:
        if cursor.set_range(ID_KEY.pack(after + 1)):
            return MailboxId(ID_KEY.unpack_from(cursor.key())[0])
    return None


def _clear(txn: GroupTxn, table: Table, prefix: bytes, limit: int) -> bool:
    """Delete rows with a prefix; return True if none are left."""
    keys = txn.keys(table, prefix, limit)
    for key in keys:
        txn.delete(key, table)
    return len(keys) < limit


def _scopes(txn: GroupTxn, mailbox: MailboxId) -> Sequence[Scope]:
    """Return the scopes of a mailbox that have annotations; costs one seek for each."""
    found: list[Scope] = []
    prefix = ID_KEY.pack(mailbox)
    with txn.cursor(txn.tables.annotations) as cursor:
        ahead = cursor.set_range(prefix)
        while ahead and cursor.key().startswith(prefix):
            user = AccountId(PAIR_KEY.unpack(cursor.key()[: PAIR_KEY.size])[1])
            found.append(Scope(mailbox, user))
            ahead = cursor.set_range(PAIR_KEY.pack(mailbox, user + 1))
    return found


def check_copy(txn: GroupTxn, account: AccountId, mailbox: MailboxId) -> None:
    """Check that the annotations of a mailbox can be copied; see `copy_annotations`.

    Raises:
        TooManyAnnotationsError, LimitError, OverQuotaError: a limit would be exceeded.
    """
    more = ScopeTotals()
    for user in (SHARED, account):
        totals = totals_of(txn.get(Scope(mailbox, user).key, txn.tables.annotations))
        more = ScopeTotals(more.entries + totals.entries, more.size + totals.size)
    if more.entries:
        _check_account(txn, account, usage_of(txn, account), more)
        if txn.limits(account):
            check_quota(txn, account, annotations=more.size)


def copy_annotations(txn: GroupTxn, account: AccountId, old: MailboxId, new: MailboxId) -> None:
    """Copy the shared annotations of a mailbox and those of its owner to a new one.

    For RENAME of INBOX, which keeps its annotations (RFC 5464 section 4.1). Call `check_copy`
    before.
    """
    for user in (SHARED, account):
        source, target = Scope(old, user), Scope(new, user)
        stored = txn.get(source.key, txn.tables.annotations)
        if stored is None:
            continue
        totals = totals_of(stored)
        usage = usage_of(txn, account)
        _count(txn, account, usage, {target: totals})
        put_usage(txn, account, usage)
        put_totals(txn, target, totals)
        with txn.cursor(txn.tables.annotations) as cursor:
            entries = entries_after(cursor, source, b"", b"", totals.entries)
        for entry, _ in entries:
            value = read_value(txn.get, txn.tables.annotations, source, entry)
            put_value(txn, target, entry, value or b"", 0)
