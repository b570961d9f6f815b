"""Tables, keys and rows of the filepool's environments; `docs/storage.md` has them byte by byte.

Keys are big-endian, so that LMDB's order of keys is the order of numbers. Numbers in values are
little-endian, as on the machines this runs on.
"""

from dataclasses import dataclass, field
from functools import cache
from struct import Struct, error
from typing import Final, Self

from imapvm.filepool.engine.transactions import UINT64, Table
from imapvm.filepool.errors import CorruptDataError
from imapvm.model.ids import AccountId, MailboxId

INLINE_MAX: Final = 2000
"""Bytes of a value that stays inside a leaf page with its key."""


ADDED: Final = {"added": True}
"""Metadata of a table that version 0.1.0 did not have: it is made when a filepool is opened."""


@dataclass(frozen=True, slots=True)
class GroupTables:
    """Tables of a storage group. Field names are the names on disk, except where `name` differs."""

    mailboxes: Table
    names: Table
    index: Table
    keywords: Table
    changes: Table
    bodies: Table
    metadata: Table = field(metadata={"name": "digests"})
    threads: Table
    references: Table
    sweep: Table
    deliveries: Table
    journal: Table = field(metadata={"name": "ring"})
    usage: Table
    counters: Table
    quotas: Table = field(metadata=ADDED)
    annotations: Table = field(metadata=ADDED)
    annotation_usage: Table = field(metadata=ADDED)
    annotation_changes: Table = field(metadata=ADDED)
    name_changes: Table = field(metadata=ADDED)
    acl: Table = field(metadata=ADDED)
    grants: Table = field(metadata=ADDED)
    seen: Table = field(metadata=ADDED)


@dataclass(frozen=True, slots=True)
class AccountTables:
    """Tables of the environment of accounts."""

    accounts: Table
    names: Table
    aliases: Table
    addresses: Table
    unfinished: Table
    counters: Table
    groups: Table = field(metadata=ADDED)
    members: Table = field(metadata=ADDED)


# --- keys -------------------------------------------------------------------------------------

ID_KEY: Final = Struct(">Q")
"""accounts, usage: account. references: body. ring: sequence number."""
PAIR_KEY: Final = Struct(">QQ")
"""mailboxes: account, mailbox. threads: account, hash of a Message-ID."""
INDEX_KEY: Final = Struct(">QI")
"""index: mailbox, first UID of the segment."""
KEYWORDS_KEY: Final = Struct(">QI")
"""keywords: mailbox, keyword-set id."""
CHUNK_KEY: Final = Struct(">QI")
"""bodies, digests: body, chunk number."""
CHANGE_KEY: Final = Struct(">QQI")
"""changes: mailbox, MODSEQ, part (a set of UIDs may be too long for one value)."""
ACL_KEY: Final = Struct(">QBQ")
"""acl: mailbox, kind and id of the grantee."""
GRANT_KEY: Final = Struct(">BQQQ")
"""grants: kind and id of the grantee, account that has the mailbox, mailbox."""
GRANTEE_KEY: Final = Struct(">BQ")
"""First part of a key of `grants`."""
SEEN_KEY: Final = Struct(">QQI")
"""seen: mailbox, reading account, block of SEEN_BLOCK UIDs."""
SEEN_BLOCK: Final = 1024
"""UIDs of one row of `seen`, at most 512 runs in some 1,500 bytes."""
SEEN_BLOCK_KEY: Final = Struct(">QI")
"""sweep: mailbox, block of `seen`."""
MEMBER_KEY: Final = Struct(">cQQ")
"""members: `g`, group of users, account; and `a`, account, group of users."""
SWEEP_KEY: Final = Struct(">QB")
"""sweep: time (seconds since 1970 UTC), kind; an id or a key follows."""


def name_key(account: int, name: str) -> bytes:
    """Return the key of a row of `names`: account, then the name in UTF-8."""
    return ID_KEY.pack(account) + name.encode()


def forgotten_key(mailbox: int) -> bytes:
    """Return the key in `counters` of a mailbox's FORGOTTEN_EXPUNGES."""
    return FORGOTTEN_EXPUNGES + ID_KEY.pack(mailbox)


# --- rows -------------------------------------------------------------------------------------

COUNTER: Final = UINT64
"""counters: last number allocated. references: uses of a body. deliveries: time."""
NAME_ROW: Final = Struct("<QB")
"""names: mailbox id, or 0; 1 if subscribed."""
LOGIN_EPOCH: Final = b"login"
"""counters: followed by an account: changes of its password that ended its sessions."""
FORGOTTEN_EXPUNGES: Final = b"expunged"
"""counters of a group: followed by a mailbox: expunges up to this MODSEQ are no longer logged."""
JOURNAL_ROW: Final = Struct("<QQB")
"""ring: mailbox, MODSEQ, kind; of an account: account, number of the change, kind."""

ACL_ROW: Final = Struct("<HH")
"""acl: rights that are granted, rights that are removed."""
SHARED_ACCOUNT: Final = b"shared"
"""counters: account whose mailboxes are below `Shared/`."""

ROW_VERSION: Final = 1

_MAILBOX: Final = Struct("<BBHIIQQIIIQII")
_USAGE: Final = Struct("<BxxxIQQII")

SPECIAL_USE_BITS: Final = {
    r"\All": 1,
    r"\Archive": 2,
    r"\Drafts": 4,
    r"\Flagged": 8,
    r"\Junk": 16,
    r"\Sent": 32,
    r"\Trash": 64,
}
"""Bits as stored; the meaning of a bit never changes."""
READERS_BIT: Final = 128
r"""Beside them: the mailbox has an ACL, or had one, so others may have a \Seen of their own."""


@cache
def special_uses(bits: int) -> tuple[str, ...]:
    """Return the special-use attributes for the bits of a mailbox row."""
    return tuple(use for use, bit in SPECIAL_USE_BITS.items() if bits & bit)


@dataclass(slots=True)
class MailboxRow:
    """Row of `mailboxes`, decoded."""

    account: AccountId
    id: MailboxId
    name: str
    uses: int
    uid_validity: int
    uid_next: int = 1
    highest_modseq: int = 1
    changes_from: int = 0
    """The change log is complete for changes after this MODSEQ."""
    messages: int = 0
    unseen: int = 0
    deleted: int = 0
    size: int = 0
    recent_from: int = 1
    keyword_sets: int = 0

    @property
    def key(self) -> bytes:
        return PAIR_KEY.pack(self.account, self.id)

    @property
    def has_readers(self) -> bool:
        """True if the mailbox has an ACL, or had one."""
        return self.uses & READERS_BIT != 0

    def __bytes__(self) -> bytes:
        name = self.name.encode()
        return (
            _MAILBOX.pack(
                ROW_VERSION,
                self.uses,
                len(name),
                self.uid_validity,
                self.uid_next,
                self.highest_modseq,
                self.changes_from,
                self.messages,
                self.unseen,
                self.deleted,
                self.size,
                self.recent_from,
                self.keyword_sets,
            )
            + name
        )

    @classmethod
    def from_bytes(cls, key: bytes, stored: bytes) -> Self:
        """Decode a row.

        Raises:
            CorruptDataError: the row cannot be decoded.
        """
        try:
            account, mailbox = PAIR_KEY.unpack(key)
            version, uses, length, *numbers = _MAILBOX.unpack_from(stored)
            name = stored[_MAILBOX.size :].decode()
        except (error, UnicodeDecodeError):
            raise CorruptDataError("cannot read the row of a mailbox") from None
        if version != ROW_VERSION or len(stored) != _MAILBOX.size + length:
            raise CorruptDataError(f"cannot read the row of mailbox {mailbox}")
        return cls(AccountId(account), MailboxId(mailbox), name, uses, *numbers)


@dataclass(slots=True)
class UsageRow:
    """Row of `usage`, decoded."""

    account: AccountId
    messages: int = 0
    size: int = 0
    mailboxes: int = 0
    names: int = 0
    """Number of rows of `names`: mailboxes and subscriptions."""
    uid_validity: int = 0
    """Last UIDVALIDITY allocated in this account."""

    @property
    def key(self) -> bytes:
        return ID_KEY.pack(self.account)

    def __bytes__(self) -> bytes:
        return _USAGE.pack(
            ROW_VERSION, self.uid_validity, self.messages, self.size, self.mailboxes, self.names
        )

    @classmethod
    def from_bytes(cls, key: bytes, stored: bytes) -> Self:
        """Decode a row.

        Raises:
            CorruptDataError: the row cannot be decoded.
        """
        try:
            (account,) = ID_KEY.unpack(key)
            version, uid_validity, messages, size, mailboxes, names = _USAGE.unpack(stored)
        except error:
            raise CorruptDataError("cannot read the usage row of an account") from None
        if version != ROW_VERSION:
            raise CorruptDataError(f"cannot read the usage row of account {account}")
        return cls(AccountId(account), messages, size, mailboxes, names, uid_validity)
