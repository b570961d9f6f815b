"""Delivery settings: table `delivery` of the configuration, and the server's name."""

from dataclasses import dataclass
from typing import Final, Literal

SENDMAIL: Final = ("/usr/sbin/sendmail", "-i", "-f", "<>", "--")
"""Default of `DeliverySettings.sendmail`."""

UnknownRecipient = Literal["hold", "bounce", "discard"]
OverQuota = Literal["defer", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """Rules that map addresses to users, and the treatment of unknown recipients."""

    hostname: str = "localhost"
    """Name of this server in replies, Received fields and notifications."""
    domains: tuple[str, ...] = ()
    """Domains in which a local part is a login name; empty: every domain."""
    detail_delimiter: str = "+"
    """Separator of name and detail in a local part; "": none."""
    detail_mailboxes: bool = False
    """Deliver to the mailbox named by the detail, if it exists."""
    postmaster: str = ""
    """Login name that receives mail for postmaster, if no user or alias has that name."""
    unknown: UnknownRecipient = "hold"
    """Treatment of spool files whose recipients are not enrolled."""
    over_quota: OverQuota = "defer"
    """Reply of LMTP for a recipient over quota."""
    sendmail: tuple[str, ...] = SENDMAIL
    """Command that sends a notification: message on standard input, recipient as last argument."""
