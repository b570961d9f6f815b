"""Replies of RFC 5321 section 4.2 with the enhanced status codes of RFC 3463."""

import re
from dataclasses import field
from typing import Final

from imapvm.model.values import frozen

NOT_PRINTABLE: Final = re.compile("[^ -~]")


@frozen
class Reply:
    """One reply, sent to a client or written next to a spool file that is held."""

    code: int
    status: str
    """Enhanced status code, `5.1.1`; "" for replies that have none (RFC 2034 section 4)."""
    text: str
    line: bytes = field(init=False, repr=False, compare=False)
    """The reply with CRLF; characters other than printable ASCII are replaced by `?`."""

    def __post_init__(self) -> None:
        # Computed once: most replies are constants.
        object.__setattr__(self, "line", NOT_PRINTABLE.sub("?", str(self)).encode() + b"\r\n")

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.status, self.text)))

    @property
    def is_ok(self) -> bool:
        return self.code < 400

    @property
    def is_transient(self) -> bool:
        """True where a retry may succeed (RFC 5321 section 4.2.1: 4yz)."""
        return 400 <= self.code < 500


DELIVERED = Reply(250, "2.1.5", "delivered")
UNKNOWN_RECIPIENT = Reply(550, "5.1.1", "no such user here")
STORE_FULL = Reply(452, "4.3.1", "mail store is full, try again later")
OVER_QUOTA = Reply(552, "5.2.2", "mailbox is full")
OVER_QUOTA_NOW = Reply(452, "4.2.2", "mailbox is full, try again later")
TOO_BIG_FOR_QUOTA = Reply(552, "5.2.3", "message is larger than the quota of the mailbox")
STORE_ERROR = Reply(451, "4.3.0", "mail store error, try again later")


def message_too_big(limit: int) -> Reply:
    """Return the reply to a message that exceeds SIZE (RFC 1870 section 6.1)."""
    return Reply(552, "5.3.4", f"message is larger than {limit} bytes")
