"""A small blocking LMTP client (RFC 2033), which knows when it has sent the final dot."""

import re
import socket
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from imapvm_bench.errors import BenchError
from imapvm_bench.server.imap_client import Refused, shown
from imapvm_bench.server.target import Address

SENDER: Final = "sender@bench.example"


@dataclass(frozen=True, slots=True)
class Delivered:
    """When a message was handed over: CLOCK_MONOTONIC, nanoseconds."""

    sent_ns: int
    """Just before the octets that end with the final dot were given to the kernel."""
    answered_ns: int
    """When the reply to it was here."""


class Lmtp:
    """One connection; use it in a `with`.

    Raises:
        BenchError: nobody answers, or what answers is no LMTP server.
    """

    def __init__(self, address: Address, *, timeout: float = 60.0) -> None:
        self._where = f"LMTP at {address}"
        try:
            self._socket = socket.create_connection((address.host, address.port), timeout)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BenchError(f"{self._where} cannot be reached: {reason}") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        try:
            self._expect("the greeting", 220)
            self._send(b"LHLO bench.example\r\n")
            self._expect("LHLO", 250)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up without QUIT."""
        self._file.close()
        self._socket.close()

    def deliver(self, recipient: str, octets: bytes) -> Delivered:
        """Hand over a message for one recipient.

        Raises:
            Refused: the server does not want it.
            BenchError: the server hung up, or is silent.
        """
        # In turn, not pipelined: not everybody offers PIPELINING, and the dot is what is timed.
        for line, code in (
            (f"MAIL FROM:<{SENDER}>", 250),
            (f"RCPT TO:<{recipient}>", 250),
            ("DATA", 354),
        ):
            self._send(line.encode() + b"\r\n")
            self._expect(line, code)
        data = dot_stuffed(octets)
        sent = time.monotonic_ns()
        self._send(data)
        self._expect(f"the message for {recipient}", 250)
        return Delivered(sent, time.monotonic_ns())

    def _send(self, octets: bytes) -> None:
        try:
            self._socket.sendall(octets)
        except OSError as error:
            raise BenchError(f"{self._where} does not take more: {error}") from None

    def _expect(self, what: str, code: int) -> None:
        while True:
            try:
                line = self._file.readline(8192)
            except OSError as error:
                reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
                raise BenchError(f"{self._where} does not answer: {reason}") from None
            if not line.endswith(b"\n"):
                raise BenchError(f"{self._where} closed the connection")
            reply = re.match(rb"(\d{3})([ -])", line)
            if reply is None:
                raise BenchError(f"{self._where} says {shown(line.strip())!r}, which is no LMTP")
            if reply[2] == b" ":
                if int(reply[1]) != code:
                    raise Refused(what, shown(line.strip()))
                return


def dot_stuffed(octets: bytes) -> bytes:
    """Return a message as DATA sends it: dots doubled, the final dot behind (RFC 5321 4.5.2)."""
    stuffed = octets.replace(b"\r\n.", b"\r\n..")
    if octets.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b".\r\n" if octets.endswith(b"\r\n") or not octets else b"\r\n.\r\n")
