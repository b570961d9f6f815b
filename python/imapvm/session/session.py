"""What is known of one connection, from its greeting to its end."""

from typing import Generic, TypeVar

from imapvm._core import UidSet
from imapvm.session.states import State
from imapvm.session.view import NONE, View

StoreT = TypeVar("StoreT")


class Session(Generic[StoreT]):
    """One client: its state, what it enabled, what it has selected.

    State follows from what is held, so that the two cannot disagree: a store makes it
    authenticated, a view makes it selected.

    `StoreT` is the account's handle on the filepool; nothing here looks into it.
    """

    __slots__ = (
        "_broken_off",
        "_over",
        "enabled",
        "faults",
        "peer",
        "plain_allowed",
        "store",
        "tls",
        "view",
    )

    def __init__(self, *, peer: str, tls: bool, plain_allowed: bool) -> None:
        """Begin in the not authenticated state.

        Args:
            peer: the client's address, for logs and for the throttle.
            tls: whether the connection is encrypted.
            plain_allowed: whether a password may be sent without TLS (loopback, or the operator
                said so).
        """
        self.peer = peer
        self.tls = tls
        self.plain_allowed = plain_allowed
        self.store: StoreT | None = None
        self.view: View | None = None
        self.enabled: set[str] = set()
        """Capabilities turned on by ENABLE, as they are named there."""
        self.faults = 0
        """Commands before login that were wrong, and logins that failed."""
        self._over = False
        self._broken_off = False

    @property
    def state(self) -> State:
        if self._over:
            return State.LOGOUT
        if self.view is not None:
            return State.SELECTED
        return State.NOT_AUTHENTICATED if self.store is None else State.AUTHENTICATED

    @property
    def over(self) -> bool:
        """True in the logout state: nothing more is read, what was written goes out."""
        return self._over

    def end(self) -> None:
        """Go to the logout state because the client asked for it (RFC 9051 section 3.4)."""
        self._over = True

    def break_off(self) -> None:
        """Go to the logout state in the middle of a command, which gets no tagged answer."""
        self._over = self._broken_off = True

    @property
    def broken_off(self) -> bool:
        return self._broken_off

    @property
    def saved(self) -> UidSet:
        """`$` of the selected mailbox (RFC 9051 section 6.4.4.1); empty where none is selected."""
        return NONE if self.view is None else self.view.saved

    @saved.setter
    def saved(self, uids: UidSet) -> None:
        assert self.view is not None
        self.view.saved = uids

    @property
    def rev2(self) -> bool:
        r"""True after ENABLE IMAP4rev2: no \Recent, ESEARCH answers, UTF-8 names."""
        return "IMAP4REV2" in self.enabled

    @property
    def utf8(self) -> bool:
        """True where mailbox names and quoted strings may be UTF-8 (RFC 9051, RFC 9755)."""
        return "IMAP4REV2" in self.enabled or "UTF8=ACCEPT" in self.enabled

    @property
    def password_allowed(self) -> bool:
        """Whether a password may be sent over this connection as it stands (RFC 9051 6.2.3)."""
        return self.tls or self.plain_allowed
