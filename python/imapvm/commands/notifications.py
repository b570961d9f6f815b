r"""Notifications about mailboxes that are not selected: LIST and STATUS for NOTIFY (RFC 5465).

All is read from the store when it is written, so a name or a mailbox that has changed many times
is written once, as it is now. Mailboxes of other users are compared with those that the client was
last notified of: a user learns nothing of a mailbox without the right `l`, not even whether it was
deleted, renamed or hidden.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, TypeAlias, final

from imapvm._core import ResponseWriter, mailbox_name
from imapvm.commands.annotations import write_changed_annotations
from imapvm.commands.list_lines import attributes_of, list_line
from imapvm.filepool.access.access import Access
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import AccountStore, Mailbox, NameChange, NameChangeKind
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.limits import NOTIFY_SHARED_MAX
from imapvm.model.names import SHARED_NAMESPACES, parents
from imapvm.model.rights import Rights
from imapvm.session.interest import (
    MESSAGE_EVENTS,
    NOTHING,
    Interest,
    NotifyEvent,
)
from imapvm.session.session import Session
from imapvm.session.watch import NO_MODSEQ, AnnotationWatch, KnownMailbox, MailboxKey, Watch

AccountWatch: TypeAlias = Watch[AccountStore, Access]

STATUSES_AT_ONCE: Final = 64
"""STATUS responses that are written between two sends, in about a millisecond."""
NAMES_AT_ONCE: Final = 32
"""Changed names that are written between two sends, in about a millisecond."""
NO_ACCESS: Final = r"\NoAccess"


def write_notifications(
    session: Session[AccountStore], out: ResponseWriter, store: AccountStore, watch: AccountWatch
) -> bool:
    """Write LIST and STATUS that are due.

    Returns:
        True if more is due than one call writes: flush, and call again.
    """
    if watch.overflowed:
        session.set_interest(NOTHING, None)
        text = "too many changes; NOTIFY is off"
        out.condition("OK", text, "NOTIFICATIONOVERFLOW")
        return False
    writer = NotificationWriter(session, out, store, session.interest or NOTHING)
    if watch.names_due:
        writer.write_names(watch)
    if watch.annotations_due:
        _write_annotations(session, out, watch)
    if watch.stale and watch.refreshing is None:
        watch.stale = False
        watch.refreshing = writer.compare(watch)
    if watch.refreshing is not None and not next(watch.refreshing, False):
        watch.refreshing = None
    if watch.due:
        writer.write_statuses(watch)
    return watch.has_due


def _write_annotations(
    session: Session[AccountStore], out: ResponseWriter, watch: AccountWatch
) -> None:
    """Write METADATA for shared annotations of mailboxes of other users."""
    more = False
    for account, each in watch.annotated.items():
        store = watch.others.get(account)
        if store is not None:
            more |= write_changed_annotations(session, out, store, each)
    watch.annotations_due = more and not watch.overflowed


@final
class NotificationWriter:
    """Writer of the responses for one client."""

    __slots__ = ("_interest", "_out", "_own", "_session")

    def __init__(
        self,
        session: Session[AccountStore],
        out: ResponseWriter,
        store: AccountStore,
        interest: Interest,
    ) -> None:
        self._session = session
        self._out = out
        self._own = store
        self._interest = interest

    # --- names --------------------------------------------------------------------------------

    def write_names(self, watch: AccountWatch) -> None:
        """Write LIST for changed names of the user's own account (sections 5.4 and 5.5)."""
        origin = self._session.origin
        with self._own.reading() as reader:
            (trimmed, last), changes = reader.name_changes(watch.names_seen, NAMES_AT_ONCE)
            if watch.names_seen < trimmed:
                watch.overflow()
                return
            written: set[str] = set()
            for change in changes:
                if change.origin != origin:
                    self._write_name(reader, watch, change, written)
            watch.names_seen = changes[-1].number if changes else last
            watch.names_due = watch.names_seen < last

    def _write_name(
        self, reader: Reader, watch: AccountWatch, change: NameChange, written: set[str]
    ) -> None:
        name = change.name
        if change.kind is NameChangeKind.SUBSCRIPTION:
            # Also the name that SUBSCRIBED does not contain any more (section 6.4).
            events = self._events(name, lambda _: True)
            if NotifyEvent.SUBSCRIPTION_CHANGE in events and name not in written:
                written.add(name)
                self._write_subscription(reader, watch, name)
            return
        events = self._events(name, reader.is_subscribed)
        if change.kind is NameChangeKind.RENAMED:
            events |= self._events(change.old, reader.is_subscribed) & NotifyEvent.MAILBOX_NAME
            if NotifyEvent.MAILBOX_NAME in events:
                self._write_list(reader, name, reader.mailbox(name), old=change.old)
        else:
            # A name and its parent are affected (section 5.4).
            for affected in (name, *parents(name)[-1:]):
                if affected not in written and NotifyEvent.MAILBOX_NAME in self._events(
                    affected, reader.is_subscribed
                ):
                    written.add(affected)
                    self._write_list(reader, affected, reader.mailbox(affected))
        if change.kind is not NameChangeKind.DELETED and NotifyEvent.FLAG_CHANGE in events:
            # The UIDVALIDITY of this name is another one now (section 5.1).
            watch.note(self._own.account.id, change.mailbox, NO_MODSEQ, NotifyEvent.FLAG_CHANGE)

    def _write_subscription(self, reader: Reader, watch: AccountWatch, name: str) -> None:
        """Write LIST of a name whose mailbox may be of another user."""
        if not name.startswith(SHARED_NAMESPACES) or reader.mailbox_id(name) is not None:
            self._write_list(reader, name, reader.mailbox(name))
            return
        store, local = watch.access.locate(name)
        with store.reading() as shared:
            self._write_list(shared, name, shared.find(local, Rights.LOOKUP))

    def _events(self, name: str, is_subscribed: Callable[[str], bool]) -> NotifyEvent:
        own = not name.startswith(SHARED_NAMESPACES)
        return self._interest.events(name, own=own, is_subscribed=is_subscribed)

    def _write_list(
        self,
        reader: Reader,
        name: str,
        mailbox: Mailbox | None,
        *extra: str,
        old: str | None = None,
    ) -> None:
        attributes = attributes_of(
            mailbox,
            rev1=False,
            subscribed=reader.is_subscribed(name),
            has_children=reader.has_children(name),
        )
        old_name = None if old is None else self._encoded(old)
        line = list_line(b"LIST", (*attributes, *extra), self._encoded(name), old=old_name)
        self._out.untagged(line)

    def _encoded(self, name: str) -> bytes:
        return mailbox_name(name, utf8=self._session.utf8)

    # --- STATUS -------------------------------------------------------------------------------

    def write_statuses(self, watch: AccountWatch) -> None:
        """Write STATUS of changed mailboxes (sections 5.1 to 5.3)."""
        by_account: dict[AccountId, list[MailboxId]] = {}
        for account, mailbox in list(islice(watch.due, STATUSES_AT_ONCE)):
            by_account.setdefault(account, []).append(mailbox)
        for account, mailboxes in by_account.items():
            store = self._own if account == self._own.account.id else watch.others.get(account)
            if store is None:  # a mailbox of a user whose mailboxes are not watched any more
                for mailbox in mailboxes:
                    del watch.due[account, mailbox]
                continue
            with store.reading() as reader:
                for mailbox in mailboxes:
                    due = watch.due.pop((account, mailbox))
                    row = self.watched_mailbox(store, reader, mailbox)
                    if row is not None:
                        self.write_status(store, reader, row, among=due.events)

    def watched_mailbox(
        self, store: AccountStore, reader: Reader, mailbox: MailboxId
    ) -> Mailbox | None:
        """Return a mailbox whose STATUS may be written: the user has `l` and `r` (section 5).

        Returns:
            None also for the selected mailbox.
        """
        session = self._session
        selected = session.shared or self._own
        if (
            session.view is not None
            and session.view.mailbox == mailbox
            and selected.account.id == store.account.id
        ):
            return None
        row = reader.mailbox_by_id(mailbox)
        return row if row is not None and Rights.LOOKUP in reader.rights(mailbox) else None

    def write_status(
        self,
        store: AccountStore,
        reader: Reader,
        mailbox: Mailbox,
        *,
        among: NotifyEvent = MESSAGE_EVENTS,
        modseq: bool = False,
    ) -> None:
        """Write STATUS for the events of a mailbox, if it is watched.

        Args:
            store: of the mailbox.
            reader: of the store.
            mailbox: the mailbox.
            among: events that have occurred.
            modseq: True to write HIGHESTMODSEQ for FlagChange also without CONDSTORE.
        """
        events = among & self._interest.events(
            mailbox.name, own=store.is_own, is_subscribed=reader.is_subscribed
        )
        if not events & MESSAGE_EVENTS:
            return
        items = [f"UIDVALIDITY {mailbox.uid_validity}"]
        if events & (NotifyEvent.MESSAGE_NEW | NotifyEvent.MESSAGE_EXPUNGE):
            items += [f"UIDNEXT {mailbox.uid_next}", f"MESSAGES {mailbox.messages}"]
        if NotifyEvent.FLAG_CHANGE in events:
            items.append(f"UNSEEN {reader.unseen(mailbox)}")
        if self._session.condstore or (modseq and NotifyEvent.FLAG_CHANGE in events):
            items.append(f"HIGHESTMODSEQ {mailbox.highest_modseq}")
        name = self._encoded(mailbox.name)
        self._out.untagged(b"STATUS %b (%b)" % (name, " ".join(items).encode()))

    # --- mailboxes of other users -------------------------------------------------------------

    def compare(self, watch: AccountWatch, *, initial: bool = False) -> Iterator[bool]:
        r"""Compare the mailboxes of other users with those that the client knows; write LIST.

        Each step reads one batch, in some milliseconds, and yields True; at the end, False.

        Args:
            watch: has the mailboxes that the client knows.
            initial: True to write only those that the user can see and not read, as \NoAccess
                (section 3.1).
        """
        found: dict[MailboxKey, KnownMailbox] = {}
        stores: dict[AccountId, AccountStore] = {}
        for batch in watch.access.visible():
            for store, mailbox, readable in batch:
                if not self._interest.events(
                    mailbox.name, own=False, is_subscribed=store.is_subscribed
                ):
                    continue
                if len(found) == NOTIFY_SHARED_MAX:
                    watch.overflow()
                    return
                stores[store.account.id] = store
                found[store.account.id, mailbox.id] = KnownMailbox(mailbox.name, readable)
            yield True
        before, watch.known = watch.known, found
        # A lost mailbox is read once more, so its store stays until the next comparison.
        lost = {key: watch.others[key[0]] for key in before.keys() - found.keys()}
        watch.others = stores
        own_names, watch.own_names = watch.own_names, set()
        if NotifyEvent.MAILBOX_METADATA_CHANGE in watch.events:
            watch.annotated = {
                account: watch.annotated.get(account) or _annotation_watch(store)
                for account, store in stores.items()
            }
        if initial:
            for key, known in found.items():
                if not known.readable:
                    self._write_known(stores[key[0]], known)
            return
        moved = {
            before[key].name: now.name
            for key, now in found.items()
            if key in before and before[key].name != now.name
        }
        for key, old_store in lost.items():
            if before[key].name not in own_names:
                self._write_lost(old_store, before[key].name)
        for key, now in found.items():
            was = before.get(key)
            if was == now or now.name in own_names:
                continue
            if was is not None and was.name != now.name:
                if not _moved_with_parent(was.name, now.name, moved):
                    self._write_known(stores[key[0]], now, old=was.name)
            else:
                self._write_known(stores[key[0]], now)

    def _write_known(
        self, store: AccountStore, known: KnownMailbox, old: str | None = None
    ) -> None:
        with store.reading() as reader:
            row = reader.find(known.name.removeprefix(store.prefix), Rights.LOOKUP)
            if row is not None:
                extra = () if known.readable else (NO_ACCESS,)
                self._write_list(reader, row.name, row, *extra, old=old)

    def _write_lost(self, store: AccountStore, name: str) -> None:
        r"""Write LIST of a mailbox that was deleted, or that the user cannot see any more.

        The two look alike: \NonExistent is required by section 5.4, \NoAccess by section 5.9.
        """
        with store.reading() as reader:
            self._write_list(reader, name, None, NO_ACCESS)


def _annotation_watch(store: AccountStore) -> AnnotationWatch:
    with store.reading() as reader:
        return AnnotationWatch(reader.annotation_usage().number)


def _moved_with_parent(old: str, new: str, moved: dict[str, str]) -> bool:
    """Return True if a mailbox has a new name because one above it has (section 5.4)."""
    return any(above in moved and new == moved[above] + old[len(above) :] for above in parents(old))


def watched_stores(session: Session[AccountStore], watch: AccountWatch) -> Iterable[AccountStore]:
    """Yield the stores whose changes concern a session: own, selected, of other users."""
    if session.store is not None:
        yield session.store
    if session.shared is not None:
        yield session.shared
    yield from watch.others.values()
