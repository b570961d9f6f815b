"""Settings of the server: all that an operator decides, checked and with defaults applied.

The configuration file becomes one `Settings` (`imapvm.ops.config.load`), which is passed to every
process of the server as it is.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.model.limits import CONNECTIONS_PER_PEER_MAX, REMEMBERED_EXPUNGES_MAX
from imapvm.model.quota import Limits
from imapvm.session.client_rules import CapabilityRules, ClientRule
from imapvm.session.syntax import CapabilityNameError

SHUTDOWN_SECONDS: Final = 10.0
"""Time for running commands to finish when the server stops; then connections are closed."""
RELOAD_SECONDS: Final = 120
"""Default of `Settings.reload_seconds`."""

Plaintext = Literal["never", "loopback", "always"]
LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


class SettingsError(Exception):
    """The server cannot run with these settings; the message is one line."""


class CertificateError(SettingsError):
    """Certificate and key cannot be used; the message names the files and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a server and of all its processes.

    Addresses are `"host:port"`, `"[IPv6 address]:port"` or `"unix:/path"`; port 0 selects a free
    port.
    """

    filepool: Path
    """Directory, created before by `create_filepool`."""
    spool: Path | None = None
    """Spool directory; None: no spool."""
    imap: tuple[str, ...] = ()
    """Addresses for IMAP without TLS; STARTTLS is offered if there is a certificate."""
    imaps: tuple[str, ...] = ()
    """Addresses for IMAP with implicit TLS (RFC 8314). Needs a certificate."""
    lmtp: tuple[str, ...] = ()
    certificate: Path | None = None
    """Certificate chain in PEM, the server's own certificate first."""
    key: Path | None = None
    """Private key in PEM."""
    plaintext: Plaintext = "loopback"
    """Clients that may send a password without TLS; unix sockets count as loopback."""
    connections_per_peer: int = CONNECTIONS_PER_PEER_MAX
    """Limit for one IPv4 address or one IPv6 /64 network; none for this machine itself."""
    remembered_expunges: int = REMEMBERED_EXPUNGES_MAX
    """Changes of a mailbox for which expunged UIDs are remembered (RFC 7162 section 5.3)."""
    messages_per_command: int = 0
    """MESSAGELIMIT (RFC 9738); 0: none."""
    saved_per_command: int = 0
    """SAVELIMIT (RFC 9738), if there is no MESSAGELIMIT; 0: none."""
    reload_seconds: int = RELOAD_SECONDS
    """Time within which old workers close their connections after a reload."""
    disabled_capabilities: tuple[str, ...] = ()
    """Names of capabilities that no client is offered."""
    client_rules: tuple[ClientRule, ...] = ()
    """Rules for some clients."""
    shipped_rules: bool = True
    """Apply the rules for known errors of mail programs as well."""
    comment: str = ""
    """Text about this server for its users: the annotation /shared/comment (RFC 5464)."""
    admin: str = ""
    """URI of the administrator: the annotation /shared/admin."""
    workers: int = 0
    """Processes that serve clients; 0: one process has all roles."""
    administrators: tuple[str, ...] = ()
    """Login names of users who may change what belongs to others."""
    quota: Limits = field(default_factory=dict)
    """Default limits of each user."""
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    log_format: LogFormat = "text"
    log_level: LogLevel = "info"

    def capability_rules(self) -> CapabilityRules:
        """Return the rules that decide which capabilities are disabled.

        Raises:
            SettingsError: a capability cannot be disabled.
        """
        try:
            return CapabilityRules(
                self.disabled_capabilities, self.client_rules, shipped=self.shipped_rules
            )
        except CapabilityNameError as error:
            raise SettingsError(str(error)) from None

    def annotations(self) -> dict[bytes, bytes]:
        """Return the shared annotations of the server (RFC 5464 section 3.2.1.1)."""
        texts = {b"/comment": self.comment, b"/admin": self.admin}
        return {entry: text.encode() for entry, text in texts.items() if text}

    def check(self) -> None:
        """Check that the settings fit together.

        Raises:
            SettingsError: they do not.
        """
        if (self.certificate is None) != (self.key is None):
            raise SettingsError("certificate and key must be set together")
        if self.imaps and self.certificate is None:
            raise SettingsError("imaps requires a certificate and a key")
        self.capability_rules()


@dataclass(frozen=True, slots=True)
class Listening:
    """First address of each kind that the server listens on, with the real port; None: no such."""

    imap: tuple[str, int] | None = None
    """Host and port; for a unix socket its path and 0."""
    imaps: tuple[str, int] | None = None
    lmtp: tuple[str, int] | None = None
    all: dict[str, str] = field(default_factory=dict)
    """All addresses by kind, separated by spaces; for the log."""
