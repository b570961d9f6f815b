r"""Results that are kept up to date: contexts of RFC 5267, of SEARCH, SORT and ESEARCH with UPDATE.

`View.write_updates` notes the messages that changed, and calls `write_removed` and `step`:

    expunged ───────────▶ write_removed ──▶ REMOVEFROM, before EXPUNGE
    appended, flags ────▶ step: the search is repeated for these messages only
                            │  scan of the index, then of metadata and bytes, some in each step
                            ▼
                          REMOVEFROM, ADDTO: after EXISTS and the claim of \Recent, before FETCH

A message is searched again only when it changes, or when it passes the age of OLDER or YOUNGER. Its
place in the order of SORT never changes, so it is found by binary search.
"""

import logging
import math
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

from imapvm._core import (
    BoundSearch,
    CorruptError,
    FetchItems,
    ResponseWriter,
    SearchProgram,
    SearchTask,
    SortedMessages,
    UidMap,
    UidSet,
    UndecidedMessages,
)
from imapvm.model.limits import CONTEXT_MEMBERS_MAX, CONTEXTS_MAX, EXPUNGE_UPDATES_MAX

LOG: Final = logging.getLogger("imapvm.session")

NONE: Final = UidSet()
SEARCHED: Final = 4096
"""Messages that one step searches in the index: a response of at most 90 KiB."""
SORTED: Final = 1024
"""The same for SORT."""
SEARCHED_KEYS: Final = 1024 * 1024
"""Messages times keys in one step: about two milliseconds."""
SEARCHED_MIN: Final = 64
"""Lower limit, for any number of keys."""
AGED: Final = 16 * 1024
"""Messages whose dates one step reads, under a millisecond."""
STEP_BYTES: Final = 256 * 1024
"""Metadata and messages that one step reads, divided by the number of texts that are compared:
about half a millisecond."""
STEP_BYTES_MIN: Final = 8 * 1024
"""Lower limit, for any number of texts."""
AGE_SECONDS: Final = 60
"""Time after which OLDER and YOUNGER are compared with the clock again; RFC 5032 section 2 allows
a delay."""


TOO_MANY_MEMBERS: Final = f"more than {CONTEXT_MEMBERS_MAX} messages in searches with UPDATE"


class CountedMessages(NamedTuple):
    r"""Messages as the client has counted them, at one time."""

    numbers: UidMap
    expunged: UidSet
    """Those that are expunged."""
    recent: UidSet
    r"""Those with \Recent."""
    now: float


class SearchSource(Protocol):
    """One mailbox in one read transaction, for searches."""

    def bind(self, program: SearchProgram, messages: CountedMessages) -> BoundSearch:
        """Bind search keys to the mailbox."""

    def scan(self, bound: BoundSearch, uids: UidSet) -> tuple[UidSet, UndecidedMessages]:
        """Search messages in the index; return those that match, and the undecided ones."""

    def search(self, task: SearchTask, max_bytes: int) -> bool:
        """Search about so many bytes of undecided messages; return True at the end."""

    def insert(
        self, order: SortedMessages, uids: UidSet, numbers: UidMap | None, max_bytes: int
    ) -> tuple[bytes, UidSet]:
        """Insert messages into an order; see `SortedMessages.insert`."""


class LiveResult:
    """Result of one command with UPDATE.

    Message numbers of the command are not used any more: `program` has UIDs in their place (RFC
    5267 section 4.3).
    """

    __slots__ = (
        "_adding",
        "_aged_from",
        "_batch",
        "_found",
        "_step_bytes",
        "_task",
        "_unaged",
        "added",
        "changed",
        "checked",
        "expunged",
        "head",
        "items",
        "order",
        "program",
        "uid",
        "uids",
    )

    def __init__(
        self,
        program: SearchProgram,
        *,
        head: bytes,
        uid: bool,
        uids: UidSet = NONE,
        order: SortedMessages | None = None,
        items: FetchItems | None = None,
        now: float,
    ) -> None:
        """Start with the result of the command.

        Args:
            program: the search keys.
            head: start of the ESEARCH responses, up to the data.
            uid: True for UIDs in responses, False for message numbers.
            uids: messages that match, if there is no order.
            order: messages that match, in the order of SORT; None for the order of the mailbox.
            items: of FETCH for new messages that match; None for no such responses.
            now: time of the search.
        """
        self.items = items
        self.added = NONE
        """Messages that were added and whose FETCH is due if they are new, if there are items."""
        self.program = program
        self.head = head
        self.uid = uid
        self.uids = uids
        self.order = order
        self.changed = NONE
        """Messages to search again."""
        self.expunged = NONE
        """Expunged messages that are not removed yet."""
        self._task: SearchTask | None = None
        """Search of the undecided messages of `_batch`; `_found` has the others that match."""
        self._batch = self._found = NONE
        self._step_bytes = 0
        self._adding = NONE
        """Messages that match, to insert into the order."""
        self.checked: float | None = None if program.aged(1) is None else now
        """Time for which OLDER and YOUNGER are up to date; None without such keys."""
        self._aged_from = now
        self._unaged = NONE
        """Messages whose age may have changed what they match since `_aged_from`."""

    @property
    def has_due(self) -> bool:
        """True if there is something to do for `step`."""
        return bool(self.changed or self._adding or self._unaged or self._task is not None)

    @property
    def members(self) -> int:
        """Messages in the order of SORT, or ranges of UIDs; and the ranges of UIDs in the keys."""
        return self.program.ranges + (self.uids.ranges if self.order is None else len(self.order))

    def ages(self, now: float) -> bool:
        """Return True if OLDER and YOUNGER have to be compared with the clock again."""
        return self.checked is not None and now >= self.checked + AGE_SECONDS

    def start_aging(self, numbers: UidMap, now: float) -> None:
        """Compare OLDER and YOUNGER with the clock again, in steps, if it is time."""
        if self.checked is not None and self.ages(now) and not self._unaged:
            self._aged_from, self.checked = self.checked, now
            self._unaged = numbers.uids

    def write_removed(self, out: ResponseWriter, numbers: UidMap) -> None:
        """Write REMOVEFROM for some expunged messages, which `numbers` still has."""
        batch, self.expunged = self.expunged.split(EXPUNGE_UPDATES_MAX)
        self.changed -= batch
        self._adding -= batch
        removed, _ = self._remove(batch, NONE, numbers)
        self._write(out, removed, b"")

    def step(self, out: ResponseWriter, source: SearchSource, messages: CountedMessages) -> None:
        """Do one step of the search, and write REMOVEFROM and ADDTO at its end.

        Raises:
            CorruptError: an index segment, message metadata or a message is corrupt.
        """
        removed = b""
        existing = messages.numbers.uids - messages.expunged
        if self._adding:
            self._adding &= existing
        elif (found := self._search(source, messages)) is not None:
            # Messages may have been expunged since the first step.
            removed, inside = self._remove(self._batch, found & existing, messages.numbers)
            self._adding = (found & existing) - inside
        before = self._adding
        added = self._add(source, messages.numbers) if before else b""
        if self.items is not None:
            self.added |= before - self._adding
        self._write(out, removed, added)

    def _search(self, source: SearchSource, messages: CountedMessages) -> UidSet | None:
        """Search some messages; return those of `_batch` that match, or None before the end."""
        if self._task is not None:
            if not source.search(self._task, self._step_bytes):
                return None
            found, self._task = self._found | self._task.found, None
            return found
        if not self.changed:
            self._age(source, messages)
            return None
        bound = source.bind(self.program, messages)
        size = min(SEARCHED if self.order is None else SORTED, SEARCHED_KEYS // bound.keys)
        self._batch, self.changed = self.changed.split(max(size, SEARCHED_MIN))
        found, undecided = source.scan(bound, self._batch)
        if not undecided:
            return found
        self._found = found
        self._step_bytes = max(STEP_BYTES // max(bound.texts, 1), STEP_BYTES_MIN)
        (self._task,) = undecided.search_tasks(1)
        return None

    def _age(self, source: SearchSource, messages: CountedMessages) -> None:
        """Add some messages to `changed`: those that have passed an age of OLDER or YOUNGER."""
        batch, self._unaged = self._unaged.split(AGED)
        program = self.program.aged(math.ceil(messages.now - self._aged_from) + 1)
        if program is not None:
            self.changed, _ = source.scan(source.bind(program, messages), batch)

    def _remove(self, changed: UidSet, found: UidSet, numbers: UidMap) -> tuple[bytes, UidSet]:
        """Remove those of some messages that are not in `found`.

        Returns:
            Data of REMOVEFROM, and the messages of `found` that match already.
        """
        if self.order is not None:
            return self.order.remove(changed, found, None if self.uid else numbers)
        inside = changed & self.uids
        gone = inside - found
        if gone:
            self.uids -= gone
        return self._set(gone, numbers), inside - gone

    def _add(self, source: SearchSource, numbers: UidMap) -> bytes:
        """Add messages of `_adding`: all, or as many as one step reads; return data of ADDTO."""
        if self.order is None:
            now, self._adding = self._adding, NONE
            self.uids |= now
            return self._set(now, numbers)
        shown = None if self.uid else numbers
        added, self._adding = source.insert(self.order, self._adding, shown, STEP_BYTES)
        return added

    def _set(self, uids: UidSet, numbers: UidMap) -> bytes:
        """Return messages at position 0: the client keeps them in the order of the mailbox."""
        if not uids:
            return b""
        return b"0 " + (uids if self.uid else numbers.numbers(uids)).to_imap()

    def _write(self, out: ResponseWriter, removed: bytes, added: bytes) -> None:
        line = self.head
        if removed:
            line += b" REMOVEFROM (%b)" % removed
        if added:
            line += b" ADDTO (%b)" % added
        if removed or added:
            out.untagged(line)


class LiveResults:
    """Results of a session that are kept up to date: at least one, by the tag of its command."""

    __slots__ = ("_by_tag", "_clock")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._by_tag: dict[bytes, LiveResult] = {}
        self._clock = clock

    def __bool__(self) -> bool:
        return bool(self._by_tag)

    def __contains__(self, tag: bytes) -> bool:
        return tag in self._by_tag

    def add(self, tag: bytes, result: LiveResult) -> str | None:
        """Add a result; return the reason for which it is not added, or None."""
        if len(self._by_tag) >= CONTEXTS_MAX:
            return f"more than {CONTEXTS_MAX} searches with UPDATE"
        if self._members + result.members > CONTEXT_MEMBERS_MAX:
            return TOO_MANY_MEMBERS
        self._by_tag[tag] = result
        return None

    def cancel(self, tag: bytes) -> None:
        """Stop updates of a result, if there are any."""
        self._by_tag.pop(tag, None)

    def note_changed(self, uids: UidSet) -> None:
        """Search messages again, which the client has counted: new, or changed."""
        for result in self._by_tag.values():
            result.changed |= uids

    def note_expunged(self, uids: UidSet) -> None:
        """Remove expunged messages, which the client has counted."""
        for result in self._by_tag.values():
            result.expunged |= uids if result.order is not None else uids & result.uids

    def take_new(self, arrived: UidSet) -> Iterator[tuple[UidSet, FetchItems]]:
        """Yield new messages that were added to results, with the items of FETCH for them.

        Args:
            arrived: the new messages; others were added because they changed (RFC 5465 section 7).
        """
        for result in self._by_tag.values():
            if result.items is not None:
                added, result.added = result.added & arrived, NONE
                if added:
                    yield added, result.items

    @property
    def has_expunged(self) -> bool:
        """True if `write_removed` has something to do."""
        return any(result.expunged for result in self._by_tag.values())

    @property
    def has_due(self) -> bool:
        """True if `write_removed` or `step` has something to do."""
        return any(result.expunged or result.has_due for result in self._by_tag.values())

    @property
    def ages(self) -> bool:
        """True if messages may have passed an age of OLDER or YOUNGER."""
        now = self._clock()
        return any(result.ages(now) for result in self._by_tag.values())

    def start_aging(self, numbers: UidMap) -> None:
        """Compare OLDER and YOUNGER with the clock again, in steps, where it is time."""
        now = self._clock()
        for result in self._by_tag.values():
            result.start_aging(numbers, now)

    def write_removed(self, out: ResponseWriter, numbers: UidMap) -> None:
        """Write REMOVEFROM for some expunged messages, which `numbers` still has."""
        for result in self._by_tag.values():
            if result.expunged:
                result.write_removed(out, numbers)
                return

    def step(
        self,
        out: ResponseWriter,
        source: SearchSource,
        *,
        numbers: UidMap,
        expunged: UidSet,
        recent: UidSet,
    ) -> None:
        r"""Do one step of one search, and write what it has found.

        A result that cannot be kept up to date is dropped, with NOUPDATE (section 4.3.1).

        Args:
            out: gets the responses.
            source: the mailbox, whose changes have all been noted.
            numbers: messages that the client has counted.
            expunged: those of them that are expunged.
            recent: those of them with \Recent.
        """
        messages = CountedMessages(numbers, expunged, recent, self._clock())
        for tag, result in self._by_tag.items():
            if not result.has_due:
                continue
            reason = None
            try:
                result.step(out, source, messages)
            except CorruptError:
                LOG.exception("corrupt data in a search with UPDATE")
                reason = "stored data is corrupt; see the server's log"
            if self._members > CONTEXT_MEMBERS_MAX:
                reason = TOO_MANY_MEMBERS
            if reason is not None:
                del self._by_tag[tag]
                write_no_update(out, tag, reason)
            return

    @property
    def _members(self) -> int:
        return sum(result.members for result in self._by_tag.values())


def write_no_update(out: ResponseWriter, tag: bytes, reason: str) -> None:
    """Write that a result is not kept up to date (RFC 5267 section 4.3.1)."""
    out.condition("NO", f"cannot update: {reason}", f'NOUPDATE "{tag.decode()}"')
