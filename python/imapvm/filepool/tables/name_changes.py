"""The table `name_changes`: log of changed names and subscriptions of each account (RFC 5465).

    name_changes    account, number    kind, mailbox, session, name, old name

The numbers of an account have no gaps, so the first and the last key tell how far the log reaches.
Sessions with NOTIFY read it; nothing else depends on it.
"""

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct, error
from typing import Final, NamedTuple

from imapvm.filepool.engine.transactions import LmdbCursor
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.messages.changes import record_account_change
from imapvm.filepool.tables.schema import ID_KEY, PAIR_KEY
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.limits import NAME_CHANGES_KEPT

NO_ORIGIN: Final = bytes(6)
"""In place of the id of a session."""
_ROW: Final = Struct("<BQ6sH")
"""Kind, mailbox or 0, session that made the change, bytes of the name. Name and old name follow."""


class NameChangeKind(IntEnum):
    """Kinds of changes."""

    CREATED = 1
    DELETED = 2
    RENAMED = 3
    SUBSCRIPTION = 4
    """Subscribed or unsubscribed."""


class NameChange(NamedTuple):
    """Changed name."""

    number: int
    kind: NameChangeKind
    mailbox: MailboxId
    origin: bytes
    name: str
    old: str = ""
    """Of RENAMED."""


class NameChanges(NamedTuple):
    """Extent of the log of an account."""

    trimmed: int = 0
    """The log is complete for changes after this number."""
    last: int = 0


def extent(cursor: LmdbCursor, account: int) -> NameChanges:
    """Return the extent of an account's log."""
    prefix = ID_KEY.pack(account)
    found = cursor.set_range(PAIR_KEY.pack(account + 1, 0))
    if not (cursor.prev() if found else cursor.last()) or not cursor.key().startswith(prefix):
        return NameChanges()
    last = PAIR_KEY.unpack(cursor.key())[1]
    cursor.set_range(prefix)
    return NameChanges(PAIR_KEY.unpack(cursor.key())[1] - 1, last)


def changes_after(cursor: LmdbCursor, account: int, number: int) -> Iterator[NameChange]:
    """Yield the logged changes of an account after a number, in their order.

    Raises:
        CorruptDataError: one cannot be decoded.
    """
    prefix = ID_KEY.pack(account)
    if cursor.set_range(PAIR_KEY.pack(account, number + 1)):
        for key, stored in cursor:
            if not key.startswith(prefix):
                return
            yield decoded(key, stored)


def decoded(key: bytes, stored: bytes) -> NameChange:
    """Decode a row.

    Raises:
        CorruptDataError: the row cannot be decoded.
    """
    try:
        _, number = PAIR_KEY.unpack(key)
        kind, mailbox, origin, size = _ROW.unpack_from(stored)
        names = stored[_ROW.size :]
        return NameChange(
            number,
            NameChangeKind(kind),
            MailboxId(mailbox),
            origin,
            names[:size].decode(),
            names[size:].decode(),
        )
    except (error, ValueError):
        raise CorruptDataError("cannot read the log of names of an account") from None


def log_name(
    txn: GroupTxn,
    account: AccountId,
    kind: NameChangeKind,
    name: str,
    mailbox: MailboxId,
    origin: bytes,
    *,
    old: str = "",
) -> None:
    """Add a change to the log, remove the oldest one, and wake sessions of the account."""
    table = txn.tables.name_changes
    with txn.cursor(table) as cursor:
        number = extent(cursor, account).last + 1
    encoded = name.encode()
    value = _ROW.pack(kind, mailbox, origin, len(encoded)) + encoded + old.encode()
    txn.put(PAIR_KEY.pack(account, number), value, table)
    if number > NAME_CHANGES_KEPT:
        txn.delete(PAIR_KEY.pack(account, number - NAME_CHANGES_KEPT), table)
    record_account_change(txn, account, number)
