"""Accounts: who is enrolled, under which names and addresses, in which storage group.

They are kept in an environment of their own. Enrolling and delete_row also change the account's
group, in another transaction: an account has a state, so that whoever opens or sweeps the filepool
finishes what was cut short.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import trio

from imapvm.filepool.engine.environment import open_environment
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
from imapvm.filepool.tables.schema import COUNTER, ID_KEY, AccountTables
from imapvm.filepool.tables.transactions import AccountsTxn
from imapvm.model.ids import AccountId
from imapvm.model.limits import ACCOUNT_NAME_MAX, ADDRESS_MAX
from imapvm.model.names import normal_name

__all__ = ["Account", "Accounts"]

Result = TypeVar("Result")


class Accounts:
    """The users. What reads is short and waits for nothing; what writes returns when it is on disk.

    All that writes raises `StoreUnavailableError` when the disk is full or fails, and, where it
    gets an id, `NoSuchAccountError`.
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
        self._groups = groups
        self._clock = clock
        self._writer: Writer[AccountsTxn] | None = None
        self.on_durable: Callable[[], None] | None = None
        """Called in the writer's thread after each commit."""
        with self.env.begin() as txn:
            self._checked_txn_id = txn.id()

    def start(self) -> None:
        """Begin to write. Call it in Trio's thread."""
        self._writer = Writer(
            "imapvm accounts",
            self.env,
            self.write_txn,
            on_begin=lambda: None,
            on_commit=lambda txn, number: None,
            on_abort=lambda: None,
            on_durable=self._durable,
        )

    def _durable(self, _: AccountsTxn) -> None:
        if self.on_durable is not None:
            self.on_durable()

    def write_txn(self, txn: LmdbTxn) -> AccountsTxn:
        """What operations are applied to."""
        return AccountsTxn(txn, self.tables)

    async def close(self) -> None:
        """Finish what is queued, and close the environment."""
        if self._writer is not None:
            await self._writer.close()
        self.env.close()

    async def submit(self, operation: Operation[AccountsTxn, Result]) -> Result:
        """Carry out an operation; see `Writer.submit`."""
        assert self._writer is not None
        return await self._writer.submit(operation)

    def changed(self) -> bool:
        """True where an account has changed since this was last asked."""
        with self.env.begin() as txn:
            before, self._checked_txn_id = self._checked_txn_id, txn.id()
        return before != self._checked_txn_id

    # --- reading ------------------------------------------------------------------------------

    def find(self, name: str) -> Account | None:
        """The account of a login name, in whatever case."""
        return self._find(normal_name(name).encode(), self.tables.names)

    def by_address(self, address: str) -> Account | None:
        """The account that has an alias `local@domain` or `local`."""
        return self._find(normal_name(address).encode(), self.tables.aliases)

    def by_id(self, number: AccountId) -> Account | None:
        """The account, or None where it is not enrolled (any more)."""
        with self.env.begin() as txn:
            return self._active(txn, ID_KEY.pack(number))

    def all(self) -> list[Account]:
        """All accounts, by id."""
        with self.env.begin() as txn, txn.cursor(self.tables.accounts) as cursor:
            rows = [AccountRow.from_bytes(key, stored) for key, stored in cursor]
        return [row.account for row in rows if row.status is AccountStatus.ACTIVE]

    def aliases(self, number: AccountId) -> list[str]:
        """Addresses of an account, in the form in which they are compared."""
        prefix = ID_KEY.pack(number)
        found = []
        with self.env.begin() as txn, txn.cursor(self.tables.addresses) as cursor:
            if cursor.set_range(prefix):
                for key, _ in cursor:
                    if not key.startswith(prefix):
                        break
                    found.append(key[8:].decode())
        return found

    def _find(self, key: bytes, table: Table) -> Account | None:
        if not 0 < len(key) <= max(ACCOUNT_NAME_MAX, ADDRESS_MAX):
            return None
        with self.env.begin() as txn:
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
        """Make an account, with INBOX and the mailboxes that every new user gets, subscribed.

        Raises:
            AccountExistsError, InvalidNameError, LimitError: the name cannot be given.
        """
        with trio.CancelScope(shield=True):  # three commits; cut short, a sweep would finish it
            account = await self.submit(
                ReserveAccount(name, credential, len(self._groups), self._now())
            )
            await self._finish_enrolment(account)
        return account

    async def delete(self, number: AccountId) -> None:
        """Remove an account with all its mail. Its id is never used again."""
        account = await self.submit(MarkDeleted(number))
        await self._finish_deletion(account)

    async def rename(self, number: AccountId, to: str) -> None:
        """Give an account another login name.

        Raises:
            AccountExistsError, InvalidNameError: it cannot have this one.
        """
        await self.submit(RenameAccount(number, to))

    async def set_credential(self, number: AccountId, credential: str) -> None:
        """Change what the account's password is verified against."""
        await self.submit(SetCredential(number, credential))

    async def add_alias(self, number: AccountId, address: str) -> None:
        """Have mail for an address, `local@domain` or `local`, go to an account.

        Raises:
            AccountExistsError: it goes to another account.
            InvalidNameError: it is no address.
        """
        await self.submit(AddAlias(number, address))

    async def remove_alias(self, address: str) -> None:
        """Have an address go to nobody."""
        await self.submit(RemoveAlias(address))

    async def finish(self) -> int:
        """Finish what was cut short; return how many accounts that was."""
        rows = []
        with self.env.begin() as txn, txn.cursor(self.tables.unfinished) as cursor:
            for key in cursor.iternext(True, False):  # noqa: FBT003
                stored = txn.get(key, None, self.tables.accounts)
                if stored is not None:
                    rows.append(AccountRow.from_bytes(key, stored))
        for row in rows:
            if row.status is AccountStatus.ENROLLING:
                await self._finish_enrolment(row.account)
            elif row.status is AccountStatus.DELETED:
                await self._finish_deletion(row.account)
        return len(rows)

    async def _finish_enrolment(self, account: Account) -> None:
        await self._groups[account.group].submit(AddAccount(account.id, self._now()))
        await self.submit(ActivateAccount(account.id))

    async def _finish_deletion(self, account: Account) -> None:
        group = self._groups[account.group]
        while not await group.submit(ClearAccount(account.id, self._now())):
            await trio.lowlevel.checkpoint()
        await self.submit(ForgetAccount(account.id))

    def _now(self) -> int:
        return int(self._clock())
