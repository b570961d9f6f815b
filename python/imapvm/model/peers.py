"""Addresses of peers: which of them count as one, which are of this machine, and the PROXY header.

The PROXY protocol is recognised but not supported. A proxy that is configured to send the client's
address sends it before anything else, and all at once (haproxy's proxy-protocol.txt, sections 2,
2.1 and 2.2). A server takes it for a wrong command, or for a broken TLS handshake; the operator
needs a clearer message.
"""

import ipaddress
from typing import Final

LOCAL: Final = "local"
"""Peer address on a unix socket."""
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


def is_loopback(peer: str) -> bool:
    """Return True for a peer on this machine: a web mailer, a proxy, the operator."""
    if peer == LOCAL:
        return True
    address = ipaddress.ip_address(peer)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def network_of(peer: str) -> str:
    """Return the key under which an address is counted: of IPv6 the /64 of one household."""
    if ":" not in peer:
        return peer
    address = ipaddress.IPv6Address(peer)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


def is_proxy_header(received: bytes) -> bool:
    """Return True if the first bytes of a connection are a PROXY header."""
    return received.startswith(_STARTS)
