"""TLS of the server's side: the certificate, and how many handshakes may run (RFC 8314, 9325)."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, final

import trio

from imapvm.model.limits import TLS_HANDSHAKE_STEPS_MAX, TLS_HANDSHAKES_MAX
from imapvm.server.net.tls_context import load, server_context

HANDSHAKE_SECONDS: Final = 30.0
"""From the first step to the last; waiting for a place among the handshakes does not count."""


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
        self._context = server_context()
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
        load(self._context, self._certificate, self._key)

    def wrap(self, plain: socket.socket) -> ssl.SSLSocket:
        """Take over a non-blocking socket, which must not be used any more."""
        return self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
