"""The states of a connection (RFC 9051 section 3)."""

from enum import Enum
from typing import Final


class State(Enum):
    """RFC 9051 section 3; one place assigns it: `imapvm.session.session.Session`."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"

    # Each command looks its state up in a set, and the hash that Enum has is written in Python.
    __hash__ = object.__hash__


ANY: Final = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
"""RFC 9051 section 6.1: every state in which anything may still be said."""
NOT_AUTHENTICATED: Final = frozenset({State.NOT_AUTHENTICATED})
"""RFC 9051 section 6.2."""
AUTHENTICATED: Final = frozenset({State.AUTHENTICATED, State.SELECTED})
"""RFC 9051 section 6.3: who selected a mailbox is authenticated too."""
NOTHING_SELECTED: Final = frozenset({State.AUTHENTICATED})
"""RFC 9051 section 6.3.1: ENABLE comes before the first SELECT."""
SELECTED: Final = frozenset({State.SELECTED})
"""RFC 9051 section 6.4."""
