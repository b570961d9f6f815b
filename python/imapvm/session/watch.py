"""Watch: state of a client that is notified of other mailboxes than the selected one (RFC 5465).

A state, not a queue: mailboxes whose STATUS is due, and the number up to which each log is written.
A client that does not read costs NOTIFY_DUE_MAX mailboxes at most.
"""

from collections.abc import Iterator
from typing import Final, Generic, NamedTuple, TypeVar, final

from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.limits import NOTIFY_DUE_MAX
from imapvm.session.interest import NotifyEvent

StoreT = TypeVar("StoreT")
AccessT = TypeVar("AccessT")

MailboxKey = tuple[AccountId, MailboxId]
"""Ids of mailboxes are unique in a storage group only."""
NO_MODSEQ: Final = 0


class AnnotationWatch:
    """State of a client that is notified of annotations (RFC 5464 section 4.4)."""

    __slots__ = ("seen", "synced")

    def __init__(self, seen: int) -> None:
        self.seen = seen
        """Number of the last change of annotations of the account that is written."""
        self.synced: int | None = None
        """Latest transaction of which all changes are written; None if some may be due."""


@final
class DueStatus:
    """STATUS of a mailbox that is due."""

    __slots__ = ("events", "first", "last")

    def __init__(self, modseq: int) -> None:
        self.events = NotifyEvent(0)
        self.first = self.last = modseq
        """MODSEQ of the first change and of the last."""


class KnownMailbox(NamedTuple):
    """Mailbox of another user, as the client was last notified of it."""

    name: str
    readable: bool
    """False: the user has not the right to read it."""


@final
class Watch(Generic[StoreT, AccessT]):
    """State of one client.

    `StoreT` and `AccessT` are handles on the filepool; they are not used here.
    """

    __slots__ = (
        "access",
        "annotated",
        "annotations_due",
        "due",
        "events",
        "known",
        "names_due",
        "names_seen",
        "others",
        "overflowed",
        "own_names",
        "refreshing",
        "stale",
    )

    def __init__(self, events: NotifyEvent, access: AccessT) -> None:
        """Start to watch.

        Args:
            events: of all mailboxes.
            access: to mailboxes of other users.
        """
        self.events = events
        self.access = access
        self.due: dict[MailboxKey, DueStatus] = {}
        self.names_seen = 0
        """Number of the last change of a name that is written."""
        self.names_due = False
        """True if the logs of the user's own account may have more changes."""
        self.overflowed = False
        """True if changes were missed: NOTIFICATIONOVERFLOW is due."""
        self.others: dict[AccountId, StoreT] = {}
        """Stores of the other users whose mailboxes are watched."""
        self.known: dict[MailboxKey, KnownMailbox] = {}
        """Watched mailboxes of other users."""
        self.annotated: dict[AccountId, AnnotationWatch] = {}
        """Shared annotations of the mailboxes of other users."""
        self.annotations_due = False
        """True if the logs of other users may have more changes."""
        self.own_names: set[str] = set()
        """Names of mailboxes of other users that this session itself has changed."""
        self.stale = False
        """True if `known` has to be compared with the mailboxes that the user can see now."""
        self.refreshing: Iterator[bool] | None = None
        """Comparison in progress."""

    @property
    def has_due(self) -> bool:
        """True if something may be due."""
        return bool(
            self.due
            or self.names_due
            or self.annotations_due
            or self.overflowed
            or self.stale
            or self.refreshing is not None
        )

    def note(self, account: AccountId, mailbox: MailboxId, modseq: int, event: NotifyEvent) -> None:
        """Record a change of a mailbox."""
        if not event & self.events:
            return
        key = (account, mailbox)
        due = self.due.get(key)
        if due is None:
            if len(self.due) >= NOTIFY_DUE_MAX:
                self.overflow()
                return
            due = self.due[key] = DueStatus(modseq)
        due.events |= event
        due.last = modseq

    def note_own_change(self, account: AccountId, mailbox: MailboxId, modseq: int) -> None:
        """Record that this session itself made a change, so that no STATUS is due for it.

        Call it after the commit, before the updates of the command. If another session changed the
        mailbox too, the STATUS stays due.
        """
        key = (account, mailbox)
        due = self.due.get(key)
        if due is not None and due.first == due.last == modseq:
            del self.due[key]

    def overflow(self) -> None:
        """Drop all that is due; the client is sent NOTIFICATIONOVERFLOW."""
        self.due.clear()
        self.overflowed = True
        self.stale = self.names_due = self.annotations_due = False
        self.refreshing = None
