"""Tables, keys and rows of the filepool's environments; `docs/storage.md` has them octet by octet.

Keys are big-endian, so that LMDB's order of octets is the order of numbers; numbers in values are
little-endian, as on the machines this runs on.
"""

from dataclasses import dataclass, field
from functools import cache
from struct import Struct, error
from typing import Final, Self

from imapvm.filepool.engine import transactions as engine
from imapvm.filepool.engine.transactions import Table
from imapvm.filepool.errors import CorruptDataError
from imapvm.model.ids import AccountId, MailboxId

VALUE_MAX: Final = 4080
"""Octets of one value: one overflow page, so that the free list is never searched for runs.

A LMDB page has 4,096 octets, 16 of them its header (FOUNDATIONS section 1.4).
"""
INLINE_MAX: Final = 2000
"""Octets of a value that is to stay inside a leaf page beside its key."""


@dataclass(frozen=True, slots=True)
class GroupTables:
    """Handles of a storage group's tables, named as in the file, except where `name` differs."""

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


@dataclass(frozen=True, slots=True)
class AccountTables:
    """Handles of the tables in the environment of accounts."""

    accounts: Table
    names: Table
    aliases: Table
    addresses: Table
    unfinished: Table
    counters: Table


# --- keys -------------------------------------------------------------------------------------

ID_KEY: Final = Struct(">Q")
"""accounts, usage: account. references: body. ring: sequence."""
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
SWEEP_KEY: Final = Struct(">QB")
"""sweep: when (seconds since 1970 UTC), kind; what is to be swept follows."""


def name_key(account: int, name: str) -> bytes:
    """names: account, then the name in UTF-8."""
    return ID_KEY.pack(account) + name.encode()


# --- rows -------------------------------------------------------------------------------------

COUNTER: Final = engine.COUNTER
"""counters: the last number given out. references: uses of a body. deliveries: when."""
NAME_ROW: Final = Struct("<QB")
"""names: mailbox id, or 0; 1 where subscribed."""
JOURNAL_ROW: Final = Struct("<QQB")
"""ring: mailbox, MODSEQ, kind."""

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
"""As stored; a bit is never given another meaning."""


@cache
def special_uses(bits: int) -> tuple[str, ...]:
    """Special-use attributes of a mailbox row's bits."""
    return tuple(use for use, bit in SPECIAL_USE_BITS.items() if bits & bit)


@dataclass(slots=True)
class MailboxRow:
    """A row of `mailboxes` while a transaction works on it."""

    account: AccountId
    id: MailboxId
    name: str
    uses: int
    uid_validity: int
    uid_next: int = 1
    highest_modseq: int = 1
    changes_from: int = 0
    """The change log is complete for what came after this MODSEQ."""
    messages: int = 0
    unseen: int = 0
    deleted: int = 0
    size: int = 0
    recent_from: int = 1
    keyword_sets: int = 0

    @property
    def key(self) -> bytes:
        return PAIR_KEY.pack(self.account, self.id)

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
        """Read what `__bytes__` wrote.

        Raises:
            CorruptDataError: it is no such row.
        """
        try:
            account, mailbox = PAIR_KEY.unpack(key)
            version, uses, length, *numbers = _MAILBOX.unpack_from(stored)
            name = stored[_MAILBOX.size :].decode()
        except (error, UnicodeDecodeError):
            raise CorruptDataError("A mailbox's row cannot be read.") from None
        if version != ROW_VERSION or len(stored) != _MAILBOX.size + length:
            raise CorruptDataError(f"The row of mailbox {mailbox} cannot be read.")
        return cls(AccountId(account), MailboxId(mailbox), name, uses, *numbers)


@dataclass(slots=True)
class UsageRow:
    """A row of `usage` while a transaction works on it."""

    account: AccountId
    messages: int = 0
    size: int = 0
    mailboxes: int = 0
    names: int = 0
    """Rows of `names`: mailboxes and subscriptions."""
    uid_validity: int = 0
    """The last UIDVALIDITY given out in this account."""

    @property
    def key(self) -> bytes:
        return ID_KEY.pack(self.account)

    def __bytes__(self) -> bytes:
        return _USAGE.pack(
            ROW_VERSION, self.uid_validity, self.messages, self.size, self.mailboxes, self.names
        )

    @classmethod
    def from_bytes(cls, key: bytes, stored: bytes) -> Self:
        """Read what `__bytes__` wrote.

        Raises:
            CorruptDataError: it is no such row.
        """
        try:
            (account,) = ID_KEY.unpack(key)
            version, uid_validity, messages, size, mailboxes, names = _USAGE.unpack(stored)
        except error:
            raise CorruptDataError("An account's usage cannot be read.") from None
        if version != ROW_VERSION:
            raise CorruptDataError(f"The usage of account {account} cannot be read.")
        return cls(AccountId(account), messages, size, mailboxes, names, uid_validity)
