"""Keyword sets of mailboxes, as far as this process has read them."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.schema import KEYWORDS_KEY
from imapvm.model.limits import KEYWORD_CACHES_BYTES_MAX, KEYWORDS_PER_MAILBOX_MAX

SET_BYTES: Final = 400
"""Memory of a set beside its text and its references to names."""
MAILBOX_BYTES: Final = 600
"""Memory of a mailbox without sets."""
NAME_BYTES: Final = 250
"""Memory of a keyword of a mailbox beside its text."""


Names = tuple[str, ...]


class MailboxKeywords:
    """Keyword sets of one mailbox, as far as they have been read."""

    __slots__ = ("ids", "memory", "names", "size", "spelling", "text")

    def __init__(self) -> None:
        self.names: dict[int, Names] = {}
        self.text: dict[int, bytes] = {}
        self.ids: dict[Names, int] = {(): 0}
        self.spelling: dict[str, str] = {}
        """Lower case → spelling, of each keyword, in the order of first use."""
        self.size = 0
        """Bytes of all sets as stored."""
        self.memory = 0
        """Estimated memory in bytes."""

    def add(self, number: int, names: Names) -> None:
        text = " ".join(names).encode()
        spelling = self.spelling
        before = len(spelling)
        # Sets share the strings.
        names = tuple(spelling.setdefault(name.lower(), name) for name in names)
        self.names[number] = names
        self.text[number] = text
        self.ids[names] = number
        self.size += len(text)
        self.memory += SET_BYTES + len(text) + 8 * len(names)
        self.memory += (len(spelling) - before) * NAME_BYTES

    def shown(self) -> list[str]:
        """Return the keywords that FLAGS lists, sorted without regard to case.

        All of them, except in a mailbox of an older version that has too many: there the first
        ones that were used.
        """
        first = islice(self.spelling.values(), KEYWORDS_PER_MAILBOX_MAX)
        return sorted(first, key=str.lower)

    def normalise(self, names: Iterable[str]) -> Names:
        """Return the set as stored: in the mailbox's spelling, sorted, without duplicates."""
        spelling = self.spelling
        found = {name.lower(): spelling.get(name.lower(), name) for name in names}
        return tuple(found[lower] for lower in sorted(found))


class KeywordCache:
    """Cache of the keyword sets of mailboxes. Sets never change, so it needs no invalidation.

    The writer's cache also has sets of transactions that are not committed: `clear` it when a
    transaction is aborted.

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
