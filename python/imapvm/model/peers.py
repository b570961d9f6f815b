"""Addresses of peers: which of them count as one, and which are of this machine."""

import ipaddress
from typing import Final

LOCAL: Final = "local"
"""Peer address on a unix socket."""


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
