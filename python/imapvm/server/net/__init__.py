"""Sockets, TLS and readiness: bytes between a peer and this process."""
