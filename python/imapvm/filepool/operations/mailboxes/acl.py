r"""Changes of ACLs, and operations of users who are not the owner of a mailbox.

`Permitted` is the only place where rights are checked before a change: in the transaction of the
change, so that a right that was lost while the operation waited does not count.
"""

from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from imapvm.filepool.engine.transactions import Operation
from imapvm.filepool.errors import (
    NoSuchAccountError,
    NoSuchMailboxError,
    PermissionDeniedError,
)
from imapvm.filepool.operations.mailboxes.annotations import clear_user
from imapvm.filepool.operations.sweep import STEP_ROWS
from imapvm.filepool.tables.acl import (
    entry_of,
    note_grantee,
    note_rights,
    put_entry,
    put_shared_seen,
    rights_of,
)
from imapvm.filepool.tables.schema import ACL_KEY, GRANT_KEY, GRANTEE_KEY, PAIR_KEY, MailboxRow
from imapvm.filepool.tables.seen import clear_reader
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.rights import NO_RIGHTS, AclEntry, Grantee, GranteeKind, Rights, RightsChange
from imapvm.model.values import frozen

Result = TypeVar("Result")

DENIED: Final = "permission denied"


# --- ACLs ---------------------------------------------------------------------------------------


@frozen
class SetRights:
    """SETACL and DELETEACL (RFC 4314 sections 3.1 and 3.2)."""

    account: AccountId
    mailbox: MailboxId
    grantee: Grantee
    negative: bool
    """Change the rights to remove."""
    change: RightsChange
    rights: Rights

    def apply(self, txn: GroupTxn) -> AclEntry:
        row = txn.mailbox(self.account, self.mailbox)
        key = ACL_KEY.pack(row.id, *self.grantee)
        stored = txn.get(key, txn.tables.acl)
        before = (
            AclEntry(self.grantee, NO_RIGHTS, NO_RIGHTS)
            if stored is None
            else entry_of(key, stored)
        )
        if self.negative:
            after = before._replace(removed=self.change.apply(before.removed, self.rights))
        else:
            after = before._replace(granted=self.change.apply(before.granted, self.rights))
        if after != before:
            put_entry(txn, row, after)
            note_rights(txn, row)
            note_grantee(txn, self.grantee)
        return after


@frozen
class SetSharedSeen:
    r"""Choice between one \Seen for all readers and one for each."""

    account: AccountId
    mailbox: MailboxId
    shared: bool

    def apply(self, txn: GroupTxn) -> None:
        row = txn.mailbox(self.account, self.mailbox)
        put_shared_seen(txn, row, shared=self.shared)
        note_rights(txn, row)


@frozen
class ClearGrantee:
    """Removal of all that a deleted user or group of users was granted in a storage group.

    A bounded amount at a time; the result is None when done, else the operation to apply next.
    Nothing depends on it: an id is never reused.
    """

    grantee: Grantee
    seen_after: int | None = 0
    """Mailboxes up to this one have no row of the user in `seen`; None: no mailbox has."""
    annotated_after: int = 0
    """The same for private annotations of the user."""

    def apply(self, txn: GroupTxn) -> "ClearGrantee | None":
        tables = txn.tables
        keys = txn.keys(tables.grants, GRANTEE_KEY.pack(*self.grantee), STEP_ROWS)
        for key in keys:
            kind, number, _, mailbox = GRANT_KEY.unpack(key)
            txn.delete(key, tables.grants)
            txn.delete(ACL_KEY.pack(mailbox, kind, number), tables.acl)
        budget = STEP_ROWS - len(keys)
        if budget <= 0:
            return self
        if self.grantee.kind is not GranteeKind.USER:
            return None
        user = AccountId(self.grantee.id)
        if self.seen_after is not None:
            seen, budget = clear_reader(txn, user, self.seen_after, budget)
            if seen is not None or budget <= 0:
                return ClearGrantee(self.grantee, seen)
        after, _ = clear_user(txn, user, self.annotated_after, budget)
        return None if after is None else ClearGrantee(self.grantee, None, after)


# --- operations of other users --------------------------------------------------------------


def permitted_row(
    txn: GroupTxn,
    account: AccountId,
    mailbox: MailboxId,
    grantees: Sequence[Grantee],
    needed: Rights,
) -> tuple[MailboxRow, Rights]:
    """Return the row of a mailbox, and the rights of the user.

    Raises:
        NoSuchMailboxError: the mailbox does not exist, or the user cannot see it.
        PermissionDeniedError: the user has not all of the needed rights.
    """
    rights = rights_of(lambda key: txn.get(key, txn.tables.acl), mailbox, grantees)
    try:
        row = txn.mailbox(account, mailbox)
    except NoSuchAccountError:
        txn.get(PAIR_KEY.pack(account, mailbox), txn.tables.mailboxes)  # as many look-ups
        raise NoSuchMailboxError("mailbox does not exist") from None
    if needed & ~rights:
        if Rights.LOOKUP in rights:
            raise PermissionDeniedError(DENIED)
        raise NoSuchMailboxError("mailbox does not exist")
    return row, rights


@frozen
class Permitted(Generic[Result]):
    """Operation of a user who is not the owner, and the rights that it needs."""

    operation: Operation[GroupTxn, Result]
    account: AccountId
    """Owner of the mailboxes."""
    grantees: tuple[Grantee, ...]
    needed: tuple[tuple[MailboxId, Rights], ...]

    def apply(self, txn: GroupTxn) -> Result:
        for mailbox, rights in self.needed:
            permitted_row(txn, self.account, mailbox, self.grantees, rights)
        return self.operation.apply(txn)
