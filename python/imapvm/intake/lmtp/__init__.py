"""LMTP (RFC 2033): the protocol as a value transformer, and its listener."""
