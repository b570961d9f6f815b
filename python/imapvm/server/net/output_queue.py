"""Output that the kernel has not taken yet."""

import socket
import ssl
from collections import deque
from typing import Final, final

WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""Raised by a non-blocking socket, plain or TLS, that has to wait for its peer."""
TLS_RECORD_MAX: Final = 16 * 1024
"""RFC 8446 section 5.1: data bytes of one record."""


@final
class OutputQueue:
    """Bytes that wait for a socket, in order.

    Exists only while something waits: an idle connection holds no buffers.
    """

    __slots__ = ("_chunks",)

    def __init__(self, first: memoryview) -> None:
        self._chunks = deque((first,))

    def append(self, data: bytes) -> None:
        self._chunks.append(memoryview(data))

    def flush(self, sock: socket.socket, *, tls: bool) -> int:
        """Send until the queue is empty or the socket takes no more; return the bytes sent.

        Raises:
            OSError: the connection failed.
        """
        chunks = self._chunks
        limit = TLS_RECORD_MAX if tls else None
        total = 0
        while chunks:
            head = chunks[0]
            try:
                # After a refused write OpenSSL must be given the same bytes again: the head of
                # the queue changes only when it has been sent.
                sent = sock.send(head[:limit])
            except WOULD_BLOCK:
                break
            total += sent
            if sent == len(head):
                chunks.popleft()
            else:
                chunks[0] = head[sent:]
                if not tls:
                    break  # the socket is full
        return total
