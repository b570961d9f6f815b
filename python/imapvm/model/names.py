"""Mailbox names: hierarchy, INBOX, special uses (RFC 9051 section 5.1, RFC 6154).

Names are `str` everywhere but on the wire, in Unicode normalization form C (RFC 9051 section 5.1
asks for Net-Unicode), with "/" between levels.
"""

import unicodedata
from typing import Final

from imapvm.model.limits import MAILBOX_DEPTH_MAX, MAILBOX_NAME_MAX

DELIMITER: Final = "/"
INBOX: Final = "INBOX"

OTHER_USERS: Final = "Other Users/"
"""In front of a login name and a mailbox of that user (RFC 2342)."""
SHARED: Final = "Shared/"
"""In front of a mailbox of the account that is shared."""
SHARED_NAMESPACES: Final = (OTHER_USERS, SHARED)
RESERVED_NAMES: Final = tuple(prefix.removesuffix("/") for prefix in SHARED_NAMESPACES)
"""Names of mailboxes that would be above those of others."""

SPECIAL_USES: Final = (r"\All", r"\Archive", r"\Drafts", r"\Flagged", r"\Junk", r"\Sent", r"\Trash")
"""RFC 6154 section 2, as they are written in responses."""

NEW_ACCOUNT_MAILBOXES: Final = (
    ("Drafts", r"\Drafts"),
    ("Sent", r"\Sent"),
    ("Junk", r"\Junk"),
    ("Trash", r"\Trash"),
    ("Archive", r"\Archive"),
)
"""Mailboxes of a new account, beside INBOX."""


def canonical_name(name: str) -> str:
    """Return the canonical form: "INBOX" for INBOX in any case, also as first level; form C."""
    first, delimiter, rest = name.partition(DELIMITER)
    if first.upper() == INBOX:
        first = INBOX
    return unicodedata.normalize("NFC", first + delimiter + rest)


def name_error(name: str) -> str | None:
    """Return the reason why a (canonical) name is invalid; None for a valid name."""
    if not name:
        return "mailbox name is empty"
    if len(name.encode()) > MAILBOX_NAME_MAX:
        return f"mailbox name has more than {MAILBOX_NAME_MAX} bytes"
    levels = name.split(DELIMITER)
    if len(levels) > MAILBOX_DEPTH_MAX:
        return f"mailbox name has more than {MAILBOX_DEPTH_MAX} levels"
    if not all(levels):
        return "a level of the mailbox name is empty"
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in name):
        return "mailbox name contains control characters"
    if any(char in "*%" for char in name):
        return "mailbox name contains wildcards"
    return None


def parents(name: str) -> list[str]:
    """Return all parents, nearest last: ["a", "a/b"] for "a/b/c"."""
    levels = name.split(DELIMITER)
    return [DELIMITER.join(levels[:depth]) for depth in range(1, len(levels))]


def is_below(name: str, parent: str) -> bool:
    """Return True if `name` is a child of `parent`, at any depth."""
    return name.startswith(parent + DELIMITER)


def normal_name(name: str) -> str:
    """Return the form in which login names and addresses are compared: lower case, form C.

    Mapped as in the UsernameCaseMapped profile of RFC 8265 section 3.3.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())
