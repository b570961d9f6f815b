"""Interest of a client in events: the arguments of NOTIFY (RFC 5465), as a value.

before NOTIFY        the selected mailbox, at the end of commands and in IDLE
NOTIFY SET (...)     the events that are named, also between commands
NOTIFY NONE          no event
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag
from typing import Final, NamedTuple, final

from imapvm._core import FetchItems
from imapvm.model.names import RESERVED_NAMES, SHARED_NAMESPACES, parents


class NotifyEvent(IntFlag):
    """Events (RFC 5465 section 5)."""

    MESSAGE_NEW = 1
    MESSAGE_EXPUNGE = 2
    FLAG_CHANGE = 4
    MAILBOX_NAME = 8
    SUBSCRIPTION_CHANGE = 16
    MAILBOX_METADATA_CHANGE = 32
    SERVER_METADATA_CHANGE = 64


NO_EVENTS: Final = NotifyEvent(0)
MESSAGE_EVENTS: Final = (
    NotifyEvent.MESSAGE_NEW | NotifyEvent.MESSAGE_EXPUNGE | NotifyEvent.FLAG_CHANGE
)
METADATA_EVENTS: Final = NotifyEvent.MAILBOX_METADATA_CHANGE | NotifyEvent.SERVER_METADATA_CHANGE
EVENT_NAMES: Final = {
    NotifyEvent.MESSAGE_NEW: "MessageNew",
    NotifyEvent.MESSAGE_EXPUNGE: "MessageExpunge",
    NotifyEvent.FLAG_CHANGE: "FlagChange",
    NotifyEvent.MAILBOX_NAME: "MailboxName",
    NotifyEvent.SUBSCRIPTION_CHANGE: "SubscriptionChange",
    NotifyEvent.MAILBOX_METADATA_CHANGE: "MailboxMetadataChange",
    NotifyEvent.SERVER_METADATA_CHANGE: "ServerMetadataChange",
}
"""Supported events, as BADEVENT lists them. AnnotationChange needs RFC 5257: not offered."""
EVENTS: Final = {name.upper(): event for event, name in EVENT_NAMES.items()}


class SelectedEvents(NamedTuple):
    """Updates of the selected mailbox that the client gets."""

    new: bool = True
    expunges: bool = True
    flags: bool = True
    items: FetchItems | None = None
    """Of FETCH responses for new messages of others; None: no such responses."""


ALL_EVENTS: Final = SelectedEvents()
"""Before NOTIFY."""
NO_SELECTED_EVENTS: Final = SelectedEvents(new=False, expunges=False, flags=False)


@final
@dataclass(frozen=True, slots=True)
class EventGroup:
    """Mailboxes other than the selected one, and events (RFC 5465 section 6)."""

    filter: str
    """PERSONAL, INBOXES, SUBSCRIBED, SUBTREE or MAILBOXES."""
    names: str
    """Canonical names of SUBTREE and MAILBOXES, each after NUL, and NUL: one object, since a client
    may name a hundred mailboxes."""
    events: NotifyEvent

    def matches(self, name: str, *, own: bool, is_subscribed: Callable[[str], bool]) -> bool:
        """Return True if a mailbox is one of these.

        Args:
            name: of the mailbox.
            own: False for a mailbox of another user.
            is_subscribed: returns True if the user has subscribed a name.
        """
        match self.filter:
            case "SUBSCRIBED":
                return is_subscribed(name)
            case "MAILBOXES":
                return self._has(name)
            case "SUBTREE":
                return self._has(name) or any(map(self._has, parents(name)))
            case _:
                # INBOXES too: an address with a detail delivers to any mailbox, and a server
                # that does not know them treats INBOXES as PERSONAL (section 6.3).
                return own

    def _has(self, name: str) -> bool:
        return f"\0{name}\0" in self.names

    @property
    def may_match_shared(self) -> bool:
        """True if mailboxes of other users may be among these."""
        if self.filter in {"PERSONAL", "INBOXES"}:
            return False
        return self.filter == "SUBSCRIBED" or any(
            name.startswith(SHARED_NAMESPACES) or name in RESERVED_NAMES
            for name in self.names.split("\0")
        )


@final
@dataclass(frozen=True, slots=True)
class Interest:
    """Events that a client has chosen."""

    selected: SelectedEvents = NO_SELECTED_EVENTS
    delayed: bool = False
    """SELECTED-DELAYED: expunges wait for a command that allows them."""
    groups: tuple[EventGroup, ...] = ()

    def events(
        self, name: str, *, own: bool = True, is_subscribed: Callable[[str], bool]
    ) -> NotifyEvent:
        """Return the events of a mailbox that is not selected; see `EventGroup.matches`."""
        found = NO_EVENTS
        for group in self.groups:
            if group.events & ~found and group.matches(name, own=own, is_subscribed=is_subscribed):
                found |= group.events
        return found

    @property
    def all_events(self) -> NotifyEvent:
        """Events of any mailbox that is not selected, and of the server."""
        found = NO_EVENTS
        for group in self.groups:
            found |= group.events
        return found

    @property
    def may_match_shared(self) -> bool:
        """True if mailboxes of other users may be watched."""
        return any(group.events and group.may_match_shared for group in self.groups)


NOTHING: Final = Interest()
"""After NOTIFY NONE."""
