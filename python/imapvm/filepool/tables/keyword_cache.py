"""Keyword sets of mailboxes, as far as this process has read them."""

from collections.abc import Callable, Iterable
from typing import Final

from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.schema import KEYWORDS_KEY

CACHED_MAILBOXES_MAX: Final = 512
"""Mailboxes whose sets are cached; the cache is cleared when it is full."""


Names = tuple[str, ...]


class MailboxKeywords:
    """Keyword sets of one mailbox, as far as they have been read."""

    __slots__ = ("ids", "names", "spelling", "text")

    def __init__(self) -> None:
        self.names: dict[int, Names] = {}
        self.text: dict[int, bytes] = {}
        self.ids: dict[Names, int] = {(): 0}
        self.spelling: dict[str, str] = {}

    def add(self, number: int, names: Names) -> None:
        self.names[number] = names
        self.text[number] = " ".join(names).encode()
        self.ids[names] = number
        for name in names:
            self.spelling.setdefault(name.lower(), name)

    def normalise(self, names: Iterable[str]) -> Names:
        """Return the set as stored: in the mailbox's spelling, sorted, without duplicates."""
        spelling = self.spelling
        found = {name.lower(): spelling.get(name.lower(), name) for name in names}
        return tuple(found[lower] for lower in sorted(found))


class KeywordCache:
    """Cache of the keyword sets of mailboxes. Sets never change, so it needs no invalidation.

    The writer's cache also has sets of transactions that are not committed: `clear` it when a
    transaction is aborted.
    """

    __slots__ = ("_mailboxes",)

    def __init__(self) -> None:
        self._mailboxes: dict[int, MailboxKeywords] = {}

    def clear(self) -> None:
        self._mailboxes.clear()

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
            if len(self._mailboxes) >= CACHED_MAILBOXES_MAX:
                self._mailboxes.clear()
            known = self._mailboxes[mailbox] = MailboxKeywords()
        for number in range(len(known.names) + 1, sets + 1):
            stored = read(KEYWORDS_KEY.pack(mailbox, number))
            if stored is None:
                raise CorruptDataError(f"keyword set {number} of mailbox {mailbox} is missing")
            known.add(number, tuple(stored.decode().split(" ")))
        return known
