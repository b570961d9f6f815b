"""Resynchronisation of a client that returns to a mailbox: SELECT (QRESYNC) (RFC 7162 s. 3.2.5)."""

from typing import Final

from imapvm._core import FetchItems, SequenceSet, UidMap, UidSet
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.fetch.changes_since import changes_since, up_to, write_vanished
from imapvm.commands.handlers.fetch.stream import fetch_stream
from imapvm.model.ids import UID_MAX, SeqNum

NUMBERS: Final = UidMap(UidSet([(1, UID_MAX)]))
"""All numbers, to resolve the sets of `seq-match-data`, which have no `*`."""
FLAGS: Final = FetchItems.flags(uid=True, modseq=True)

SeqMatchData = tuple[SequenceSet, SequenceSet]
Qresync = tuple[int, int, SequenceSet | None, SeqMatchData | None]
"""UIDVALIDITY, MODSEQ, known UIDs, and message numbers with their UIDs."""


async def resynchronise(ctx: SelectedContext, qresync: Qresync, *, uid_validity: int) -> None:
    """Write the changes that a client has missed (RFC 7162 section 3.2.5).

    Args:
        ctx: the mailbox that has just been selected.
        qresync: the client's state; ignored if it has another UIDVALIDITY.
        uid_validity: of the mailbox.
    """
    known_validity, since, known, matches = qresync
    if known_validity != uid_validity:
        return
    view = ctx.view
    changes = await changes_since(ctx, since)
    changed, vanished = changes.changed & view.numbers.uids, changes.vanished
    if known is not None:
        uids = changes.uids(known, saved=view.saved)
        changed, vanished = changed & uids, vanished & uids
    if matches is not None:
        vanished -= up_to(last_match(view.numbers, matches))
    await write_vanished(ctx, vanished)
    if changed:
        await fetch_stream(ctx, FLAGS, changed)


def last_match(numbers: UidMap, known: SeqMatchData) -> int:
    """Return the highest UID that has the message number that the client has for it; 0: no match.

    The client has received all expunges up to it (RFC 7162 section 3.2.5.2). Once a message below
    is expunged all further numbers differ, so the pairs are searched by bisection.
    """
    known_numbers, known_uids = (_sorted(part) for part in known)
    low, high = 0, min(len(known_numbers), len(known_uids))
    while low < high:
        middle = (low + high + 1) // 2
        number, uid = _nth(known_numbers, middle), _nth(known_uids, middle)
        if numbers.uid(SeqNum(number)) == uid:
            low = middle
        else:
            high = middle - 1
    return _nth(known_uids, low) if low else 0


def _nth(numbers: UidMap, place: int) -> int:
    """Return the number at a place; 0 if there is no such place."""
    return numbers.uid(SeqNum(place)) or 0


def _sorted(part: SequenceSet) -> UidMap:
    """Return a set of numbers, to read them by their places."""
    return UidMap(NUMBERS.select(part, uid=True, saved=UidSet()) or UidSet())
