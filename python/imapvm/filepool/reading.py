"""Reading a storage group in one short transaction, closed before anything is awaited.

Single rows are read through LMDB. Segments, metadata and text of messages, thousands at a time, are
read from the pages directly (docs/decisions/0002-direct-page-reads.md).
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import Final, NamedTuple, Self

import lmdb

from imapvm._core import (
    CorruptError,
    FetchItems,
    FetchStream,
    HeaderColumns,
    KeyColumns,
    MessageUrl,
    ResponseWriter,
    SectionStream,
    Snapshot,
    UidMap,
    UidSet,
)
from imapvm.filepool.annotation_reader import AnnotationReader
from imapvm.filepool.engine.environment import lmdb_error
from imapvm.filepool.engine.transactions import Table
from imapvm.filepool.errors import (
    BodyGoneError,
    CorruptDataError,
    NoSuchAccountError,
    StoreUnavailableError,
)
from imapvm.filepool.group import Group
from imapvm.filepool.operations.quota import require_room
from imapvm.filepool.tables import name_changes as name_log
from imapvm.filepool.tables.acl import entries_of, has_shared_seen
from imapvm.filepool.tables.mailboxes import Mailbox, mailbox_of
from imapvm.filepool.tables.name_changes import NameChange, NameChanges
from imapvm.filepool.tables.quotas import Quota, read_quota
from imapvm.filepool.tables.schema import (
    COUNTER,
    GRANT_KEY,
    GRANTEE_KEY,
    ID_KEY,
    KEYWORDS_KEY,
    NAME_ROW,
    PAIR_KEY,
    MailboxRow,
    UsageRow,
    forgotten_key,
    name_key,
)
from imapvm.model.changes import MailboxChanges
from imapvm.model.flags import SystemFlag
from imapvm.model.ids import AccountId, BodyId, MailboxId, ModSeq, Uid
from imapvm.model.limits import CHANGE_ROWS_MAX, SPELLINGS_MAX
from imapvm.model.names import DELIMITER, canonical_name
from imapvm.model.quota import MESSAGE, STORAGE
from imapvm.model.rights import ALL_RIGHTS, AclEntry, Grantee, Rights
from imapvm.model.values import frozen

MAILBOX_CACHE_MAX: Final = 8192
"""Mailbox rows that are cached decoded, about 4 MiB; the cache is cleared when it is full."""

ATTEMPTS_MAX: Final = 1000
"""Attempts to begin a transaction without two commits before its meta page is read."""

UID_MAPS_MAX: Final = 512
"""UID maps that are cached, least recently used dropped first; 8 bytes for a gap in the UIDs."""

BODY_GONE: Final = "the text of the message has been removed"


@frozen
class Usage:
    """Numbers and bytes that an account uses."""

    messages: int
    size: int
    mailboxes: int


class Name(NamedTuple):
    """Name in an account's hierarchy."""

    name: str
    mailbox: int
    """Id of its mailbox; 0 if it has none."""
    subscribed: bool


class Reader(AnnotationReader):
    """Read transaction on the data of one account. A context manager.

    Entering raises `StoreUnavailableError` if too many transactions are open in all processes.
    Entering and every method raise `CorruptDataError` if stored data cannot be read.
    """

    __slots__ = ("_group", "snapshot", "txn_id")
    id_bits: int = 0
    """In ids of messages and threads, beside those that are stored."""
    snapshot: Snapshot
    txn_id: int
    """Id of the latest commit that is visible; see `AccountStore.latest_txn_id`."""

    def __init__(self, group: Group, account: AccountId) -> None:
        self._group = group
        self._account = account
        self._tables = group.tables

    def __enter__(self) -> Self:
        group = self._group
        for _ in range(ATTEMPTS_MAX):
            try:
                txn = group.env.begin()
            except lmdb.Error as error:
                raise lmdb_error("read the filepool", error) from None
            try:
                self.txn_id = txn.id()
                snapshot = group.data.snapshot(self.txn_id)
            except CorruptError as error:
                txn.abort()
                group.check_size()  # raises with the sizes if the file is truncated
                raise CorruptDataError(f"cannot read the filepool: {error}") from None
            if snapshot is not None:
                self._txn = txn
                self.snapshot = snapshot
                return self
            txn.abort()
        raise StoreUnavailableError("cannot read the filepool: too many commits")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._txn.abort()
        if isinstance(error, lmdb.Error):
            # LMDB checks nothing that it reads: a page of zeros is, for example, a "bad handle".
            self._group.check_size()
            raise CorruptDataError("cannot read the filepool: stored data is corrupt") from error

    @property
    def columns(self) -> HeaderColumns:
        """Header columns for SEARCH, of the storage group."""
        return self._group.columns

    @property
    def key_columns(self) -> KeyColumns:
        """Key columns for SORT and THREAD, of the storage group."""
        return self._group.key_columns

    # --- mailboxes ----------------------------------------------------------------------------

    def mailbox_by_id(self, mailbox: MailboxId) -> Mailbox | None:
        """Return a mailbox of this account, or None if it does not exist."""
        key = PAIR_KEY.pack(self._account, mailbox)
        stored = self._txn.get(key, None, self._tables.mailboxes)
        return None if stored is None else self._decoded(key, stored)

    def mailbox_id(self, name: str) -> MailboxId | None:
        """Return the id of the mailbox with a name, or None; INBOX is found in any case."""
        return self._id_of(canonical_name(name))

    def _id_of(self, canonical: str) -> MailboxId | None:
        key = name_key(self._account, canonical)
        # No mailbox has a name whose key exceeds the 511 bytes that LMDB allows.
        stored = self._txn.get(key, None, self._tables.names) if len(key) < 512 else None
        if stored is None:
            return None
        mailbox, _ = NAME_ROW.unpack(stored)
        return MailboxId(mailbox) if mailbox else None

    def has_name(self, name: str) -> bool:
        """Return True if a mailbox or a subscription has a canonical name."""
        key = name_key(self._account, name)
        return len(key) < 512 and self._txn.get(key, None, self._tables.names) is not None

    def is_in_use(self, name: str) -> bool:
        """Return True if a mailbox or a subscription has a canonical name or one below it."""
        return self.has_name(name) or self.has_children(name)

    def mailbox(self, name: str) -> Mailbox | None:
        """Return the mailbox with a name, or None."""
        mailbox = self.mailbox_id(name)
        return None if mailbox is None else self.mailbox_by_id(mailbox)

    def find(self, name: str, needed: Rights) -> Mailbox | None:
        """Return the mailbox with a name, or None.

        Args:
            name: the canonical name.
            needed: rights that the user needs; the owner has all.
        """
        mailbox = self._id_of(name)
        return None if mailbox is None else self.mailbox_by_id(mailbox)

    def target_id(self, name: str) -> MailboxId | None:
        """Return the id of a mailbox to append to, by its canonical name, or None."""
        return self._id_of(name)

    def require(self, mailbox: MailboxId, needed: Rights) -> None:
        """Check that the user has some rights; the owner has all.

        Raises:
            PermissionDeniedError: one is missing.
        """

    def rights(self, mailbox: int) -> Rights:
        """Return the rights of the user on a mailbox: all, for the owner."""
        return ALL_RIGHTS

    def acl(self, mailbox: MailboxId) -> list[AclEntry]:
        """Return the entries of a mailbox's ACL, by grantee."""
        return entries_of(self._rows(self._tables.acl, mailbox))

    def shares_seen(self, mailbox: MailboxId) -> bool:
        r"""Return True if all readers of a mailbox have the same \Seen."""
        return has_shared_seen(lambda key: self._txn.get(key, None, self._tables.acl), mailbox)

    def grants(
        self, grantee: Grantee, after: bytes, limit: int
    ) -> tuple[list[tuple[AccountId, MailboxId]], bytes | None]:
        """Return mailboxes of the storage group on which a grantee has rights, and their accounts.

        Args:
            grantee: of the ACLs.
            after: b"", or what the call before returned.
            limit: number of mailboxes.

        Returns:
            The mailboxes, and the value for the next call; None at the end.
        """
        prefix = GRANTEE_KEY.pack(*grantee)
        found: list[tuple[AccountId, MailboxId]] = []
        with self._txn.cursor(self._tables.grants) as cursor:
            if cursor.set_range(after or prefix):
                for key in cursor.iternext(True, False):  # noqa: FBT003
                    if not key.startswith(prefix):
                        break
                    if len(found) == limit:
                        return found, key
                    _, _, account, mailbox = GRANT_KEY.unpack(key)
                    found.append((AccountId(account), MailboxId(mailbox)))
        return found, None

    def mailbox_in_any_case(self, name: str) -> Mailbox | None:
        """Return the mailbox whose name differs from this one in case only, or None.

        Of several, the first one in lower case. Of names that begin alike but for case, only
        SPELLINGS_MAX are followed, so that the cost is up to 2 * SPELLINGS_MAX seeks for each
        character, however many mailboxes the account has.
        """
        if len(name_key(self._account, name.upper())) >= 512:
            return None
        spellings = [""]
        with self._txn.cursor(self._tables.names) as cursor:
            for char in canonical_name(name):
                longer = (
                    spelling + variant
                    for spelling in spellings
                    for variant in dict.fromkeys((char.lower(), char.upper()))
                )
                prefixes = ((prefix, name_key(self._account, prefix)) for prefix in longer)
                spellings = list(
                    islice(
                        (
                            prefix
                            for prefix, key in prefixes
                            if cursor.set_range(key) and cursor.key().startswith(key)
                        ),
                        SPELLINGS_MAX,
                    )
                )
        found = (self.mailbox(spelling) for spelling in spellings)
        return next((mailbox for mailbox in found if mailbox is not None), None)

    def mailboxes(self) -> list[Mailbox]:
        """Return all mailboxes, by name."""
        return sorted(
            (self._decoded(key, stored) for key, stored in self._rows(self._tables.mailboxes)),
            key=lambda mailbox: mailbox.name,
        )

    def names(self, after: str, limit: int) -> list[Name]:
        """Return names with a mailbox or a subscription, ascending: the first ones after `after`.

        Costs about 1 µs for each.
        """
        found: list[Name] = []
        prefix = ID_KEY.pack(self._account)
        start = name_key(self._account, after)
        with self._txn.cursor(self._tables.names) as cursor:
            if cursor.set_range(start):
                for key, stored in cursor:
                    if not key.startswith(prefix) or len(found) == limit:
                        break
                    if key != start:
                        mailbox, subscribed = NAME_ROW.unpack(stored)
                        found.append(Name(key[8:].decode(), mailbox, bool(subscribed)))
        return found

    def has_children(self, name: str) -> bool:
        """Return True if there is a mailbox below a name."""
        prefix = name_key(self._account, name + DELIMITER)
        if len(prefix) >= 512:
            return False
        with self._txn.cursor(self._tables.names) as cursor:
            if cursor.set_range(prefix):
                for key, stored in cursor:
                    if not key.startswith(prefix):
                        break
                    if NAME_ROW.unpack(stored)[0]:
                        return True
        return False

    def is_subscribed(self, name: str) -> bool:
        """Return True if a name of a mailbox is subscribed."""
        stored = self._txn.get(name_key(self._account, name), None, self._tables.names)
        return stored is not None and bool(NAME_ROW.unpack(stored)[1])

    def subscriptions(self) -> set[str]:
        """Return the subscribed names, with or without a mailbox."""
        return {
            key[8:].decode()
            for key, stored in self._rows(self._tables.names)
            if NAME_ROW.unpack(stored)[1]
        }

    def usage(self) -> Usage:
        """Return what the account uses.

        Raises:
            NoSuchAccountError: the account does not exist.
        """
        key = ID_KEY.pack(self._account)
        stored = self._txn.get(key, None, self._tables.usage)
        if stored is None:
            raise NoSuchAccountError("account does not exist")
        row = UsageRow.from_bytes(key, stored)
        return Usage(row.messages, row.size, row.mailboxes)

    def quota(self) -> Quota:
        """Return usage and limits of the account; costs three rows, however much it has.

        Raises:
            NoSuchAccountError: the account does not exist.
        """
        return read_quota(self._txn, self._tables, self._account, self._group.quota)

    def require_room(self, size: int) -> None:
        """Check that one more message fits; the transaction that stores it checks again.

        Raises:
            OverQuotaError: the quota of the account would be exceeded.
        """
        quota = self.quota()
        require_room(quota.limits, STORAGE, quota.size, size)
        require_room(quota.limits, MESSAGE, quota.used[MESSAGE], 1)

    def _rows(self, table: Table, first: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of a table whose keys start with the account, or with another id."""
        prefix = ID_KEY.pack(self._account if first is None else first)
        with self._txn.cursor(table) as cursor:
            if cursor.set_range(prefix):
                for key, stored in cursor:
                    if not key.startswith(prefix):
                        return
                    yield key, stored

    def _decoded(self, key: bytes, stored: bytes) -> Mailbox:
        """Decode a row, or return its cached mailbox if the row has not changed."""
        cached = self._group.mailbox_cache.get(key)
        if cached is not None and cached[0] == stored:
            return cached[1]
        mailbox = mailbox_of(MailboxRow.from_bytes(key, stored))
        if len(self._group.mailbox_cache) >= MAILBOX_CACHE_MAX:
            self._group.mailbox_cache.clear()
        self._group.mailbox_cache[key] = (stored, mailbox)
        return mailbox

    def annotated(self, mailbox: MailboxId) -> Mailbox | None:
        """Return a mailbox whose annotations the user may read and set, or None.

        Raises:
            PermissionDeniedError: the user can see it, and has no right to its messages.
        """
        return self.mailbox_by_id(mailbox)

    def name_changes(self, since: int, limit: int) -> tuple[NameChanges, list[NameChange]]:
        """Return the extent of the log of names, and its first changes after a number."""
        with self._txn.cursor(self._tables.name_changes) as cursor:
            found = islice(name_log.changes_after(cursor, self._account, since), limit)
            changes = list(found)
            return name_log.extent(cursor, self._account), changes

    def mailbox_ids(self) -> list[MailboxId]:
        """Return the ids of all mailboxes of the account, ascending; 0.5 us for each."""
        return [PAIR_KEY.unpack(key)[1] for key, _ in self._rows(self._tables.mailboxes)]

    # --- \\Seen --------------------------------------------------------------------------------

    def private_seen(self, mailbox: Mailbox) -> UidSet | None:
        r"""Return the messages with \Seen if the user has an own \Seen; None for the owner."""
        return None

    def seen_of(self, mailbox: Mailbox) -> AccountId | None:
        r"""Return the account whose \Seen the user has; None if it is that of all accounts."""
        return self._account

    def unseen(self, mailbox: Mailbox) -> int:
        r"""Return the number of messages without \Seen."""
        return mailbox.unseen

    def first_unseen(self, mailbox: Mailbox) -> Uid | None:
        r"""Return the first message without \Seen."""
        if not mailbox.unseen:
            return None
        first = self.snapshot.first_with_flags(mailbox.id, SystemFlag.SEEN, 0)
        if first is None:
            raise AssertionError("the counter of unseen messages is wrong")
        return Uid(first)

    # --- the index ----------------------------------------------------------------------------

    def uid_map(self, mailbox: Mailbox) -> UidMap:
        """Return all UIDs of a mailbox. Sessions share the map while the UIDs do not change.

        UIDs are never reused, so two states of a mailbox with the same UIDNEXT differ only in
        expunged messages, and then in their count: equal UIDNEXT and count mean equal UIDs.
        """
        maps = self._group.uid_maps
        known = maps.pop(mailbox.id, None)
        if known is None or known[:2] != (mailbox.uid_next, mailbox.messages):
            numbers = self.snapshot.uid_map(mailbox.id)
            known = (mailbox.uid_next, mailbox.messages, numbers)
            if len(maps) >= UID_MAPS_MAX:
                del maps[next(iter(maps))]
        maps[mailbox.id] = known  # most recently used last
        return known[2]

    def segments(self, mailbox: Mailbox, uids: UidSet | None = None) -> list[bytes]:
        """Return the segments that contain any of some UIDs, ascending; without UIDs, all."""
        return self.snapshot.segments(mailbox.id, uids)

    def keywords(self, mailbox: Mailbox) -> list[str]:
        """Return the keywords that FLAGS lists, sorted without regard to case.

        All that were ever used in the mailbox, as they were first written; in a mailbox of an older
        version that has too many, the first `KEYWORDS_PER_MAILBOX_MAX`.
        """
        if not mailbox.keyword_sets:
            return []
        return self._group.keyword_names.get(mailbox.id, mailbox.keyword_sets, self.snapshot)

    def keyword_text(self, mailbox: Mailbox, sets: Iterable[int]) -> Mapping[int, bytes]:
        """Return keyword-set id → names separated by spaces, for some ids; not for 0."""
        table = self._tables.keywords
        text = {}
        for number in sets:
            stored = self._txn.get(KEYWORDS_KEY.pack(mailbox.id, number), None, table)
            if stored is None:
                raise CorruptDataError(f"keyword set {number} of mailbox {mailbox.id} is missing")
            text[number] = stored
        return text

    def changes(self, mailbox: Mailbox, since: ModSeq) -> MailboxChanges:
        r"""Return the changes of a mailbox after a MODSEQ, up to those of row CHANGE_ROWS_MAX.

        Costs in proportion to them. Changes of the private \Seen of other users are left out.
        """
        complete = since >= mailbox.changes_from  # expunges are kept at least as long
        modseq, appended, flagged, expunged = self.snapshot.changes(
            mailbox.id,
            since,
            mailbox.highest_modseq,
            CHANGE_ROWS_MAX,
            self.seen_of(mailbox),
        )
        return MailboxChanges(
            modseq=ModSeq(modseq),
            appended=appended,
            expunged=expunged,
            flagged=flagged - appended,
            complete=complete,
            expunges_complete=complete or since >= self._forgotten_expunges(mailbox),
        )

    def _forgotten_expunges(self, mailbox: Mailbox) -> int:
        """Return the MODSEQ up to which expunges are no longer logged."""
        stored = self._txn.get(forgotten_key(mailbox.id), None, self._tables.counters)
        return 0 if stored is None else COUNTER.unpack(stored)[0]

    # --- messages -----------------------------------------------------------------------------

    def fetch(
        self,
        out: ResponseWriter,
        mailbox: Mailbox,
        items: FetchItems,
        numbers: UidMap,
        wanted: UidSet,
        *,
        recent: UidSet | None,
        flags_too: UidSet | None,
        max_bytes: int,
    ) -> tuple[UidSet, bool, FetchStream | None]:
        r"""Write FETCH responses, with the user's own \Seen; see `imapvm._core.Snapshot.fetch`.

        Raises:
            BodyGoneError: a message was expunged, and the grace period is over.
        """
        try:
            return self.snapshot.fetch(
                out,
                mailbox.id,
                items,
                numbers,
                wanted,
                recent=recent,
                flags_too=flags_too,
                max_bytes=max_bytes,
                seen=self.private_seen(mailbox),
                id_bits=self.id_bits,
            )
        except KeyError:
            raise BodyGoneError(BODY_GONE) from None

    def undecodable(
        self, mailbox: Mailbox, items: FetchItems, uids: UidSet
    ) -> tuple[UidSet, UidSet]:
        """Return messages of which BINARY requests a part with an unknown encoding.

        Also return those that are not checked: a call takes some milliseconds.
        """
        return self.snapshot.undecodable(mailbox.id, items, uids)

    def write(self, stream: FetchStream, out: ResponseWriter, max_bytes: int) -> bool:
        """Continue to write FETCH responses; see `imapvm._core.FetchStream.write`.

        Raises:
            BodyGoneError: a message was expunged, and the grace period is over.
        """
        try:
            return stream.write(out, self.snapshot, max_bytes)
        except KeyError:
            raise BodyGoneError(BODY_GONE) from None

    def section(self, mailbox: Mailbox, url: MessageUrl) -> SectionStream | None:
        """Return the bytes of a message, or of a part of it, to be read in steps.

        Returns:
            None if the mailbox has no such message, or the message no such part.
        """
        return self.snapshot.section(mailbox.id, url)

    def read_section(self, stream: SectionStream, max_bytes: int) -> bytes:
        """Return the next bytes of a section; see `imapvm._core.SectionStream.read`.

        Raises:
            BodyGoneError: the message was expunged, and the grace period is over.
        """
        try:
            return stream.read(self.snapshot, max_bytes)
        except KeyError:
            raise BodyGoneError(BODY_GONE) from None

    def body(self, body: BodyId, offset: int, length: int) -> bytes:
        """Return a part of a message, cut off at its end; cost: its size plus at most one frame.

        Raises:
            BodyGoneError: the message was expunged, and the grace period is over.
        """
        try:
            return self.snapshot.body(body, offset, length)
        except KeyError:
            raise BodyGoneError(BODY_GONE) from None
        except CorruptError as error:
            raise CorruptDataError(f"cannot read body {body}: {error}") from None
