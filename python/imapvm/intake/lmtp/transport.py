"""The other side of a connection, as LMTP sees it."""

from collections.abc import Callable
from typing import Protocol


class LmtpTransport(Protocol):
    """Bytes both ways, as `imapvm.server.net.transport.Transport` implements them."""

    waiting: int
    """Octets that were written and not yet taken."""

    async def serve(self, take: Callable[[bytes], bool]) -> bool:
        """Give octets to `take` as they come, until it returns False; False at their end."""

    def write_nowait(self, data: bytes) -> None:
        """Send now what fits; the rest goes by itself."""

    async def drained(self) -> None:
        """Return when all that was written has been taken."""

    def close(self) -> None:
        """End it at once."""
