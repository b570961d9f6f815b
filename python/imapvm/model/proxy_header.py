"""PROXY protocol, recognised but not supported: the first bytes that a proxy sends.

A proxy that is configured to send the client's address sends it before anything else, and all at
once (haproxy's proxy-protocol.txt, sections 2, 2.1 and 2.2). A server takes it for a wrong command,
or for a broken TLS handshake; the operator needs a clearer message.
"""

import logging
from typing import Final, final

_STARTS: Final = (
    b"PROXY TCP4 ",
    b"PROXY TCP6 ",
    b"PROXY UNKNOWN",
    b"\r\n\r\n\0\r\nQUIT\n",
)
"""Of version 1 and of version 2."""
LOG_INTERVAL_SECONDS: Final = 60.0
NOT_SUPPORTED: Final = "PROXY protocol is not supported"


def is_proxy_header(received: bytes) -> bool:
    """Return True if the first bytes of a connection are a PROXY header."""
    return received.startswith(_STARTS)


@final
class ProxyHeaderLog:
    """Log event for PROXY headers, once a minute: a proxy sends one with each connection."""

    __slots__ = ("_log", "_logged_at")

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._logged_at = float("-inf")

    def record(self, peer: str | None, now: float) -> None:
        """Log that a connection of this peer was closed."""
        if now - self._logged_at >= LOG_INTERVAL_SECONDS:
            self._logged_at = now
            self._log.warning("PROXY header received and connection closed", extra={"peer": peer})
