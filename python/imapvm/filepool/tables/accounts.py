"""Rows of the table `accounts`."""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct, error
from typing import Final, Self

from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.schema import ID_KEY, ROW_VERSION
from imapvm.model.ids import AccountId
from imapvm.model.values import frozen

_ROW: Final = Struct("<BBHqHH")


class AccountStatus(IntEnum):
    """Status of an account."""

    ENROLLING = 1
    """Its mailboxes may not exist yet."""
    ACTIVE = 2
    DELETED = 3
    """Its mail may still exist; its name is free."""


@frozen
class Account:
    """Enrolled user."""

    id: AccountId
    name: str
    group: int
    """Storage group with all mail of this account."""
    credential: str
    """Hash that passwords are verified against; see `auth.passwords`."""
    created: int
    """Seconds since 1970 UTC."""


@dataclass(slots=True)
class AccountRow:
    """Row of `accounts`, decoded."""

    account: Account
    status: AccountStatus

    def __bytes__(self) -> bytes:
        name, credential = self.account.name.encode(), self.account.credential.encode()
        return (
            _ROW.pack(
                ROW_VERSION,
                self.status,
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
        """Decode a row.

        Raises:
            CorruptDataError: the row cannot be decoded.
        """
        try:
            (number,) = ID_KEY.unpack(key)
            version, status, group, created, length, rest = _ROW.unpack_from(stored)
            name = stored[_ROW.size : _ROW.size + length].decode()
            credential = stored[_ROW.size + length :].decode()
            row = cls(
                Account(AccountId(number), name, group, credential, created), AccountStatus(status)
            )
        except (error, ValueError):
            raise CorruptDataError("cannot read the row of an account") from None
        if version != ROW_VERSION or len(stored) != _ROW.size + length + rest:
            raise CorruptDataError(f"cannot read the row of account {number}")
        return row
