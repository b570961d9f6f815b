"""Mailbox names: hierarchy, INBOX, special uses (RFC 9051 section 5.1, RFC 6154).

Names are `str` everywhere but on the wire, in Unicode normalization form C (RFC 9051 section 5.1
asks for Net-Unicode), with "/" between levels.
"""

import unicodedata
from typing import Final

from imapvm.model.limits import MAILBOX_DEPTH_MAX, MAILBOX_NAME_MAX

DELIMITER: Final = "/"
INBOX: Final = "INBOX"

SPECIAL_USES: Final = (r"\All", r"\Archive", r"\Drafts", r"\Flagged", r"\Junk", r"\Sent", r"\Trash")
"""RFC 6154 section 2, as they are written in answers."""

NEW_ACCOUNT_MAILBOXES: Final = (
    ("Drafts", r"\Drafts"),
    ("Sent", r"\Sent"),
    ("Junk", r"\Junk"),
    ("Trash", r"\Trash"),
    ("Archive", r"\Archive"),
)
"""What a new user gets beside INBOX."""


def canonical_name(name: str) -> str:
    """INBOX in any case is "INBOX", also as the first level; everything else in form C."""
    first, delimiter, rest = name.partition(DELIMITER)
    if first.upper() == INBOX:
        first = INBOX
    return unicodedata.normalize("NFC", first + delimiter + rest)


def name_error(name: str) -> str | None:
    """Say why no mailbox can have this (canonical) name; None where one can."""
    if not name:
        return "a mailbox name cannot be empty"
    if len(name.encode()) > MAILBOX_NAME_MAX:
        return f"a mailbox name has at most {MAILBOX_NAME_MAX} octets"
    levels = name.split(DELIMITER)
    if len(levels) > MAILBOX_DEPTH_MAX:
        return f"a mailbox name has at most {MAILBOX_DEPTH_MAX} levels"
    if not all(levels):
        return "a level of a mailbox name cannot be empty"
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in name):
        return "a mailbox name cannot hold control characters"
    if any(char in "*%" for char in name):
        return "a mailbox name cannot hold wildcards"
    return None


def parents(name: str) -> list[str]:
    """All names above, nearest last: "a/b/c" gives ["a", "a/b"]."""
    levels = name.split(DELIMITER)
    return [DELIMITER.join(levels[:depth]) for depth in range(1, len(levels))]


def is_below(name: str, parent: str) -> bool:
    """True where `name` is a child of `parent`, at any depth."""
    return name.startswith(parent + DELIMITER)


def normal_name(name: str) -> str:
    """The form in which login names and addresses are compared: no case, form C.

    As the UsernameCaseMapped profile of RFC 8265 section 3.3 maps them.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())
