"""Service notification for systemd (sd_notify(3)), without its library."""

import os
import socket


def notify(state: str) -> None:
    """Send a state such as `READY=1`, `STOPPING=1` or `STATUS=…`; do nothing without systemd.

    Errors are ignored: a server that works must not stop because a message was not delivered.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"}:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.settimeout(0)
        try:
            sender.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)
        except OSError:
            return
