"""Rights on mailboxes, and the identifiers that they are granted to (RFC 4314)."""

import stringprep
import unicodedata
from collections.abc import Iterator
from enum import Enum, IntEnum, IntFlag
from typing import Final, NamedTuple, Self


class Rights(IntFlag):
    """Set of rights (RFC 4314 section 2.1); bits as stored, whose meaning never changes."""

    LOOKUP = 1
    READ = 2
    SEEN = 4
    WRITE = 8
    INSERT = 16
    POST = 32
    CREATE = 64
    DELETE_MAILBOX = 128
    DELETE_MESSAGES = 256
    EXPUNGE = 512
    ADMINISTER = 1024

    def __str__(self) -> str:
        """Return the letters, with the virtual rights `c` and `d` (RFC 4314 section 2.1.1)."""
        letters = "".join(letter for letter, right in LETTERS.items() if right in self)
        return letters + "".join(letter for letter, rights in VIRTUAL.items() if rights & self)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rights for letters, virtual ones included.

        Raises:
            ValueError: a letter is not a right; the message names it.
        """
        rights = cls(0)
        for letter in text:
            found = LETTERS.get(letter) or VIRTUAL.get(letter)
            if found is None:
                raise ValueError(f"unknown right {letter}")
            rights |= found
        return rights


LETTERS: Final = dict(zip("lrswipkxtea", Rights, strict=True))
VIRTUAL: Final = {
    "c": Rights.CREATE | Rights.DELETE_MAILBOX,
    "d": Rights.DELETE_MESSAGES | Rights.EXPUNGE,
}
"""Rights of RFC 2086, each for several (RFC 4314 section 2.1.1)."""
NO_RIGHTS: Final = Rights(0)
ALL_RIGHTS: Final = ~NO_RIGHTS
ANY_RIGHT: Final = (
    Rights.LOOKUP
    | Rights.READ
    | Rights.INSERT
    | Rights.CREATE
    | Rights.DELETE_MAILBOX
    | Rights.ADMINISTER
)
"""One of these is needed for MYRIGHTS (RFC 4314 section 4)."""
ANNOTATION_RIGHTS: Final = Rights.READ | Rights.SEEN | Rights.WRITE | Rights.INSERT | Rights.POST
"""One of these and `l` are needed for annotations (RFC 5464 section 3.3)."""
FLAG_RIGHTS: Final = Rights.SEEN | Rights.WRITE | Rights.DELETE_MESSAGES
NEW_RIGHTS: Final = "kxte"
"""Value of RIGHTS=: the rights that RFC 2086 did not have (RFC 4314 section 5.1.1)."""


class RightsChange(Enum):
    """Effect of SETACL on the rights that an identifier has (RFC 4314 section 3.1)."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"

    def apply(self, before: Rights, named: Rights) -> Rights:
        """Return the rights after the change."""
        match self:
            case RightsChange.REPLACE:
                return named
            case RightsChange.ADD:
                return before | named
            case RightsChange.REMOVE:
                return before & ~named


def parse_change(text: str) -> tuple[RightsChange, Rights]:
    """Return effect and rights of the third argument of SETACL.

    Raises:
        ValueError: a letter is not a right.
    """
    sign = text[:1] if text[:1] in ("+", "-") else ""
    return RightsChange(sign), Rights.parse(text[len(sign) :])


# --- identifiers ------------------------------------------------------------------------------


class GranteeKind(IntEnum):
    """Kinds of grantees; values as stored."""

    ANYONE = 0
    USER = 1
    GROUP = 2


class Grantee(NamedTuple):
    """User, group of users, or all users. Ids are never reused, so a grantee is never another."""

    kind: GranteeKind
    id: int = 0


ANYONE: Final = Grantee(GranteeKind.ANYONE)
ANYONE_NAME: Final = "anyone"
GROUP_SIGN: Final = "$"
"""First character of the identifier of a group."""
NEGATIVE_SIGN: Final = "-"
"""First character of an identifier with rights to remove (RFC 4314 section 2)."""


class AclEntry(NamedTuple):
    """Rights of one grantee on one mailbox."""

    grantee: Grantee
    granted: Rights
    removed: Rights
    """Negative rights: not granted, even if another entry grants them (RFC 4314 section 2)."""


def join_rights(entries: Iterator[AclEntry]) -> Rights:
    """Return the rights of a user: granted by any entry that applies, and removed by none."""
    granted = removed = NO_RIGHTS
    for entry in entries:
        granted |= entry.granted
        removed |= entry.removed
    return granted & ~removed


_PROHIBITED: Final = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def prepare_identifier(text: str) -> str:
    """Return an identifier prepared with SASLprep (RFC 4314 section 3, RFC 4013).

    Raises:
        ValueError: it is empty, or has prohibited characters.
    """
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in text
        if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    if not prepared:
        raise ValueError("identifier is empty")
    if any(prohibited(char) for char in prepared for prohibited in _PROHIBITED):
        raise ValueError("identifier has a character that is not allowed")
    if any(map(stringprep.in_table_d1, prepared)):  # RFC 3454 section 6
        ends = stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])
        if not ends or any(map(stringprep.in_table_d2, prepared)):
            raise ValueError("identifier mixes directions of writing")
    return prepared
