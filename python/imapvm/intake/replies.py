"""Replies of RFC 5321 section 4.2 with the enhanced status codes of RFC 3463."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: what a client hears, and what is written beside a spool file that waits."""

    code: int
    status: str
    """Enhanced status code, `5.1.1`; "" for the replies that carry none (RFC 2034 section 4)."""
    text: str
    line: bytes = field(init=False, repr=False, compare=False)
    """The reply line, CRLF included; what is not printable ASCII becomes `?`."""

    def __post_init__(self) -> None:
        # Once, and not whenever it is said: most replies are constants.
        printable = "".join(c if " " <= c <= "~" else "?" for c in str(self))
        object.__setattr__(self, "line", printable.encode() + b"\r\n")

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.status, self.text)))

    @property
    def is_ok(self) -> bool:
        return self.code < 400

    @property
    def is_transient(self) -> bool:
        """True where trying again may help (RFC 5321 section 4.2.1: 4yz)."""
        return 400 <= self.code < 500


DELIVERED = Reply(250, "2.1.5", "delivered")
UNKNOWN_RECIPIENT = Reply(550, "5.1.1", "no such user here")
STORE_FULL = Reply(452, "4.3.1", "no room in the mail store now, try again later")
OVER_QUOTA = Reply(552, "5.2.2", "the mailbox is full")
STORE_ERROR = Reply(451, "4.3.0", "the mail store has a problem, try again later")


def too_big(limit: int) -> Reply:
    """RFC 1870 section 6.1: more octets than SIZE allows."""
    return Reply(552, "5.3.4", f"the message is larger than {limit} octets")
