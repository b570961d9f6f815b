"""System flags and keywords (RFC 9051 section 2.3.2)."""

from enum import IntFlag


class SystemFlag(IntFlag):
    """System flags stored with a message: bits of an index record."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


SYSTEM_FLAG_NAMES = {
    SystemFlag.ANSWERED: r"\Answered",
    SystemFlag.FLAGGED: r"\Flagged",
    SystemFlag.DELETED: r"\Deleted",
    SystemFlag.SEEN: r"\Seen",
    SystemFlag.DRAFT: r"\Draft",
}
"""In the order in which FLAGS and PERMANENTFLAGS list them."""
