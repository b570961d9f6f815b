"""PROXY protocol, recognised but not supported: the first bytes that a proxy sends.

A proxy that is configured to send the client's address sends it before anything else
(haproxy's proxy-protocol.txt, sections 2.1 and 2.2). An IMAP server takes it for a wrong command,
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
NOT_SUPPORTED: Final = "PROXY protocol is not supported"


def is_proxy_header(received: bytes) -> bool:
    """Return True if the first bytes of a connection are a PROXY header."""
    return received.startswith(_STARTS)
