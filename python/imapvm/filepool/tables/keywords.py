"""Keywords: sets of them are kept once a mailbox, and records name a set by its number.

Sets are numbered from 1 in the order in which they were first used, and are never changed; 0 is the
empty set. A mailbox spells a keyword as it was first used there (RFC 9051 section 2.3.2: keywords
are case-insensitive).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from imapvm._core import STORE_ADD, STORE_REMOVE
from imapvm.filepool.errors import CorruptDataError, LimitError
from imapvm.filepool.tables.schema import KEYWORDS_KEY, MailboxRow
from imapvm.model.limits import (
    KEYWORD_MAX,
    KEYWORD_SET_MAX,
    KEYWORD_SETS_PER_MAILBOX_MAX,
    KEYWORDS_PER_MESSAGE_MAX,
)

if TYPE_CHECKING:
    from imapvm.filepool.engine.transactions import GroupTxn

CACHED_MAILBOXES_MAX: Final = 512
"""Mailboxes whose sets a process keeps in memory; beyond that it starts anew."""

Names = tuple[str, ...]


class MailboxKeywords:
    """The sets of one mailbox, as far as they have been read."""

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
        """A set in the form in which it is stored: the mailbox's spelling, in order, once each."""
        spelling = self.spelling
        found = {name.lower(): spelling.get(name.lower(), name) for name in names}
        return tuple(found[lower] for lower in sorted(found))


class KeywordCache:
    """The sets of many mailboxes. Sets are never changed, so what was read stays true.

    The writer's book also knows sets of transactions that are not committed: `clear` it when one
    is given up.
    """

    __slots__ = ("_mailboxes",)

    def __init__(self) -> None:
        self._mailboxes: dict[int, MailboxKeywords] = {}

    def clear(self) -> None:
        self._mailboxes.clear()

    def get(
        self, mailbox: int, sets: int, read: Callable[[bytes], bytes | None]
    ) -> MailboxKeywords:
        """The sets of a mailbox.

        Args:
            mailbox: its id.
            sets: how many it has; those not yet known are read.
            read: gets a row of `keywords`.

        Raises:
            CorruptDataError: one is missing.
        """
        known = self._mailboxes.get(mailbox)
        if known is None:
            if len(self._mailboxes) >= CACHED_MAILBOXES_MAX:
                self._mailboxes.clear()
            known = self._mailboxes[mailbox] = MailboxKeywords()
        for number in range(len(known.names) + 1, sets + 1):
            stored = read(KEYWORDS_KEY.pack(mailbox, number))
            if stored is None:
                raise CorruptDataError(f"Keyword set {number} of mailbox {mailbox} is missing.")
            known.add(number, tuple(stored.decode().split(" ")))
        return known


def check_keywords(names: Names) -> None:
    """Refuse keywords that are over a bound, before anything is written.

    Raises:
        LimitError: one is too long, or there are too many.
    """
    if not names:
        return
    different = {name.lower() for name in names}
    if any(len(name) > KEYWORD_MAX for name in different):
        raise LimitError(f"A keyword has at most {KEYWORD_MAX} octets.")
    if len(different) > KEYWORDS_PER_MESSAGE_MAX:
        raise LimitError(f"A message has at most {KEYWORDS_PER_MESSAGE_MAX} keywords.")
    if sum(map(len, different)) + len(different) > KEYWORD_SET_MAX + 1:
        raise LimitError(f"The keywords of a message have at most {KEYWORD_SET_MAX} octets.")


def known_sets(txn: "GroupTxn", row: MailboxRow) -> MailboxKeywords:
    """A mailbox's sets, those of this transaction included."""
    return txn.keyword_cache.get(
        row.id, row.keyword_sets, lambda key: txn.get(key, txn.tables.keywords)
    )


def intern(txn: "GroupTxn", row: MailboxRow, names: Iterable[str]) -> int:
    """The number of a set of keywords in a mailbox; it gets one if it has none.

    Raises:
        LimitError: the set is over a bound, or the mailbox has too many sets.
    """
    known = known_sets(txn, row)
    normal = known.normalise(names)
    number = known.ids.get(normal)
    if number is not None:
        return number
    check_keywords(normal)
    if row.keyword_sets >= KEYWORD_SETS_PER_MAILBOX_MAX:
        raise LimitError(
            f"A mailbox has at most {KEYWORD_SETS_PER_MAILBOX_MAX} combinations of keywords."
        )
    txn.edit(row)
    row.keyword_sets += 1
    number = row.keyword_sets
    txn.put(KEYWORDS_KEY.pack(row.id, number), " ".join(normal).encode(), txn.tables.keywords)
    known.add(number, normal)
    return number


def store_map(
    txn: "GroupTxn", row: MailboxRow, old: Iterable[int], mode: int, names: Names
) -> Mapping[int, int]:
    """What STORE makes of each set in `old`: set number → set number.

    Raises:
        LimitError: a set would pass a bound.
    """
    known = known_sets(txn, row)
    lower = {name.lower() for name in names}
    changed = {}
    for number in sorted(old):
        had = known.names[number] if number else ()
        if mode == STORE_ADD:
            now: Names = (*had, *names)
        elif mode == STORE_REMOVE:
            now = tuple(name for name in had if name.lower() not in lower)
        else:
            now = names
        changed[number] = intern(txn, row, now)
    return changed
