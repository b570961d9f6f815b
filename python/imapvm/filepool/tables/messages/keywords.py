"""The table `keywords`: sets of keywords of a mailbox; records have the number of a set.

Sets are numbered from 1 in the order of their first use and never change; 0 is the empty set. A
mailbox keeps the spelling in which a keyword was first used there (RFC 9051 section 2.3.2: keywords
are case-insensitive).
"""

from collections.abc import Collection, Iterable, Mapping

from imapvm._core import STORE_ADD, STORE_REMOVE
from imapvm.filepool.errors import LimitError
from imapvm.filepool.tables.messages.keyword_cache import MailboxKeywords, Names
from imapvm.filepool.tables.schema import KEYWORDS_KEY, MailboxRow
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.limits import (
    KEYWORD_MAX,
    KEYWORD_SET_MAX,
    KEYWORD_SETS_BYTES_MAX,
    KEYWORD_SETS_PER_MAILBOX_MAX,
    KEYWORDS_PER_MAILBOX_MAX,
    KEYWORDS_PER_MESSAGE_MAX,
)


def check_keywords(names: Names) -> None:
    """Check the limits of a set of keywords, before anything is written.

    Raises:
        LimitError: a keyword is too long, or there are too many.
    """
    if not names:
        return
    different = {name.lower() for name in names}
    if any(len(name) > KEYWORD_MAX for name in different):
        raise LimitError(f"a keyword has at most {KEYWORD_MAX} bytes")
    if len(different) > KEYWORDS_PER_MESSAGE_MAX:
        raise LimitError(f"a message has at most {KEYWORDS_PER_MESSAGE_MAX} keywords")
    if sum(map(len, different)) + len(different) > KEYWORD_SET_MAX + 1:
        raise LimitError(f"the keywords of a message have at most {KEYWORD_SET_MAX} bytes")


def check_room(txn: GroupTxn, row: MailboxRow, sets: Iterable[Names]) -> None:
    """Check that a mailbox can have all keywords of some sets, before anything is written.

    Raises:
        LimitError: it would have too many.
    """
    lower = {name.lower() for names in sets for name in names}
    if lower:
        _check_different(known_sets(txn, row), lower)


def _check_different(known: MailboxKeywords, lower: Collection[str]) -> None:
    new = sum(name not in known.spelling for name in lower)
    if new and len(known.spelling) + new > KEYWORDS_PER_MAILBOX_MAX:
        raise LimitError(f"a mailbox has at most {KEYWORDS_PER_MAILBOX_MAX} keywords")


def known_sets(txn: GroupTxn, row: MailboxRow) -> MailboxKeywords:
    """Return a mailbox's sets, including those of this transaction."""
    return txn.keyword_cache.get(
        row.id, row.keyword_sets, lambda key: txn.get(key, txn.tables.keywords)
    )


def intern(txn: GroupTxn, row: MailboxRow, names: Iterable[str]) -> int:
    """Return the number of a set of keywords in a mailbox; store the set if it is new.

    Raises:
        LimitError: the set exceeds a limit, or the mailbox has too many keywords or sets.
    """
    known = known_sets(txn, row)
    normal = known.normalise(names)
    number = known.ids.get(normal)
    if number is not None:
        return number
    check_keywords(normal)
    _check_different(known, [name.lower() for name in normal])
    if known.size >= KEYWORD_SETS_BYTES_MAX:
        raise LimitError(
            f"the combinations of keywords of a mailbox have at most {KEYWORD_SETS_BYTES_MAX} bytes"
        )
    if row.keyword_sets >= KEYWORD_SETS_PER_MAILBOX_MAX:
        raise LimitError(
            f"a mailbox has at most {KEYWORD_SETS_PER_MAILBOX_MAX} combinations of keywords"
        )
    txn.edit(row)
    row.keyword_sets += 1
    number = row.keyword_sets
    txn.put(KEYWORDS_KEY.pack(row.id, number), " ".join(normal).encode(), txn.tables.keywords)
    before = known.memory
    known.add(number, normal)
    txn.keyword_cache.grown(row.id, known, before)
    return number


def store_map(
    txn: GroupTxn, row: MailboxRow, old: Iterable[int], mode: int, names: Names
) -> Mapping[int, int]:
    """Return the number of the set that STORE makes of each set in `old`.

    Raises:
        LimitError: a set would exceed a limit.
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
