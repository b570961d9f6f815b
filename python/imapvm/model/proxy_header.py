"""PROXY protocol, recognised but not supported: the first bytes that a proxy sends.

A proxy that is configured to send the client's address sends it before anything else, and all at
once (haproxy's proxy-protocol.txt, sections 2, 2.1 and 2.2). A server takes it for a wrong command,
or for a broken TLS handshake; the operator needs a clearer message.
"""

from typing import Final

_STARTS: Final = (
    b"PROXY TCP4 ",
    b"PROXY TCP6 ",
    b"PROXY UNKNOWN",
    b"\r\n\r\n\0\r\nQUIT\n",
)
"""Of version 1 and of version 2."""
PROXY_LOG_SECONDS: Final = 60.0
"""Least interval of the log event: a proxy sends a header with each connection."""
NOT_SUPPORTED: Final = "PROXY protocol is not supported"


def is_proxy_header(received: bytes) -> bool:
    """Return True if the first bytes of a connection are a PROXY header."""
    return received.startswith(_STARTS)
