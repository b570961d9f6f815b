"""Sessions that are notified of other mailboxes than the selected one (RFC 5465).

A process reads the change journal once for all of them. A row has a mailbox; its account is found
among the mailboxes of watched accounts, 26 bytes for each, and the sessions that watch the account
note the change (`imapvm.session.watch`). So a commit to a mailbox that is not watched costs one
look-up, and a process without such sessions does not read the journal here.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol, final

from imapvm.commands.idlers import Idler
from imapvm.filepool.group import Group
from imapvm.filepool.store import AccountStore, Change
from imapvm.model.ids import AccountId, MailboxId
from imapvm.session.interest import NotifyEvent
from imapvm.session.session import Session

ROWS_AT_ONCE: Final = 500
"""Rows of the change journal that are read at a time, in about a millisecond."""
EVENTS: Final[dict[int, NotifyEvent]] = {
    Change.APPENDED: NotifyEvent.MESSAGE_NEW,
    Change.EXPUNGED: NotifyEvent.MESSAGE_EXPUNGE,
    Change.FLAGGED: NotifyEvent.FLAG_CHANGE,
}
BUCKET_BITS: Final = 10
"""Mailboxes with the same bits above these are found together; ids are allocated in order."""


class Watcher(Idler, Protocol):
    """Connection with NOTIFY."""

    session: Session[AccountStore]


@final
class MailboxOwners:
    """Accounts of mailboxes, by id: sorted arrays, since a dictionary takes 100 bytes for each."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[array[int], array[int]]] = {}

    def add(self, mailbox: int, account: int) -> None:
        key = mailbox >> BUCKET_BITS
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = (array("Q"), array("Q"))
        mailboxes, accounts = bucket
        at = bisect_left(mailboxes, mailbox)
        if at == len(mailboxes) or mailboxes[at] != mailbox:
            mailboxes.insert(at, mailbox)
            accounts.insert(at, account)

    def remove(self, mailbox: int) -> None:
        """Remove a mailbox, if it is here."""
        key = mailbox >> BUCKET_BITS
        bucket = self._buckets.get(key)
        if bucket is None:
            return
        mailboxes, accounts = bucket
        at = bisect_left(mailboxes, mailbox)
        if at < len(mailboxes) and mailboxes[at] == mailbox:
            del mailboxes[at], accounts[at]
            if not mailboxes:
                del self._buckets[key]

    def get(self, mailbox: int) -> AccountId | None:
        bucket = self._buckets.get(mailbox >> BUCKET_BITS)
        if bucket is None:
            return None
        mailboxes, accounts = bucket
        at = bisect_left(mailboxes, mailbox)
        if at == len(mailboxes) or mailboxes[at] != mailbox:
            return None
        return AccountId(accounts[at])

    def __len__(self) -> int:
        return sum(len(mailboxes) for mailboxes, _ in self._buckets.values())


@final
class _WatchedAccount:
    """Account with sessions that watch its mailboxes."""

    __slots__ = ("mailboxes", "names_seen", "store", "watchers")

    def __init__(self, store: AccountStore) -> None:
        self.store = store
        self.mailboxes: array[int] = array("Q")
        """In the map of its storage group."""
        self.names_seen = -1
        """Number of the last change of a name when the mailboxes were read."""
        self.watchers: set[Watcher] = set()


@final
class Watchers:
    """Sessions with NOTIFY of a process, by watched account."""

    def __init__(self) -> None:
        self._accounts: dict[AccountId, _WatchedAccount] = {}
        self._of: dict[Watcher, tuple[AccountId, ...]] = {}
        self._owners: dict[int, MailboxOwners] = {}
        """By storage group."""
        self._read_to: dict[int, int] = {}
        """Sequence number up to which the journal of a storage group has been read."""
        self._checked: dict[int, int] = {}
        """Transaction in which it was read to its end."""
        self.on_enter: Callable[[], None] = lambda: None
        """Called before a session is added: reads the journal to its end."""

    def __len__(self) -> int:
        return len(self._of)

    def enter(self, watcher: Watcher, stores: Iterable[AccountStore]) -> None:
        """Watch the accounts of these stores, and no others."""
        wanted = {store.account.id: store for store in stores}
        accounts = tuple(wanted)
        before = self._of.get(watcher)
        if before == accounts:
            return
        if before is None:
            self.on_enter()
        for account in accounts:
            if before is None or account not in before:
                self._add(watcher, wanted[account])
        self._of[watcher] = accounts
        for account in before or ():
            if account not in wanted:
                self._remove(watcher, account)

    def leave(self, watcher: Watcher) -> None:
        """Remove a session, if it is here."""
        for account in self._of.pop(watcher, ()):
            self._remove(watcher, account)
        if not self._of:
            self._read_to.clear()
            self._checked.clear()

    def note_rights(self, watcher: Watcher) -> bool:
        """Record that the groups of users have changed; return True if the session is concerned."""
        watch = watcher.session.watch
        interest = watcher.session.interest
        if watch is None or interest is None or not interest.may_match_shared:
            return False
        watch.stale = True
        return True

    def _add(self, watcher: Watcher, store: AccountStore) -> None:
        account = store.account.id
        watched = self._accounts.get(account)
        if watched is None:
            watched = self._accounts[account] = _WatchedAccount(store)
            self._read_mailboxes(watched)
        watched.watchers.add(watcher)

    def _remove(self, watcher: Watcher, account: AccountId) -> None:
        watched = self._accounts[account]
        watched.watchers.discard(watcher)
        if not watched.watchers:
            del self._accounts[account]
            owners = self._owners[watched.store.account.group]
            for mailbox in watched.mailboxes:
                owners.remove(mailbox)

    def _read_mailboxes(self, watched: _WatchedAccount) -> bool:
        """Read the ids of an account's mailboxes if a name has changed; return True then."""
        owners = self._owners.setdefault(watched.store.account.group, MailboxOwners())
        with watched.store.reading() as reader:
            last = reader.name_changes(0, 0)[0].last
            if last == watched.names_seen:
                return False
            watched.names_seen = last
            now = reader.mailbox_ids()
        present = frozenset(now)
        for mailbox in watched.mailboxes:
            if mailbox not in present:
                owners.remove(mailbox)
        for mailbox in now:
            owners.add(mailbox, watched.store.account.id)
        watched.mailboxes = array("Q", now)
        return True

    # --- the journal --------------------------------------------------------------------------

    def read_journal(self, groups: Sequence[Group]) -> tuple[set[Watcher], bool]:
        """Read the next rows of the journals, and note the changes.

        Returns:
            The sessions that are concerned, and True if there are more rows.
        """
        woken: set[Watcher] = set()
        more = False
        for group in groups:
            number = group.number
            now = group.data.latest_txn_id()
            if self._checked.get(number) == now:
                continue
            if number not in self._read_to:
                self._read_to[number] = group.journal_end()
                self._checked[number] = now
                continue
            rows = group.journal_after(self._read_to[number], ROWS_AT_ONCE)
            if rows is None:
                self._read_to[number] = group.journal_end()
                for watcher in self._of:
                    self._overflow(watcher)
                woken.update(self._of)
                continue
            if rows:
                self._read_to[number] = rows[-1].sequence
            if len(rows) == ROWS_AT_ONCE:
                more = True
            else:
                self._checked[number] = now
            owners = self._owners.get(number)
            for _, subject, modseq, kind in rows:
                if kind == Change.ACCOUNT:
                    self._note_account(AccountId(subject), woken)
                elif owners is not None:
                    account = owners.get(subject)
                    if account is not None:
                        self._note_mailbox(account, MailboxId(subject), modseq, kind, woken)
        return woken, more

    def _overflow(self, watcher: Watcher) -> None:
        if watcher.session.watch is not None:
            watcher.session.watch.overflow()

    def _note_mailbox(
        self, account: AccountId, mailbox: MailboxId, modseq: int, kind: int, woken: set[Watcher]
    ) -> None:
        watchers = self._accounts[account].watchers
        woken |= watchers
        event = EVENTS.get(kind)
        for watcher in watchers:
            watch = watcher.session.watch
            if watch is None:
                continue
            if event is not None:
                watch.note(account, mailbox, modseq, event)
            elif account in watch.others:
                watch.stale = True

    def _note_account(self, account: AccountId, woken: set[Watcher]) -> None:
        """Note changes of an account's names and annotations, or of the rights of a user."""
        if account == 0:
            woken.update(watcher for watcher in self._of if self.note_rights(watcher))
            return
        watched = self._accounts.get(account)
        if watched is None:
            return
        names_changed = self._read_mailboxes(watched)
        for watcher in watched.watchers:
            session: Session[Any] = watcher.session
            if session.watch is None or session.store is None:
                continue
            woken.add(watcher)
            if session.store.account.id == account:
                session.watch.names_due = True
                self.note_rights(watcher)
            else:
                session.watch.annotations_due = True
                session.watch.stale |= names_changed
