"""Accounts: names, addresses, credentials and storage groups of enrolled users.

They are stored in an environment of their own. Enrolling and deleting also change the account's
group, in another transaction. An account therefore has a status, and an interrupted change is
completed when the filepool is opened or swept.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import trio

from imapvm.filepool.engine.environment import (
    check_data_size,
    map_data_file,
    open_environment,
)
from imapvm.filepool.engine.transactions import LmdbTxn, Operation, Table
from imapvm.filepool.engine.writer import Writer, require_ended
from imapvm.filepool.errors import UnknownGrantError
from imapvm.filepool.group import Group
from imapvm.filepool.operations.accounts import (
    ActivateAccount,
    AddAlias,
    ForgetAccount,
    MarkDeleted,
    RemoveAlias,
    RenameAccount,
    ReserveAccount,
    SetCredential,
)
from imapvm.filepool.operations.enroll import AddAccount, ClearAccount
from imapvm.filepool.operations.mailboxes.acl import ClearGrantee
from imapvm.filepool.operations.user_groups import (
    AddUserGroup,
    RemoveMembers,
    RemoveUserGroup,
    SetMember,
    SetSharedAccount,
)
from imapvm.filepool.tables.accounts import Account, AccountRow, AccountStatus
from imapvm.filepool.tables.schema import (
    COUNTER,
    ID_KEY,
    LOGIN_EPOCH,
    MEMBER_KEY,
    SHARED_ACCOUNT,
    AccountTables,
)
from imapvm.filepool.tables.transactions import AccountsTxn
from imapvm.filepool.tables.user_groups import BY_ACCOUNT, BY_GROUP, ID, group_name_key
from imapvm.model.ids import AccountId
from imapvm.model.limits import ACCOUNT_NAME_MAX, ADDRESS_MAX, GROUP_NAME_MAX
from imapvm.model.names import normal_name
from imapvm.model.rights import (
    ANYONE,
    ANYONE_NAME,
    GROUP_SIGN,
    NEGATIVE_SIGN,
    Grantee,
    GranteeKind,
)

__all__ = ["Account", "Accounts"]

Result = TypeVar("Result")


class Accounts:
    """Accounts of a filepool. Reading is short and does not wait; writing returns when durable.

    All coroutines raise `StoreUnavailableError` if the disk is full or fails; those that take an id
    raise `NoSuchAccountError`.
    """

    def __init__(
        self,
        path: Path,
        groups: Sequence[Group],
        *,
        clock: Callable[[], float],
        map_size: int,
    ) -> None:
        self.env, self.tables = open_environment(path, AccountTables, map_size=map_size)
        try:
            self._data = map_data_file(path, map_size)
        except BaseException:
            self.env.close()
            raise
        self._path = path
        self._groups = groups
        self._clock = clock
        self._writer: Writer[AccountsTxn] | None = None
        self.on_durable: Callable[[], None] | None = None
        """Called in the writer's thread after each commit."""
        with self.env.begin() as txn:
            self._checked_txn_id = txn.id()

    def start(self) -> None:
        """Start the writer. Call it in Trio's thread."""
        self._writer = Writer(
            "accounts",
            self.env,
            self.write_txn,
            check=self._check_size,
            on_begin=lambda: None,
            on_commit=lambda txn, number: None,
            on_abort=lambda: None,
            on_durable=self._wake,
        )

    def _wake(self, _: AccountsTxn) -> None:
        if self.on_durable is not None:
            self.on_durable()

    def _check_size(self) -> None:
        check_data_size(self._data, self._path)

    def _begin(self) -> LmdbTxn:
        """Begin a read transaction."""
        self._check_size()
        return self.env.begin()

    def write_txn(self, txn: LmdbTxn) -> AccountsTxn:
        """Return the transaction to which operations are applied."""
        return AccountsTxn(txn, self.tables)

    async def close(self) -> None:
        """Commit all queued operations, and close the environment."""
        if self._writer is not None:
            await self._writer.close()
        self.release()

    def release(self) -> None:
        """Close the files; see `Group.release`."""
        require_ended(self._writer)
        self.env.close()
        del self._data

    async def submit(self, operation: Operation[AccountsTxn, Result]) -> Result:
        """Apply an operation; see `Writer.submit`."""
        assert self._writer is not None
        return await self._writer.submit(operation)

    def changed(self) -> bool:
        """Return True if any process has changed an account since the last call."""
        with self._begin() as txn:
            before, self._checked_txn_id = self._checked_txn_id, txn.id()
        return before != self._checked_txn_id

    # --- reading ------------------------------------------------------------------------------

    def find(self, name: str) -> Account | None:
        """Return the account with a login name, compared without regard to case."""
        return self._find(normal_name(name).encode(), self.tables.names)

    def by_address(self, address: str) -> Account | None:
        """Return the account with an address, `local@domain` or `local`."""
        return self._find(normal_name(address).encode(), self.tables.aliases)

    def by_id(self, number: AccountId) -> Account | None:
        """Return the account, or None if it is not enrolled."""
        with self._begin() as txn:
            return self._active(txn, ID_KEY.pack(number))

    def login_epoch(self, number: AccountId, credential: str | None = None) -> int | None:
        """Return a number that changes when the sessions of an account have to end.

        Args:
            number: the account.
            credential: against which a password was verified; None for any.

        Returns:
            None if the account is not enrolled, or has another credential.
        """
        key = ID_KEY.pack(number)
        with self._begin() as txn:
            account = self._active(txn, key)
            if account is None or credential not in {None, account.credential}:
                return None
            stored = txn.get(LOGIN_EPOCH + key, None, self.tables.counters)
        (epoch,) = COUNTER.unpack(stored or bytes(COUNTER.size))
        return int(epoch)

    def all(self) -> list[Account]:
        """Return all accounts, by id."""
        with self._begin() as txn, txn.cursor(self.tables.accounts) as cursor:
            rows = [AccountRow.from_bytes(key, stored) for key, stored in cursor]
        return [row.account for row in rows if row.status is AccountStatus.ACTIVE]

    def aliases(self, number: AccountId) -> list[str]:
        """Return the addresses of an account, normalised."""
        prefix = ID_KEY.pack(number)
        found = []
        with self._begin() as txn, txn.cursor(self.tables.addresses) as cursor:
            if cursor.set_range(prefix):
                for key, _ in cursor:
                    if not key.startswith(prefix):
                        break
                    found.append(key[8:].decode())
        return found

    def latest_txn_id(self) -> int:
        """Return the id of the latest commit: accounts and groups of users have not changed since.

        Raises:
            CorruptError: the data file is corrupt.
        """
        return self._data.latest_txn_id()

    # --- groups of users -----------------------------------------------------------------------

    def group_id(self, name: str) -> int | None:
        """Return the id of a group of users, compared without regard to case; None if unknown."""
        key = group_name_key(name)
        if len(key) - 1 > GROUP_NAME_MAX:
            return None
        with self._begin() as txn:
            stored = txn.get(key, None, self.tables.groups)
        return None if stored is None else int(COUNTER.unpack(stored)[0])

    def user_groups(self) -> dict[int, str]:
        """Return the names of all groups of users, by id."""
        prefix = ID
        found: dict[int, str] = {}
        with self._begin() as txn, txn.cursor(self.tables.groups) as cursor:
            if cursor.set_range(prefix):
                for key, stored in cursor:
                    if not key.startswith(prefix):
                        break
                    found[ID_KEY.unpack(key[1:])[0]] = stored.decode()
        return found

    def members(self, group: int) -> list[AccountId]:
        """Return the members of a group of users, by id."""
        with self._begin() as txn:
            return [AccountId(each) for each in self._members(txn, BY_GROUP, group)]

    def _members(self, txn: LmdbTxn, kind: bytes, number: int) -> list[int]:
        prefix = kind + ID_KEY.pack(number)
        found: list[int] = []
        with txn.cursor(self.tables.members) as cursor:
            if cursor.set_range(prefix):
                for key in cursor.iternext(True, False):  # noqa: FBT003
                    if not key.startswith(prefix):
                        break
                    found.append(MEMBER_KEY.unpack(key)[2])
        return found

    def grantees(self, number: AccountId) -> tuple[Grantee, ...]:
        """Return what a user is for ACLs: anyone, the user, and the user's groups."""
        with self._begin() as txn:
            groups = self._members(txn, BY_ACCOUNT, number)
        mine = (Grantee(GranteeKind.GROUP, group) for group in groups)
        return (ANYONE, Grantee(GranteeKind.USER, number), *mine)

    def identifier(self, grantee: Grantee) -> str | None:
        """Return the identifier of a grantee; None for a user or group that was deleted."""
        match grantee.kind:
            case GranteeKind.ANYONE:
                return ANYONE_NAME
            case GranteeKind.USER:
                account = self.by_id(AccountId(grantee.id))
                return None if account is None else account.name
            case GranteeKind.GROUP:
                with self._begin() as txn:
                    stored = txn.get(ID + ID_KEY.pack(grantee.id), None, self.tables.groups)
                return None if stored is None else GROUP_SIGN + stored.decode()

    def grantee(self, identifier: str) -> tuple[Grantee, bool]:
        """Return the grantee for an identifier, and True for negative rights.

        A login name that starts with "-" or "$", or is "anyone", cannot be an identifier.

        Raises:
            UnknownGrantError: there is no such user or group.
        """
        name = identifier.removeprefix(NEGATIVE_SIGN)
        negative = name != identifier
        if name.lower() == ANYONE_NAME:
            return ANYONE, negative
        if name.startswith(GROUP_SIGN):
            group = self.group_id(name.removeprefix(GROUP_SIGN))
            if group is not None:
                return Grantee(GranteeKind.GROUP, group), negative
        elif (account := self.find(name)) is not None:
            return Grantee(GranteeKind.USER, account.id), negative
        raise UnknownGrantError(f"unknown identifier {name}")

    def shared_account(self) -> Account | None:
        """Return the account whose mailboxes are below `Shared/`; None without one."""
        with self._begin() as txn:
            stored = txn.get(SHARED_ACCOUNT, None, self.tables.counters)
            return (
                None if stored is None else self._active(txn, ID_KEY.pack(*COUNTER.unpack(stored)))
            )

    async def add_user_group(self, name: str) -> int:
        """Create a group of users; return its id.

        Raises:
            AccountExistsError, InvalidNameError: the name is refused.
        """
        return await self.submit(AddUserGroup(name))

    async def remove_user_group(self, group: int) -> None:
        """Delete a group of users, its memberships, and all rights that were granted to it.

        In steps, members first: the rights that remain when the server stops have no effect, as the
        id is not used again.
        """
        with trio.CancelScope(shield=True):
            while not await self.submit(RemoveMembers(group)):
                await trio.lowlevel.checkpoint()
            await self.submit(RemoveUserGroup(group))
            await self._clear_grantee(Grantee(GranteeKind.GROUP, group))

    async def set_member(self, group: int, account: AccountId, *, member: bool) -> None:
        """Add a user to a group, or remove it.

        Raises:
            LimitError: the user would be in too many groups.
        """
        await self.submit(SetMember(group, account, member))

    async def set_shared_account(self, number: AccountId | None) -> None:
        """Choose the account whose mailboxes are below `Shared/`; None for none."""
        await self.submit(SetSharedAccount(number))

    async def _clear_grantee(self, grantee: Grantee) -> None:
        for group in self._groups:
            step: ClearGrantee | None = ClearGrantee(grantee)
            while step is not None:
                step = await group.submit(step)
                await trio.lowlevel.checkpoint()

    def _find(self, key: bytes, table: Table) -> Account | None:
        if not 0 < len(key) <= max(ACCOUNT_NAME_MAX, ADDRESS_MAX):
            return None
        with self._begin() as txn:
            stored = txn.get(key, None, table)
            if stored is None:
                return None
            return self._active(txn, ID_KEY.pack(*COUNTER.unpack(stored)))

    def _active(self, txn: LmdbTxn, key: bytes) -> Account | None:
        stored = txn.get(key, None, self.tables.accounts)
        if stored is None:
            return None
        row = AccountRow.from_bytes(key, stored)
        return row.account if row.status is AccountStatus.ACTIVE else None

    # --- writing ------------------------------------------------------------------------------

    async def enroll(self, name: str, credential: str) -> Account:
        """Create an account with INBOX and the default mailboxes, subscribed.

        Raises:
            AccountExistsError, InvalidNameError, LimitError: the name or credential is refused.
        """
        with trio.CancelScope(shield=True):  # three commits; a sweep completes them otherwise
            account = await self.submit(
                ReserveAccount(name, credential, len(self._groups), self._now())
            )
            await self._complete_enrolling(account)
        return account

    async def delete(self, number: AccountId) -> None:
        """Delete an account with all its mail. Its id is never used again."""
        account = await self.submit(MarkDeleted(number))
        await self._complete_deletion(account)

    async def rename(self, number: AccountId, to: str) -> None:
        """Change the login name of an account.

        Raises:
            AccountExistsError, InvalidNameError: the name is refused.
        """
        await self.submit(RenameAccount(number, to))

    async def set_credential(
        self, number: AccountId, credential: str, *, keep_sessions: bool = False
    ) -> None:
        """Change the credential of an account, and its login epoch.

        Args:
            number: the account.
            credential: new value.
            keep_sessions: do not change the login epoch.
        """
        await self.submit(SetCredential(number, credential, keep_sessions))

    async def add_alias(self, number: AccountId, address: str) -> None:
        """Add an address, `local@domain` or `local`, to an account.

        Raises:
            AccountExistsError: another account has the address.
            InvalidNameError: it cannot be an address.
        """
        await self.submit(AddAlias(number, address))

    async def remove_alias(self, address: str) -> None:
        """Remove an address from its account."""
        await self.submit(RemoveAlias(address))

    async def complete_interrupted(self) -> int:
        """Complete interrupted changes; return the number of accounts."""
        rows = []
        with self._begin() as txn, txn.cursor(self.tables.unfinished) as cursor:
            for key in cursor.iternext(True, False):  # noqa: FBT003
                stored = txn.get(key, None, self.tables.accounts)
                if stored is not None:
                    rows.append(AccountRow.from_bytes(key, stored))
        for row in rows:
            if row.status is AccountStatus.ENROLLING:
                await self._complete_enrolling(row.account)
            elif row.status is AccountStatus.DELETED:
                await self._complete_deletion(row.account)
        return len(rows)

    async def _complete_enrolling(self, account: Account) -> None:
        await self._groups[account.group].submit(AddAccount(account.id, self._now()))
        await self.submit(ActivateAccount(account.id))

    async def _complete_deletion(self, account: Account) -> None:
        group = self._groups[account.group]
        while not await group.submit(ClearAccount(account.id, self._now())):
            await trio.lowlevel.checkpoint()
        await self._clear_grantee(Grantee(GranteeKind.USER, account.id))
        await self.submit(ForgetAccount(account.id))

    def _now(self) -> int:
        return int(self._clock())
