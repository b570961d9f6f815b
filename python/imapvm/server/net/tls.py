"""TLS, server side: the certificate, and limits on concurrent handshakes (RFC 8314, 9325)."""

import contextlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, final

import trio

from imapvm.model.fair_limiter import FairLimiter
from imapvm.model.limits import (
    TLS_HANDSHAKE_STEPS_MAX,
    TLS_HANDSHAKES_MAX,
    TLS_HANDSHAKES_PER_PEER_MAX,
)
from imapvm.model.peers import NOT_SUPPORTED, is_proxy_header
from imapvm.server.net.output_queue import WOULD_BLOCK
from imapvm.server.net.tls_context import load, server_context

HANDSHAKE_SECONDS: Final = 10.0
"""Longest wait for a ClientHello, and longest handshake after it. Waiting for one of
`TlsServer.places` in between does not count."""

# RFC 8446 section 5.1
_HANDSHAKE: Final = 22
_HEADER_BYTES: Final = 5
FIRST_RECORD_BYTES: Final = _HEADER_BYTES + 2**14
"""Bytes of the longest record that can start a handshake."""


class ProxyHeaderError(trio.BrokenResourceError):
    """The first bytes are a PROXY header, where a TLS handshake should start."""


def has_client_hello(received: bytes) -> bool:
    """Return True if a TLS record has been received completely, or something that is no TLS.

    A ClientHello that is divided into several records counts from its first one on.
    """
    if received[:1] != bytes([_HANDSHAKE]):
        return bool(received)
    if len(received) < _HEADER_BYTES:
        return False
    length = _HEADER_BYTES + int.from_bytes(received[3:_HEADER_BYTES])
    return len(received) >= length or length > FIRST_RECORD_BYTES


def client_hello_has_arrived(sock: socket.socket) -> bool:
    """Return True if `has_client_hello`, or the client has ended; read nothing.

    Raises:
        ProxyHeaderError: the first bytes are a PROXY header.
    """
    try:
        received = sock.recv(FIRST_RECORD_BYTES, socket.MSG_PEEK)
    except WOULD_BLOCK:
        return False
    if is_proxy_header(received):
        raise ProxyHeaderError(NOT_SUPPORTED)
    return has_client_hello(received) or not received


def send_close_notify(sock: socket.socket) -> None:
    """Send the end of TLS, without waiting for the client's."""
    if isinstance(sock, ssl.SSLSocket):
        with contextlib.suppress(OSError, ValueError):
            sock.unwrap()


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """Parameters agreed with one client."""

    version: str
    """In OpenSSL's words: `TLSv1.3`."""
    cipher: str

    @classmethod
    def of(cls, sock: ssl.SSLSocket) -> Self:
        """Return the parameters of a finished handshake."""
        cipher = sock.cipher()
        return cls(version=sock.version() or "", cipher=cipher[0] if cipher else "")


@final
class TlsServer:
    """Certificate, key and the limits on handshakes of one process."""

    __slots__ = ("_certificate", "_context", "_key", "places", "steps")

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load a PEM chain and its key.

        Raises:
            CertificateError: not readable, not PEM, or key and certificate do not match.
        """
        self._context = server_context()
        self._certificate, self._key = certificate, key
        self.places = FairLimiter(
            TLS_HANDSHAKES_MAX, per_peer=TLS_HANDSHAKES_PER_PEER_MAX, make_event=trio.Event
        )
        """Held from the ClientHello to the end of a handshake: clients that send nothing hold none.
        Connections bound the number of waiting tasks."""
        self.steps = trio.CapacityLimiter(TLS_HANDSHAKE_STEPS_MAX)
        """Held for one step, for one turn of the loop, never while waiting for the client."""
        self.reload()

    def reload(self) -> None:
        """Read the files again, for handshakes from now on.

        Raises:
            CertificateError: as for the constructor; the certificate in use stays.
        """
        load(self._context, self._certificate, self._key)

    def wrap(self, plain: socket.socket) -> ssl.SSLSocket:
        """Take over a non-blocking socket; the caller must not use it any more."""
        return self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
