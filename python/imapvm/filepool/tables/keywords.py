"""Keywords: sets of them are kept once a mailbox, and records name a set by its number.

Sets are numbered from 1 in the order in which they were first used, and are never changed; 0 is the
empty set. A mailbox spells a keyword as it was first used there (RFC 9051 section 2.3.2: keywords
are case-insensitive).
"""

from collections.abc import Iterable, Mapping

from imapvm._core import STORE_ADD, STORE_REMOVE
from imapvm.filepool.errors import LimitError
from imapvm.filepool.tables.keyword_cache import MailboxKeywords, Names
from imapvm.filepool.tables.schema import KEYWORDS_KEY, MailboxRow
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.limits import (
    KEYWORD_MAX,
    KEYWORD_SET_MAX,
    KEYWORD_SETS_PER_MAILBOX_MAX,
    KEYWORDS_PER_MESSAGE_MAX,
)


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


def known_sets(txn: GroupTxn, row: MailboxRow) -> MailboxKeywords:
    """A mailbox's sets, those of this transaction included."""
    return txn.keyword_cache.get(
        row.id, row.keyword_sets, lambda key: txn.get(key, txn.tables.keywords)
    )


def intern(txn: GroupTxn, row: MailboxRow, names: Iterable[str]) -> int:
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
    txn: GroupTxn, row: MailboxRow, old: Iterable[int], mode: int, names: Names
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
