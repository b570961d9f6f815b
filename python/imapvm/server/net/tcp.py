"""Options of TCP sockets; sockets of other families are left as they are."""

import contextlib
import socket


def send_at_once(sock: socket.socket) -> None:
    """Send small pieces without waiting until those before are acknowledged."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def acknowledge(sock: socket.socket) -> None:
    """Acknowledge received bytes now: call it inside a command that needs more bytes.

    A client that writes a literal and the rest of its line apart, as imaplib does, sends the rest
    only when the literal is acknowledged (Nagle's algorithm), which Linux delays by 40 ms.
    """
    if sock.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):  # the connection failed, as the next read finds
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
