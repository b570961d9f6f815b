"""What the operator decides about mail that comes in (table `delivery` of the configuration)."""

from dataclasses import dataclass
from typing import Literal

Unknown = Literal["hold", "bounce", "discard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """Which address is whose, and what becomes of mail for nobody."""

    hostname: str
    """Name of this server in replies, Received fields and notifications."""
    domains: tuple[str, ...] = ()
    """Domains in which a local part is a login name; empty: every domain."""
    detail_delimiter: str = "+"
    """What separates name and detail in a local part; "": nothing does."""
    detail_mailboxes: bool = False
    """True: the detail names the mailbox, where there is such a one."""
    postmaster: str = ""
    """Login name of who gets mail for postmaster, where nobody is named so."""
    unknown: Unknown = "hold"
    """Spool files for recipients that are not here."""
    sendmail: tuple[str, ...] = ("/usr/sbin/sendmail", "-i", "-f", "<>", "--")
    """Sends a notification: message on standard input, recipient as the last argument."""
