"""Store of a user for the mailboxes of another."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, NoReturn

from imapvm._core import UidSet
from imapvm.filepool.access.shared_reader import SharedReader, joined_txn_id
from imapvm.filepool.accounts import Account, Accounts
from imapvm.filepool.errors import PermissionDeniedError, SpecialUseError
from imapvm.filepool.group import Group
from imapvm.filepool.operations.append import AppendResult, NewMessage
from imapvm.filepool.operations.mailboxes.acl import DENIED, Permitted, SetRights
from imapvm.filepool.operations.mailboxes.annotations import Annotation, SetAnnotations
from imapvm.filepool.operations.mailboxes.mailboxes import DeleteMailbox
from imapvm.filepool.operations.mailboxes.shared import (
    AppendSharedMessages,
    CreateSharedMailbox,
    RemoveMessages,
    RenameSharedMailbox,
    ReplaceSharedMessage,
    SetSharedAnnotations,
    SharedUser,
    StoreSharedFlags,
)
from imapvm.filepool.operations.store_flags import (
    ExpungeMessages,
    ExpungeResult,
    StoreFlags,
    StoreResult,
)
from imapvm.filepool.reading import Reader
from imapvm.filepool.staging import copy_staged
from imapvm.filepool.store import (
    STORES_PER_COST,
    AccountStore,
    Mailbox,
    append_cost,
)
from imapvm.filepool.tables.name_changes import NO_ORIGIN
from imapvm.model.ids import MailboxId
from imapvm.model.rights import AclEntry, Grantee, Rights, RightsChange

GROUP_BITS_AT: Final = 48
"""Bit of EMAILID and THREADID from which on the storage group is written, for a user of another."""


class SharedStore(AccountStore):
    """Access of a user to the mailboxes of another; see `AccountStore`.

    Coroutines raise `NoSuchMailboxError` also if the user cannot see the mailbox, and
    `PermissionDeniedError` if the user can see it and has not the right that is needed.
    """

    __slots__ = ("_accounts", "_me", "accounts_txn_id", "id_bits", "prefix", "seen", "user")

    is_own = False

    def __init__(
        self,
        owner: Account,
        groups: Sequence[Group],
        accounts: Accounts,
        me: Account,
        prefix: str,
    ) -> None:
        super().__init__(owner, groups)
        self._accounts = accounts
        self._me = me
        self.prefix = prefix
        self.id_bits = 0 if owner.group == me.group else (owner.group + 1) << GROUP_BITS_AT
        self.seen: tuple[MailboxId, int, UidSet] | None = None
        self.accounts_txn_id = -1
        self.user = SharedUser(me.id, ())
        self._read_groups()

    def _read_groups(self) -> None:
        """Read the user's groups again if an account or a group has changed."""
        now = self._accounts.latest_txn_id()
        if now != self.accounts_txn_id:
            self.user = SharedUser(self._me.id, self._accounts.grantees(self._me.id))
            self.accounts_txn_id = now

    def reading(self) -> AbstractContextManager[Reader]:
        """Return a short read transaction. Nothing may be awaited inside."""
        return self.shared_reading()

    def shared_reading(self) -> SharedReader:
        """Return a short read transaction. Nothing may be awaited inside."""
        self._read_groups()
        return SharedReader(self._group, self._id, self)

    def latest_txn_id(self) -> int:
        """Return a number for the latest commits, to the mail and to the accounts."""
        return joined_txn_id(super().latest_txn_id(), self._accounts.latest_txn_id())

    def is_subscribed(self, name: str) -> bool:
        """Return True if the user has subscribed a name."""
        with Reader(self._groups[self._me.group], self._me.id) as reader:
            return reader.is_subscribed(name)

    def _grantees(self) -> tuple[Grantee, ...]:
        self._read_groups()
        return self.user.grantees

    def _user(self) -> SharedUser:
        self._read_groups()
        return self.user

    # --- mailboxes ----------------------------------------------------------------------------

    async def create_mailbox(
        self,
        name: str,
        *,
        special_use: Sequence[str] = (),
        subscribe: bool = False,
        origin: bytes = NO_ORIGIN,
    ) -> Mailbox:
        """Create a mailbox below one on which the user has `k`."""
        if special_use:
            raise SpecialUseError("a mailbox of another user cannot get a special use")
        created = await self._group.submit(
            CreateSharedMailbox(self._id, name, self._now(), self._user(), origin)
        )
        return created._replace(name=self.prefix + created.name, shared_by=self._id)

    async def delete_mailbox(self, mailbox: MailboxId, *, origin: bytes = NO_ORIGIN) -> None:
        """Delete a mailbox: `x`."""
        delete = DeleteMailbox(self._id, mailbox, self._now(), origin)
        needed = ((mailbox, Rights.DELETE_MAILBOX),)
        await self._group.submit(Permitted(delete, self._id, self._grantees(), needed))

    async def rename_mailbox(self, old: str, new: str, *, origin: bytes = NO_ORIGIN) -> None:
        """Rename a mailbox and its children: `x` on it, `k` on the parent of the new name."""
        rename = RenameSharedMailbox(self._id, old, new, self._now(), self._user(), origin)
        await self._group.submit(rename)

    async def claim_recent(self, mailbox: MailboxId, up_to: int) -> int:
        r"""Claim nothing: no message is \Recent for a user who is not the owner."""
        return up_to + 1

    def claim_recent_soon(
        self,
        mailbox: MailboxId,
        up_to: int,
        done: Callable[[int | None], None],
    ) -> None:
        """Claim nothing."""
        done(up_to + 1)

    async def set_rights(
        self,
        mailbox: MailboxId,
        grantee: Grantee,
        change: RightsChange,
        rights: Rights,
        *,
        negative: bool = False,
    ) -> AclEntry:
        """Change an entry of the ACL: `a`."""
        operation = SetRights(self._id, mailbox, grantee, negative, change, rights)
        needed = ((mailbox, Rights.ADMINISTER),)
        return await self._group.submit(Permitted(operation, self._id, self._grantees(), needed))

    async def set_annotations(
        self,
        mailbox: MailboxId,
        annotations: Sequence[Annotation],
        *,
        origin: bytes,
    ) -> list[tuple[MailboxId, tuple[str, ...]]]:
        """Set and remove annotations: shared ones, and the user's own private ones."""
        operation = SetAnnotations(self._id, mailbox, self._me.id, tuple(annotations), origin)
        count = len(annotations)
        await self._group.submit(
            SetSharedAnnotations(operation, self._user()), cost=count if count > 1 else 0
        )
        return []

    # --- messages -----------------------------------------------------------------------------

    async def append(
        self,
        mailbox: MailboxId,
        messages: Sequence[NewMessage],
        *,
        claim: bool = False,
    ) -> AppendResult:
        """Append messages, with those of their flags that the user may set: `i`."""
        ready = await self._staged_here(messages)
        return await self._group.submit(
            AppendSharedMessages(self._id, mailbox, ready, self._now(), self._user()),
            cost=append_cost(ready),
        )

    async def replace(
        self,
        mailbox: MailboxId,
        uid: int,
        to: MailboxId,
        message: NewMessage,
        *,
        claim: bool = False,
    ) -> AppendResult:
        """Append a message and remove another one: `i`, and `t` and `e` (RFC 8508 section 3.5)."""
        ready = await copy_staged(message, self._group, self._groups)
        return await self._group.submit(
            ReplaceSharedMessage(self._id, mailbox, uid, to, ready, self._now(), self._user())
        )

    async def store_flags(
        self,
        mailbox: MailboxId,
        uids: UidSet,
        *,
        mode: int,
        flags: int,
        keywords: tuple[str, ...],
        unchanged_since: int | None = None,
    ) -> StoreResult:
        """Change those flags that the user may change: `s`, `t` and `w`."""
        request = StoreFlags(self._id, mailbox, uids, mode, flags, keywords, unchanged_since)
        return await self._group.submit(
            StoreSharedFlags(request, self._user()), cost=len(uids) // STORES_PER_COST
        )

    async def expunge(self, mailbox: MailboxId, uids: UidSet) -> ExpungeResult:
        r"""Expunge those of some messages that have \Deleted: `e`."""
        operation = ExpungeMessages(self._id, mailbox, uids, self._now())
        needed = ((mailbox, Rights.READ | Rights.EXPUNGE),)
        return await self._group.submit(
            Permitted(operation, self._id, self._grantees(), needed), cost=len(uids)
        )

    async def remove(self, mailbox: MailboxId, uids: UidSet) -> ExpungeResult:
        """Remove messages that were copied to another account: `t` and `e`."""
        operation = RemoveMessages(self._id, mailbox, uids, self._now())
        needed = ((mailbox, Rights.READ | Rights.EXPUNGE | Rights.DELETE_MESSAGES),)
        return await self._group.submit(
            Permitted(operation, self._id, self._grantees(), needed), cost=len(uids)
        )

    # --- for the owner only -------------------------------------------------------------------

    async def _refuse(self, *_: object, **__: object) -> NoReturn:
        """Refuse: this concerns the owner's account, or is done by other methods.

        Subscriptions are in the user's own account. Copies are stored by `append`, with flags that
        the user may set.
        """
        raise PermissionDeniedError(DENIED)

    subscribe = unsubscribe = _refuse
    copy = move = _refuse
    set_quota = recount_usage = set_shared_seen = _refuse
