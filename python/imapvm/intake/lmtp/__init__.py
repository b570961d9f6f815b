"""LMTP (RFC 2033): protocol without I/O, connection and listener."""
