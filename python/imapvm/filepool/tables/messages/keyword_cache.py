"""Caches of keywords: sets of mailboxes, for the writer, and names in FLAGS, for readers."""

from collections.abc import Callable, Iterable
from typing import Final

from imapvm._core import Snapshot
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.schema import KEYWORDS_KEY
from imapvm.model.limits import KEYWORD_CACHES_BYTES_MAX, KEYWORDS_PER_MAILBOX_MAX

SET_BYTES: Final = 300
"""Memory of a set beside its text and its references to names."""
MAILBOX_BYTES: Final = 600
"""Memory of a mailbox without sets."""
NAME_BYTES: Final = 250
"""Memory of a keyword of a mailbox beside its text."""


Names = tuple[str, ...]


class MailboxKeywords:
    """Keyword sets of one mailbox, as far as they have been read."""

    __slots__ = ("ids", "memory", "names", "size", "spelling")

    def __init__(self) -> None:
        self.names: dict[int, Names] = {}
        self.ids: dict[Names, int] = {(): 0}
        self.spelling: dict[str, str] = {}
        """Lower case → spelling, of each keyword, in the order of first use."""
        self.size = 0
        """Bytes of all sets as stored."""
        self.memory = 0
        """Estimated memory in bytes."""

    def add(self, number: int, names: Names) -> None:
        spelling = self.spelling
        before = len(spelling)
        # Sets share the strings.
        names = tuple(spelling.setdefault(name.lower(), name) for name in names)
        self.names[number] = names
        self.ids[names] = number
        size = sum(map(len, names)) + len(names) - 1
        self.size += size
        self.memory += SET_BYTES + 8 * len(names)
        if len(spelling) > before:
            self.memory += (len(spelling) - before) * (NAME_BYTES + 2 * size // len(names))

    def normalise(self, names: Iterable[str]) -> Names:
        """Return the set as stored: in the mailbox's spelling, sorted, without duplicates."""
        spelling = self.spelling
        found = {name.lower(): spelling.get(name.lower(), name) for name in names}
        return tuple(found[lower] for lower in sorted(found))


class KeywordCache:
    """Keyword sets of mailboxes, for the writer of a storage group. Sets never change.

    It also has sets of transactions that are not committed: `clear` it when a transaction is
    aborted.

    Args:
        limit: bytes of memory; when they are exceeded, all mailboxes but the last one are dropped.
    """

    __slots__ = ("_limit", "_mailboxes", "_used")

    def __init__(self, limit: int = KEYWORD_CACHES_BYTES_MAX) -> None:
        self._limit = limit
        self._mailboxes: dict[int, MailboxKeywords] = {}
        self._used = 0
        """Memory of all mailboxes when they were last read."""

    def clear(self) -> None:
        self._mailboxes.clear()
        self._used = 0

    def get(
        self, mailbox: int, sets: int, read: Callable[[bytes], bytes | None]
    ) -> MailboxKeywords:
        """Return the sets of a mailbox.

        Args:
            mailbox: its id.
            sets: number of its sets; those that are not cached are read.
            read: returns the row of `keywords` for a key.

        Raises:
            CorruptDataError: a set is missing.
        """
        known = self._mailboxes.get(mailbox)
        if known is None:
            known = self._mailboxes[mailbox] = MailboxKeywords()
            self._used += MAILBOX_BYTES
        if len(known.names) >= sets:
            return known
        before = known.memory
        for number in range(len(known.names) + 1, sets + 1):
            stored = read(KEYWORDS_KEY.pack(mailbox, number))
            if stored is None:
                raise CorruptDataError(f"keyword set {number} of mailbox {mailbox} is missing")
            known.add(number, tuple(stored.decode().split(" ")))
        self.grown(mailbox, known, before)
        return known

    def grown(self, mailbox: int, known: MailboxKeywords, before: int) -> None:
        """Count a mailbox's memory beyond `before`; drop the others if all need too much."""
        self._used += known.memory - before
        if self._used > self._limit:
            self._mailboxes = {mailbox: known}
            self._used = MAILBOX_BYTES + known.memory


class KeywordNames:
    """Keywords that FLAGS lists, by mailbox, as far as they have been read. Those used last stay.

    Args:
        limit: bytes of memory.
    """

    __slots__ = ("_limit", "_mailboxes", "_used")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._mailboxes: dict[int, _MailboxNames] = {}
        """Least recently used first."""
        self._used = 0

    def get(self, mailbox: int, sets: int, snapshot: Snapshot) -> list[str]:
        """Return the keywords in the sets of a mailbox up to a number, sorted."""
        known = self._mailboxes.pop(mailbox, None)
        if known is None:
            known = _MailboxNames()
        else:
            self._used -= known.memory
        if known.sets < sets:
            known.read(mailbox, sets, snapshot)
        self._mailboxes[mailbox] = known
        self._used += known.memory
        while self._used > self._limit and len(self._mailboxes) > 1:
            first = next(iter(self._mailboxes))
            self._used -= self._mailboxes.pop(first).memory
        return known.names


class _MailboxNames:
    """Keywords that FLAGS lists for one mailbox."""

    __slots__ = ("_spelling", "memory", "names", "sets")

    def __init__(self) -> None:
        self.sets = 0
        """Number of sets that have been read."""
        self._spelling: dict[str, str] = {}
        self.names: list[str] = []
        self.memory = MAILBOX_BYTES

    def read(self, mailbox: int, sets: int, snapshot: Snapshot) -> None:
        """Read the sets up to a number."""
        first, self.sets = self.sets + 1, sets
        spelling = self._spelling
        before = len(spelling)
        if before >= KEYWORDS_PER_MAILBOX_MAX:
            return
        # Among as many different names as FLAGS lists are all that it does not list yet.
        for name in snapshot.keyword_names(mailbox, first, sets, KEYWORDS_PER_MAILBOX_MAX):
            if len(spelling) < KEYWORDS_PER_MAILBOX_MAX:
                spelling.setdefault(name.lower(), name)
        if len(spelling) > before:
            self.names = sorted(spelling.values(), key=str.lower)
            self.memory = MAILBOX_BYTES + sum(NAME_BYTES + 2 * len(name) for name in spelling)
