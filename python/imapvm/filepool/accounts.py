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
from imapvm.filepool.engine.writer import Writer
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
from imapvm.filepool.tables.accounts import Account, AccountRow, AccountStatus
from imapvm.filepool.tables.schema import COUNTER, ID_KEY, LOGIN_EPOCH, AccountTables
from imapvm.filepool.tables.transactions import AccountsTxn
from imapvm.model.ids import AccountId
from imapvm.model.limits import ACCOUNT_NAME_MAX, ADDRESS_MAX
from imapvm.model.names import normal_name

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
        await self.submit(ForgetAccount(account.id))

    def _now(self) -> int:
        return int(self._clock())
