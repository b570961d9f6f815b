"""Session: the protocol state of one connection."""

import secrets
from typing import Any, Final, Generic, TypeVar

from imapvm.session.comparators import DEFAULT, Collation
from imapvm.session.interest import ALL_EVENTS, Interest, SelectedEvents
from imapvm.session.languages import I_DEFAULT, TextLanguage
from imapvm.session.states import State
from imapvm.session.syntax import NOTHING_DISABLED, Disabled
from imapvm.session.update_form import FORMS, UpdateForm
from imapvm.session.view import View
from imapvm.session.watch import AnnotationWatch, Watch

StoreT = TypeVar("StoreT")

ID_BYTES: Final = 6
"""Twelve hexadecimal digits."""


class Session(Generic[StoreT]):
    """State of one client: login, enabled extensions, selected mailbox.

        (start) --sign in: store--> AUTHENTICATED --SELECT: view--> SELECTED
         | ^                          |   |   ^                     |  |  |
         | |                          |   |   +--CLOSE: no view-----+  |  |
         | +-------- sign_out() ------+---|----------------------------+  |
         +------------------------- end(), abort() -----------------------+--> LOGOUT

    `state` is derived from `store` and `view`, so that they cannot disagree.

    `StoreT` is the account's handle on the filepool; it is not used here.
    """

    __slots__ = (
        "aborted",
        "annotations",
        "client",
        "comparator",
        "condstore",
        "disabled",
        "enabled",
        "errors",
        "id",
        "interest",
        "language",
        "login_epoch",
        "over",
        "peer",
        "plain_allowed",
        "shared",
        "store",
        "tls",
        "user",
        "view",
        "watch",
    )

    def __init__(self, *, peer: str, tls: bool, plain_allowed: bool) -> None:
        """Start in the not authenticated state.

        Args:
            peer: the client's address, for logs and for the throttle.
            tls: True if the connection is encrypted.
            plain_allowed: True if a password may be sent without TLS (loopback, or configured).
        """
        self.id = secrets.token_hex(ID_BYTES)
        """In each log event of the session; unique among all servers, for practical purposes."""
        self.peer = peer
        self.user: str | None = None
        """Login name of the account, for logs."""
        self.client: str | None = None
        """Name and version of the mail program, from its ID command; for logs."""
        self.tls = tls
        self.plain_allowed = plain_allowed
        self.store: StoreT | None = None
        self.login_epoch = 0
        """Login epoch of the account when the client signed in; the session ends with it."""
        self.view: View | None = None
        self.disabled: Disabled = NOTHING_DISABLED
        """Capabilities that are not offered; `Context.disable` sets it."""
        self.shared: StoreT | None = None
        """Store of the mailbox in `view` if it is of another account; else None."""
        self.enabled: set[str] = set()
        """Capabilities turned on by ENABLE, in upper case."""
        self.condstore = False
        """True after a command that enables CONDSTORE (RFC 7162 section 3.1): MODSEQ is sent."""
        self.annotations: AnnotationWatch | None = None
        """Changes of annotations that were sent; None before ENABLE METADATA."""
        self.interest: Interest | None = None
        """Events that the client has chosen; None before NOTIFY."""
        self.watch: Watch[StoreT, Any] | None = None
        """Notifications about mailboxes that are not selected; None without any."""
        self.comparator: Collation = DEFAULT
        """Comparator of SEARCH, SORT and THREAD."""
        self.language: TextLanguage = I_DEFAULT
        """Language of human-readable text."""
        self.errors = 0
        """Malformed or refused commands before login, failed logins included."""
        self.over = False
        """True in the logout state: nothing more is read; what was written is still sent."""
        self.aborted = False
        """True if the logout state began during a command, which gets no tagged response."""

    @property
    def origin(self) -> bytes:
        """Id of the session in the logs of changes, of which it is not notified itself."""
        return bytes.fromhex(self.id)

    def log_fields(self) -> dict[str, str]:
        """Return the fields that each log event of the session has."""
        fields = {"session": self.id, "peer": self.peer}
        if self.user is not None:
            fields["user"] = self.user
        return fields

    @property
    def state(self) -> State:
        if self.over:
            return State.LOGOUT
        if self.view is not None:
            return State.SELECTED
        return State.NOT_AUTHENTICATED if self.store is None else State.AUTHENTICATED

    def sign_out(self) -> None:
        """Drop all that login, ENABLE and SELECT have set.

        The client's ID stays: RFC 8437 section 3 leaves it to the server.
        """
        self.store = self.view = self.shared = self.user = self.annotations = None
        self.interest = self.watch = None
        self.login_epoch = 0
        self.enabled.clear()
        self.condstore = False
        self.comparator = DEFAULT
        self.language = I_DEFAULT

    def set_interest(self, interest: Interest, watch: Watch[StoreT, Any] | None) -> None:
        """Set the events that the client has chosen by NOTIFY."""
        self.interest, self.watch = interest, watch
        if self.view is not None:
            self.view.events = interest.selected

    def end(self) -> None:
        """Enter the logout state at the client's request (RFC 9051 section 3.4)."""
        self.over = True

    def abort(self) -> None:
        """Enter the logout state during a command, which gets no tagged response."""
        self.over = self.aborted = True

    def offers(self, capability: str) -> bool:
        """Return False if a capability is disabled, so that nothing of it is sent."""
        return capability not in self.disabled.names

    @property
    def rev2(self) -> bool:
        r"""True after ENABLE IMAP4rev2: no \Recent, ESEARCH responses, UTF-8 names."""
        return "IMAP4REV2" in self.enabled

    @property
    def qresync(self) -> bool:
        """True after ENABLE QRESYNC: VANISHED in place of EXPUNGE (RFC 7162 section 3.2.3)."""
        return "QRESYNC" in self.enabled

    @property
    def uidonly(self) -> bool:
        """True after ENABLE UIDONLY: no message numbers in either direction (RFC 9586)."""
        return "UIDONLY" in self.enabled

    @property
    def update_form(self) -> UpdateForm:
        """The form of updates of the selected mailbox."""
        notified = self.interest is not None
        return FORMS[self.rev2 or notified, self.rev2, self.condstore, self.qresync, self.uidonly]

    @property
    def selected_events(self) -> SelectedEvents:
        """The updates of the selected mailbox that the client gets."""
        return ALL_EVENTS if self.interest is None else self.interest.selected

    @property
    def claims_recent(self) -> bool:
        r"""True if the selected mailbox is read-write and the client has \Recent."""
        return self.view is not None and not self.view.read_only and not self.rev2

    @property
    def utf8(self) -> bool:
        """True if mailbox names and quoted strings may be UTF-8 (RFC 9051, RFC 9755)."""
        return "IMAP4REV2" in self.enabled or "UTF8=ACCEPT" in self.enabled

    @property
    def password_allowed(self) -> bool:
        """True if a password may be sent over this connection now (RFC 9051 section 6.2.3)."""
        return self.tls or self.plain_allowed
