"""The tables `acl` and `grants`: rights on mailboxes (RFC 4314), and the reverse.

`acl` has a row for each mailbox and grantee, `grants` the same with the grantee first: so the
mailboxes that a user can see are found without reading those of all other users. A mailbox that is
not shared has no rows.
"""

from collections.abc import Callable, Iterable
from struct import error
from typing import Final

from imapvm.filepool.errors import CorruptDataError, LimitError
from imapvm.filepool.tables.messages.changes import Change, record_account_change, record_change
from imapvm.filepool.tables.schema import (
    ACL_KEY,
    ACL_ROW,
    GRANT_KEY,
    ID_KEY,
    READERS_BIT,
    MailboxRow,
)
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.limits import ACL_ENTRIES_MAX
from imapvm.model.rights import (
    AclEntry,
    Grantee,
    GranteeKind,
    Rights,
    join_rights,
)

ATTRIBUTES: Final = 255
"""Kind in the key of a row of `acl` with attributes of the mailbox; its id is 0."""
SHARED_SEEN: Final = 1
r"""Attribute, in place of granted rights: \Seen is the same for all readers."""

Get = Callable[[bytes], bytes | None]
"""Returns the value of a key of `acl`."""


def entry_of(key: bytes, stored: bytes) -> AclEntry:
    """Decode a row.

    Raises:
        CorruptDataError: the row cannot be decoded.
    """
    try:
        _, kind, number = ACL_KEY.unpack(key)
        granted, removed = ACL_ROW.unpack(stored)
        return AclEntry(Grantee(GranteeKind(kind), number), Rights(granted), Rights(removed))
    except (error, ValueError):
        raise CorruptDataError("cannot read a row of an ACL") from None


def rights_of(get: Get, mailbox: int, grantees: Iterable[Grantee]) -> Rights:
    """Return the rights of a user who is each of these grantees: one look-up for each."""
    entries = []
    for kind, number in grantees:
        key = ACL_KEY.pack(mailbox, kind, number)
        stored = get(key)
        if stored is not None:
            entries.append(entry_of(key, stored))
    return join_rights(iter(entries))


def has_shared_seen(get: Get, mailbox: int) -> bool:
    r"""Return True if \Seen is shared; else each reader other than the owner has its own."""
    return get(ACL_KEY.pack(mailbox, ATTRIBUTES, 0)) is not None


def entries_of(rows: Iterable[tuple[bytes, bytes]]) -> list[AclEntry]:
    """Return the entries of a mailbox's rows, by grantee."""
    return [entry_of(key, stored) for key, stored in rows if key[ID_KEY.size] != ATTRIBUTES]


# --- writing ----------------------------------------------------------------------------------


def put_entry(txn: GroupTxn, row: MailboxRow, entry: AclEntry) -> None:
    """Set the rights of a grantee; delete the entry if there are none.

    Raises:
        LimitError: the mailbox would have more than ACL_ENTRIES_MAX entries.
    """
    tables = txn.tables
    key = ACL_KEY.pack(row.id, *entry.grantee)
    reverse = GRANT_KEY.pack(*entry.grantee, row.account, row.id)
    if not entry.granted and not entry.removed:
        txn.delete(key, tables.acl)
        txn.delete(reverse, tables.grants)
        return
    if txn.get(key, tables.acl) is None:
        found = txn.keys(tables.acl, ID_KEY.pack(row.id), ACL_ENTRIES_MAX + 1)
        if sum(each[ID_KEY.size] != ATTRIBUTES for each in found) >= ACL_ENTRIES_MAX:
            raise LimitError(f"a mailbox has at most {ACL_ENTRIES_MAX} entries in its ACL")
    txn.put(key, ACL_ROW.pack(entry.granted, entry.removed), tables.acl)
    txn.put(reverse, b"", tables.grants)
    note_readers(txn, row)


def note_readers(txn: GroupTxn, row: MailboxRow) -> None:
    """Mark a mailbox as one with readers, so that changes of others need not look for an ACL."""
    if not row.has_readers:
        txn.edit(row)
        row.uses |= READERS_BIT


def note_rights(txn: GroupTxn, row: MailboxRow) -> None:
    """Wake sessions that have the mailbox selected: their rights may have changed."""
    record_change(txn, row, Change.RIGHTS)


def note_grantee(txn: GroupTxn, grantee: Grantee) -> None:
    """Wake sessions of users who may see another mailbox now, or one less (RFC 5465 s. 5.9)."""
    account = grantee.id if grantee.kind is GranteeKind.USER else 0
    record_account_change(txn, AccountId(account), 0)


def put_shared_seen(txn: GroupTxn, row: MailboxRow, *, shared: bool) -> None:
    r"""Set the attribute for \Seen."""
    key = ACL_KEY.pack(row.id, ATTRIBUTES, 0)
    if shared:
        txn.put(key, ACL_ROW.pack(SHARED_SEEN, 0), txn.tables.acl)
    else:
        txn.delete(key, txn.tables.acl)


def inherit_acl(txn: GroupTxn, parent: MailboxId, row: MailboxRow) -> None:
    """Copy ACL and attributes of the parent to a new mailbox (RFC 4314 section 4, CREATE)."""
    tables = txn.tables
    for key, stored in list(txn.items(tables.acl, ID_KEY.pack(parent))):
        _, kind, number = ACL_KEY.unpack(key)
        txn.put(ACL_KEY.pack(row.id, kind, number), stored, tables.acl)
        if kind != ATTRIBUTES:
            txn.put(GRANT_KEY.pack(kind, number, row.account, row.id), b"", tables.grants)
            note_readers(txn, row)


def clear_acl(txn: GroupTxn, account: int, mailbox: int) -> int:
    """Delete the ACL of a mailbox that is deleted; return the number of rows."""
    tables = txn.tables
    keys = txn.keys(tables.acl, ID_KEY.pack(mailbox), ACL_ENTRIES_MAX + 1)
    for key in keys:
        _, kind, number = ACL_KEY.unpack(key)
        txn.delete(key, tables.acl)
        if kind != ATTRIBUTES:
            txn.delete(GRANT_KEY.pack(kind, number, account, mailbox), tables.grants)
    return len(keys)
