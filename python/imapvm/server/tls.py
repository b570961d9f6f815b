"""TLS of the server's side: the certificate, and how many handshakes may run (RFC 8314, 9325)."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, final

import trio

from imapvm.model.limits import TLS_HANDSHAKE_STEPS_MAX, TLS_HANDSHAKES_MAX

HANDSHAKE_SECONDS: Final = 30.0
"""From the first step to the last; waiting for a place among the handshakes does not count."""


class CertificateError(Exception):
    """Certificate and key cannot be used; the message names the files and the reason."""


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What was agreed with one client."""

    version: str
    """As OpenSSL says it: `TLSv1.3`."""
    cipher: str

    @classmethod
    def of(cls, sock: ssl.SSLSocket) -> Self:
        """What a finished handshake has agreed on."""
        cipher = sock.cipher()
        return cls(version=sock.version() or "", cipher=cipher[0] if cipher else "")


@final
class TlsServer:
    """A certificate, and the handshakes made with it."""

    __slots__ = ("_certificate", "_context", "_key", "places", "steps")

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load a PEM chain and its key.

        Raises:
            CertificateError: not readable, not PEM, or they do not belong together.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996: nothing older
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.num_tickets = 1  # two are the default, each one more encryption and send
        context.set_alpn_protocols(["imap"])
        self._context = context
        self._certificate, self._key = certificate, key
        self.places = trio.CapacityLimiter(TLS_HANDSHAKES_MAX)
        """Held from the first octet spent on a handshake to its end."""
        self.steps = trio.CapacityLimiter(TLS_HANDSHAKE_STEPS_MAX)
        """Held for one step, across a turn of the loop and never across a wait for the client."""
        self.reload()

    def reload(self) -> None:
        """Read the files again; handshakes from now on use what is there.

        Raises:
            CertificateError: as for the constructor; the certificate in use stays.
        """
        try:
            self._context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except (OSError, ValueError) as fault:  # SSLError is an OSError
            raise CertificateError(
                f"certificate {self._certificate} with key {self._key}: {_reason(fault)}"
            ) from fault

    def wrap(self, plain: socket.socket) -> ssl.SSLSocket:
        """Take over a non-blocking socket, which must not be used any more."""
        return self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)


def _no_password() -> str:
    raise ValueError("the key is encrypted, and nobody can be asked for its password")


def _reason(fault: Exception) -> str:
    if isinstance(fault, ssl.SSLError):
        return fault.reason or "not a PEM certificate and key"
    return getattr(fault, "strerror", None) or str(fault)
