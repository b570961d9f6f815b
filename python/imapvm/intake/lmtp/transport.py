"""Interface of a connection, as LMTP uses it."""

from collections.abc import Callable
from typing import Protocol


class LmtpTransport(Protocol):
    """Byte stream, implemented by `imapvm.server.net.transport.Transport`."""

    waiting: int
    """Bytes written that the peer has not taken."""

    async def serve(self, take: Callable[[bytes], bool]) -> bool:
        """Call `take` with received bytes until it returns False; return False at end of stream."""

    def write_nowait(self, data: bytes) -> None:
        """Send what fits now; send the remainder later, without another call."""

    async def drained(self) -> None:
        """Return when the peer has taken all that was written."""

    def close(self) -> None:
        """Close at once."""
