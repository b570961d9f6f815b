"""The table `quotas`: limits of single accounts.

Usage is not stored here: the row of `usage` has it, and is changed together with the mailboxes.
"""

from collections.abc import Mapping
from struct import Struct, error
from typing import Final

from imapvm.filepool.engine.transactions import LmdbTxn
from imapvm.filepool.errors import CorruptDataError, NoSuchAccountError
from imapvm.filepool.tables.schema import COUNTER, ID_KEY, ROW_VERSION, GroupTables, UsageRow
from imapvm.model.quota import (
    ANNOTATION_STORAGE,
    MAILBOX,
    MESSAGE,
    STORAGE,
    UNITS,
    Limits,
    OwnLimits,
    effective,
    in_units,
)
from imapvm.model.values import frozen

ROW: Final = Struct("<BxxxxxxxQQQQ")
DEFAULT: Final = (1 << 64) - 1
"""In a row: the default of the configuration applies."""
NO_LIMIT: Final = (1 << 64) - 2
"""In a row: the resource is not limited."""

ANNOTATION_BYTES: Final = b"annotations"
"""counters: followed by an account: bytes of all its annotations."""


def pack_limits(own: OwnLimits) -> bytes:
    """Return the row for the limits of an account."""
    values = []
    for resource in UNITS:
        limit = own.get(resource, DEFAULT)
        values.append(NO_LIMIT if limit is None else limit)
    return ROW.pack(ROW_VERSION, *values)


def unpack_limits(account: int, stored: bytes | None) -> dict[str, int | None]:
    """Return the limits in a row; without a row, none are set.

    Raises:
        CorruptDataError: the row cannot be decoded.
    """
    if stored is None:
        return {}
    try:
        version, *values = ROW.unpack(stored)
    except error:
        version, values = 0, []
    if version != ROW_VERSION:
        raise CorruptDataError(f"cannot read the quota row of account {account}")
    return {
        resource: None if value == NO_LIMIT else value
        for resource, value in zip(UNITS, values, strict=True)
        if value != DEFAULT
    }


def annotation_key(account: int) -> bytes:
    """Return the key in `counters` of an account's bytes of annotations."""
    return ANNOTATION_BYTES + ID_KEY.pack(account)


def annotation_bytes(stored: bytes | None) -> int:
    """Return the bytes of annotations for the value of that counter; 0 without one."""
    return int(COUNTER.unpack(stored)[0]) if stored else 0


@frozen
class Quota:
    """Usage and limits of an account, by resource (RFC 9208 section 5), in units of each."""

    used: Mapping[str, int]
    size: int
    """Bytes of all messages."""
    limits: Limits
    own: OwnLimits
    """Limits that were set for this account; for the other resources, the default applies."""


def read_quota(txn: LmdbTxn, tables: GroupTables, account: int, default: Limits) -> Quota:
    """Read usage and limits of an account.

    Raises:
        NoSuchAccountError: the account does not exist.
    """
    key = ID_KEY.pack(account)
    stored = txn.get(key, None, tables.usage)
    if stored is None:
        raise NoSuchAccountError("account does not exist")
    usage = UsageRow.from_bytes(key, stored)
    amounts = {
        STORAGE: usage.size,
        MESSAGE: usage.messages,
        MAILBOX: usage.mailboxes,
        ANNOTATION_STORAGE: annotation_bytes(
            txn.get(annotation_key(account), None, tables.counters)
        ),
    }
    own = unpack_limits(account, txn.get(key, None, tables.quotas))
    used = {resource: in_units(resource, amount) for resource, amount in amounts.items()}
    return Quota(used, usage.size, effective(own, default), own)
