"""A socket as LMTP needs it: `trio.SocketStream` without what it costs twice.

`SocketStream` goes through the scheduler again after each receive that found octets; at four
replies a message that is most of what a delivery costs here (FOUNDATIONS section 2.1).
"""

import socket
from collections.abc import Awaitable, Callable
from typing import final

import trio
from trio.lowlevel import notify_closing, wait_readable, wait_writable


@final
class PeerStream(trio.abc.Stream):
    """A connected stream socket of which this is the owner; one task reads, one writes."""

    def __init__(self, connected: socket.socket) -> None:
        connected.settimeout(0)
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connected

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next octets; b"" when the peer will send no more."""
        while True:
            await self._ready(wait_readable)
            try:
                return self.socket.recv(max_bytes or 65536)
            except BlockingIOError:
                continue
            except OSError as fault:
                raise trio.BrokenResourceError(str(fault)) from fault

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Return when the kernel has taken them all."""
        with memoryview(data) as left:
            sent = 0
            while sent < len(left):
                try:
                    sent += self.socket.send(left[sent:])
                except BlockingIOError:
                    await self._ready(wait_writable)
                except OSError as fault:
                    raise trio.BrokenResourceError(str(fault)) from fault

    async def wait_send_all_might_not_block(self) -> None:
        """Return when the kernel takes some."""
        await self._ready(wait_writable)

    async def aclose(self) -> None:
        """Close it at once."""
        if self.socket.fileno() >= 0:
            notify_closing(self.socket)
            self.socket.close()

    async def _ready(self, wait: Callable[[socket.socket], Awaitable[None]]) -> None:
        if self.socket.fileno() < 0:
            raise trio.ClosedResourceError
        await wait(self.socket)
