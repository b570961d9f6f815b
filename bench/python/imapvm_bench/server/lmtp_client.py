"""Blocking LMTP client (RFC 2033) that records the time of the final dot."""

import re
import time
from dataclasses import dataclass
from typing import Final

from imapvm_bench.errors import BenchError
from imapvm_bench.server.lines import LineConnection, Refused, excerpt
from imapvm_bench.server.target import Address

SENDER: Final = "sender@bench.example"


@dataclass(frozen=True, slots=True)
class DeliveryTimes:
    """Times of a delivery: CLOCK_MONOTONIC, nanoseconds."""

    sent_ns: int
    """Just before the bytes that end with the final dot were given to the kernel."""
    answered_ns: int
    """After the reply to the final dot was read."""


class Lmtp(LineConnection):
    """One LMTP connection."""

    def __init__(self, address: Address, *, timeout: float = 60.0) -> None:
        """Connect, and send LHLO.

        Raises:
            BenchError: no connection, or the server does not speak LMTP.
        """
        super().__init__(address, f"LMTP at {address}", timeout)
        try:
            self._expect("the greeting", 220)
            self.send(b"LHLO bench.example\r\n")
            self._expect("LHLO", 250)
        except BaseException:
            self.close()
            raise

    def deliver(self, recipient: str, message: bytes) -> DeliveryTimes:
        """Deliver a message to one recipient.

        Raises:
            Refused: the server refuses the recipient or the message.
            BenchError: the server closes, or does not answer in time.
        """
        # Not pipelined: some servers lack PIPELINING, and the time of the dot is measured.
        for line, code in (
            (f"MAIL FROM:<{SENDER}>", 250),
            (f"RCPT TO:<{recipient}>", 250),
            ("DATA", 354),
        ):
            self.send(line.encode() + b"\r\n")
            self._expect(line, code)
        data = dot_stuffed(message)
        sent = time.monotonic_ns()
        self.send(data)
        self._expect(f"the message for {recipient}", 250)
        return DeliveryTimes(sent, time.monotonic_ns())

    def _expect(self, command: str, code: int) -> None:
        while True:
            line = self.read_line()
            reply = re.fullmatch(rb"(\d{3})([ -].*)?", line)
            if reply is None:
                raise BenchError(f"{self.name} is not an LMTP server: {excerpt(line)!r}")
            if not (reply[2] or b"").startswith(b"-"):
                if int(reply[1]) != code:
                    raise Refused(command, excerpt(line))
                return


def dot_stuffed(message: bytes) -> bytes:
    """Return a message as DATA sends it: dots doubled, final dot added (RFC 5321 section 4.5.2)."""
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    if message.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b".\r\n" if message.endswith(b"\r\n") or not message else b"\r\n.\r\n")
