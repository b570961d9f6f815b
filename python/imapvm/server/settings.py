"""What the operator decides about the server, checked and with its defaults applied."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.model.limits import CONNECTIONS_PER_PEER_MAX

SHUTDOWN_SECONDS: Final = 10.0
"""For commands that run when the server stops; who needs longer is cut off."""
RELOAD_SECONDS: Final = 120
"""See `Settings.reload_seconds`."""

Plaintext = Literal["never", "loopback", "always"]


class SettingsError(Exception):
    """The server cannot run like this; one sentence says why."""


class CertificateError(SettingsError):
    """Certificate and key cannot be used; the message names the files and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that `serve` wants to know.

    Addresses are `"host:port"`, `"[IPv6 address]:port"` or `"unix:/path"`; port 0 takes a free one.
    """

    filepool: Path
    """Made before by `create_filepool`."""
    spool: Path | None = None
    """Where files with mail are dropped; None looks nowhere."""
    imap: tuple[str, ...] = ()
    """In the clear; STARTTLS where there is a certificate."""
    imaps: tuple[str, ...] = ()
    """TLS from the first octet (RFC 8314). Needs a certificate."""
    lmtp: tuple[str, ...] = ()
    certificate: Path | None = None
    """PEM: the chain, the server's own first."""
    key: Path | None = None
    plaintext: Plaintext = "loopback"
    """Whether a password may be sent without TLS: unix sockets count as loopback."""
    connections_per_peer: int = CONNECTIONS_PER_PEER_MAX
    """From one address (one /64 of IPv6); this machine itself may make any number."""
    reload_seconds: int = RELOAD_SECONDS
    """After a reload: within which the clients of old workers hear BYE, each at its own moment."""
    workers: int = 0
    """Processes that serve clients, beside one that takes mail in and one that cleans up; 0:
    everything in one process."""
    hostname: str = "localhost"
    """Ours, in what mail systems are told."""
    delivery: DeliverySettings = field(
        default_factory=lambda: DeliverySettings(hostname="localhost")
    )

    def check(self) -> None:
        """Say what cannot work, before anything is opened.

        Raises:
            SettingsError: with one sentence.
        """
        if (self.certificate is None) != (self.key is None):
            raise SettingsError("a certificate needs its key, and a key its certificate")
        if self.imaps and self.certificate is None:
            raise SettingsError("imaps needs a certificate and a key")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server can be reached now; ports are the real ones. None: not listened at."""

    imap: tuple[str, int] | None = None
    """Host and port of the first address; of a unix socket its path and 0."""
    imaps: tuple[str, int] | None = None
    lmtp: tuple[str, int] | None = None
