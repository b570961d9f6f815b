"""Accounts: who is enrolled, under which names and addresses, in which storage group.

They are kept in an environment of their own. Enrolling and deleting also change the account's
group, in another transaction: an account has a state, so that whoever opens or sweeps the filepool
finishes what was cut short.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from struct import Struct, error
from typing import TYPE_CHECKING, Final, Self, TypeVar

import trio

from imapvm.filepool.enrolment import AddAccount, ClearAccount
from imapvm.filepool.environment import open_environment
from imapvm.filepool.errors import (
    AccountExistsError,
    DamagedError,
    InvalidNameError,
    LimitError,
    NoSuchAccountError,
)
from imapvm.filepool.operations import AccountsTxn, Operation
from imapvm.filepool.tables import COUNTER, ID_KEY, ROW_VERSION, AccountTables
from imapvm.filepool.writer import Writer
from imapvm.model.ids import AccountId
from imapvm.model.limits import ACCOUNT_NAME_MAX, ADDRESS_MAX, CREDENTIAL_MAX

if TYPE_CHECKING:
    import lmdb

    from imapvm.filepool.group import Group

Result = TypeVar("Result")

_ROW: Final = Struct("<BBHqHH")


class State(IntEnum):
    """Of an account."""

    ENROLLING = 1
    """Its mailboxes may not be there yet."""
    ACTIVE = 2
    DELETED = 3
    """Its mail may still be there; its name is free."""


@dataclass(frozen=True, slots=True)
class Account:
    """An enrolled user."""

    id: AccountId
    name: str
    group: int
    """The storage group that has everything of this account."""
    credential: str
    """What a password is verified against; see `auth.passwords`."""
    created: int
    """Seconds since 1970 UTC."""


@dataclass(slots=True)
class AccountRow:
    """A row of `accounts`."""

    account: Account
    state: State

    def __bytes__(self) -> bytes:
        name, credential = self.account.name.encode(), self.account.credential.encode()
        return (
            _ROW.pack(
                ROW_VERSION,
                self.state,
                self.account.group,
                self.account.created,
                len(name),
                len(credential),
            )
            + name
            + credential
        )

    @classmethod
    def from_bytes(cls, key: bytes, stored: bytes) -> Self:
        """Read what `__bytes__` wrote.

        Raises:
            DamagedError: it is no such row.
        """
        try:
            (number,) = ID_KEY.unpack(key)
            version, state, group, created, length, rest = _ROW.unpack_from(stored)
            name = stored[_ROW.size : _ROW.size + length].decode()
            credential = stored[_ROW.size + length :].decode()
            row = cls(Account(AccountId(number), name, group, credential, created), State(state))
        except (error, ValueError):
            raise DamagedError("An account's row cannot be read.") from None
        if version != ROW_VERSION or len(stored) != _ROW.size + length + rest:
            raise DamagedError(f"The row of account {number} cannot be read.")
        return row


def normal_name(name: str) -> str:
    """The form in which login names and addresses are compared: no case, form C.

    As the UsernameCaseMapped profile of RFC 8265 section 3.3 maps them.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())


def _checked(text: str, what: str, most: int) -> str:
    """Refuse what cannot be a name or an address.

    Raises:
        InvalidNameError: empty, too long, or with spaces or control characters.
    """
    if not text:
        raise InvalidNameError(f"{what} cannot be empty.")
    if any(unicodedata.category(char)[0] in "CZ" for char in text):
        raise InvalidNameError(f"{what} cannot hold spaces or control characters.")
    if len(text.encode()) > most or len(normal_name(text).encode()) > most:
        raise InvalidNameError(f"{what} has at most {most} octets.")
    return text


def _check_credential(credential: str) -> None:
    if len(credential.encode()) > CREDENTIAL_MAX:
        raise LimitError(f"A credential has at most {CREDENTIAL_MAX} octets.")


# --- operations -------------------------------------------------------------------------------


def _row(txn: AccountsTxn, number: AccountId, *, active: bool = True) -> AccountRow:
    """Read a row.

    Raises:
        NoSuchAccountError: there is none, or it is not active and should be.
    """
    key = ID_KEY.pack(number)
    stored = txn.get(key, txn.tables.accounts)
    row = AccountRow.from_bytes(key, stored) if stored else None
    if row is None or (active and row.state is not State.ACTIVE):
        raise NoSuchAccountError("There is no such account.")
    return row


def _put(txn: AccountsTxn, row: AccountRow) -> None:
    txn.put(ID_KEY.pack(row.account.id), bytes(row), txn.tables.accounts)


@dataclass(frozen=True, slots=True)
class ReserveAccount:
    """Give out an account id and take the name; the account cannot be found yet."""

    name: str
    credential: str
    groups: int
    now: int

    def apply(self, txn: AccountsTxn) -> Account:
        _checked(self.name, "A user's name", ACCOUNT_NAME_MAX)
        _check_credential(self.credential)
        key = normal_name(self.name).encode()
        if txn.get(key, txn.tables.names) is not None:
            raise AccountExistsError(f"There is a user {self.name} already.")
        number = AccountId(txn.allocate(b"account"))
        group = (number - 1) % self.groups
        account = Account(number, self.name, group, self.credential, self.now)
        txn.put(key, COUNTER.pack(number), txn.tables.names)
        txn.put(ID_KEY.pack(number), b"", txn.tables.unfinished)
        _put(txn, AccountRow(account, State.ENROLLING))
        return account


@dataclass(frozen=True, slots=True)
class ActivateAccount:
    """The account's mailboxes are there: it can be found."""

    account: AccountId

    def apply(self, txn: AccountsTxn) -> None:
        row = _row(txn, self.account, active=False)
        if row.state is State.ENROLLING:
            row.state = State.ACTIVE
            _put(txn, row)
            txn.delete(ID_KEY.pack(self.account), txn.tables.unfinished)


@dataclass(frozen=True, slots=True)
class MarkDeleted:
    """Nobody finds the account any more; its name and addresses are free."""

    account: AccountId

    def apply(self, txn: AccountsTxn) -> Account:
        row = _row(txn, self.account, active=False)
        tables = txn.tables
        if row.state is not State.DELETED:
            txn.delete(normal_name(row.account.name).encode(), tables.names)
            for key, _ in list(txn.items(tables.addresses, ID_KEY.pack(self.account))):
                txn.delete(key, tables.addresses)
                txn.delete(key[8:], tables.aliases)
            row.state = State.DELETED
            _put(txn, row)
            txn.put(ID_KEY.pack(self.account), b"", tables.unfinished)
        return row.account


@dataclass(frozen=True, slots=True)
class ForgetAccount:
    """The account's mail is gone, and so is its row."""

    account: AccountId

    def apply(self, txn: AccountsTxn) -> None:
        txn.delete(ID_KEY.pack(self.account), txn.tables.accounts)
        txn.delete(ID_KEY.pack(self.account), txn.tables.unfinished)


@dataclass(frozen=True, slots=True)
class RenameAccount:
    """Give an account another login name."""

    account: AccountId
    to: str

    def apply(self, txn: AccountsTxn) -> None:
        row = _row(txn, self.account)
        _checked(self.to, "A user's name", ACCOUNT_NAME_MAX)
        old, new = normal_name(row.account.name).encode(), normal_name(self.to).encode()
        if old != new:
            if txn.get(new, txn.tables.names) is not None:
                raise AccountExistsError(f"There is a user {self.to} already.")
            txn.delete(old, txn.tables.names)
            txn.put(new, COUNTER.pack(self.account), txn.tables.names)
        found = row.account
        row.account = Account(found.id, self.to, found.group, found.credential, found.created)
        _put(txn, row)


@dataclass(frozen=True, slots=True)
class SetCredential:
    """Change what the password is verified against."""

    account: AccountId
    credential: str

    def apply(self, txn: AccountsTxn) -> None:
        row = _row(txn, self.account)
        _check_credential(self.credential)
        found = row.account
        row.account = Account(found.id, found.name, found.group, self.credential, found.created)
        _put(txn, row)


@dataclass(frozen=True, slots=True)
class AddAlias:
    """Mail for an address goes to an account."""

    account: AccountId
    address: str

    def apply(self, txn: AccountsTxn) -> None:
        _row(txn, self.account)
        key = normal_name(_checked(self.address, "An address", ADDRESS_MAX)).encode()
        stored = txn.get(key, txn.tables.aliases)
        value = COUNTER.pack(self.account)
        if stored == value:
            return
        if stored is not None:
            raise AccountExistsError(f"The address {self.address} is another user's.")
        txn.put(key, value, txn.tables.aliases)
        txn.put(ID_KEY.pack(self.account) + key, b"", txn.tables.addresses)


@dataclass(frozen=True, slots=True)
class RemoveAlias:
    """The address is nobody's afterwards."""

    address: str

    def apply(self, txn: AccountsTxn) -> None:
        key = normal_name(_checked(self.address, "An address", ADDRESS_MAX)).encode()
        stored = txn.get(key, txn.tables.aliases)
        if stored is not None:
            txn.delete(key, txn.tables.aliases)
            txn.delete(ID_KEY.pack(*COUNTER.unpack(stored)) + key, txn.tables.addresses)


# --- the face ---------------------------------------------------------------------------------


class Accounts:
    """The users. What reads is short and waits for nothing; what writes returns when it is on disk.

    All that writes raises `StoreUnavailableError` when the disk is full or fails, and, where it
    gets an id, `NoSuchAccountError`.
    """

    def __init__(
        self,
        path: Path,
        groups: "Sequence[Group]",
        *,
        clock: Callable[[], float],
        map_size: int,
    ) -> None:
        self.env, self.tables = open_environment(path, AccountTables, map_size=map_size)
        self._groups = groups
        self._clock = clock
        self._writer: Writer[AccountsTxn] | None = None
        with self.env.begin() as txn:
            self._looked_at = txn.id()

    def start(self) -> None:
        """Begin to write. Call it in Trio's thread."""
        self._writer = Writer(
            "imapvm accounts",
            self.env,
            self.write_txn,
            committed=lambda txn, number: None,
            spoilt=lambda: None,
        )

    def write_txn(self, txn: "lmdb.Transaction[bytes]") -> AccountsTxn:
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
            before, self._looked_at = self._looked_at, txn.id()
        return before != self._looked_at

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
        return [row.account for row in rows if row.state is State.ACTIVE]

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

    def _find(self, key: bytes, table: "lmdb._Database") -> Account | None:
        if not 0 < len(key) <= max(ACCOUNT_NAME_MAX, ADDRESS_MAX):
            return None
        with self.env.begin() as txn:
            stored = txn.get(key, None, table)
            if stored is None:
                return None
            return self._active(txn, ID_KEY.pack(*COUNTER.unpack(stored)))

    def _active(self, txn: "lmdb.Transaction[bytes]", key: bytes) -> Account | None:
        stored = txn.get(key, None, self.tables.accounts)
        if stored is None:
            return None
        row = AccountRow.from_bytes(key, stored)
        return row.account if row.state is State.ACTIVE else None

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
            if row.state is State.ENROLLING:
                await self._finish_enrolment(row.account)
            elif row.state is State.DELETED:
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
