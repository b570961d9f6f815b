"""States of a connection (RFC 9051 section 3)."""

from enum import Enum


class State(Enum):
    """State of RFC 9051 section 3; derived in one place, `imapvm.session.session.Session`."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"

    # Each command looks its state up in a set, and the hash that Enum has is written in Python.
    __hash__ = object.__hash__
