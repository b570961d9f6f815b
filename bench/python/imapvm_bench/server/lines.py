"""One blocking connection that reads lines: the base of the IMAP and the LMTP client."""

import socket
import ssl
from typing import Final, Self

from imapvm_bench.errors import BenchError
from imapvm_bench.format import printable
from imapvm_bench.server.target import Address

LINE_BYTES_MAX: Final = 1024 * 1024
"""Bytes of one line; a longer line is an error."""


class Refused(BenchError):
    """Command that the server refused: NO, BAD, BYE, or an LMTP reply 4xx or 5xx."""

    def __init__(self, command: str, answer: str) -> None:
        super().__init__(f"{command} → {answer}")
        self.answer = answer


class LineConnection:
    """One TCP connection, closed at the end of a `with`. Its errors name the server."""

    def __init__(self, address: Address, name: str, timeout: float) -> None:
        """Connect.

        Raises:
            BenchError: the connection is refused or times out.
        """
        self.name = name
        try:
            self._socket: socket.socket = socket.create_connection(
                (address.host, address.port), timeout
            )
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._file = self._socket.makefile("rb")
        except OSError as error:
            raise BenchError(f"cannot connect to {name}: {reason(error)}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection without LOGOUT or QUIT."""
        self._file.close()
        self._socket.close()

    def start_tls(self, context: ssl.SSLContext, server_name: str) -> None:
        """Run the TLS handshake.

        Raises:
            BenchError: TLS fails, or the certificate is refused.
        """
        self._file.close()
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=server_name)
        except OSError as error:
            raise BenchError(f"cannot use TLS with {self.name}: {reason(error)}") from None
        self._file = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            BenchError: the connection is broken, or the server does not read.
        """
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise BenchError(f"cannot send to {self.name}: {reason(error)}") from None

    def read_line(self) -> bytes:
        """Return the next line without its end.

        Raises:
            BenchError: the server sends nothing in time, closes, or sends an endless line.
        """
        try:
            line = self._file.readline(LINE_BYTES_MAX)
        except OSError as error:
            raise BenchError(f"cannot read from {self.name}: {reason(error)}") from None
        if not line.endswith(b"\n"):
            raise BenchError(f"{self.name} closed the connection")
        return line.rstrip(b"\r\n")

    def skip(self, size: int) -> None:
        """Read and drop `size` bytes.

        Raises:
            BenchError: as `read_line`.
        """
        while size:
            try:
                piece = self._file.read(min(size, 65536))
            except OSError as error:
                raise BenchError(f"cannot read from {self.name}: {reason(error)}") from None
            if not piece:
                raise BenchError(f"{self.name} closed the connection")
            size -= len(piece)


def reason(error: OSError) -> str:
    """Return the reason of a failed socket call."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"{error.reason or error}"
    return (error.strerror or str(error)).lower()


def excerpt(line: bytes) -> str:
    """Return the start of a line for display, without control characters."""
    return printable(line.decode("utf-8", "replace")[:300])
