"""Changes since a MODSEQ, for FETCH (CHANGEDSINCE) and SELECT (QRESYNC) (RFC 7162).

They are read from the change log of the mailbox, in time proportional to them. If the log does not
reach back so far, the index has the changed messages. If expunges are missing, too, all UIDs
without a message are reported: a superset, which is correct (docs/decisions, 0011).
"""

from typing import Final, NamedTuple

from imapvm._core import FetchItems, SequenceSet, UidMap, UidSet
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.fetch.stream import fetch_stream
from imapvm.model.ids import UID_MAX, ModSeq, SeqNum

VANISHED_BYTES: Final = 16 * 1024
"""Stored size of a set of UIDs that is written as one VANISHED, of about as many bytes."""
VANISHED_UIDS: Final = 16 * 1024
"""UIDs in each VANISHED of a larger set."""
NUMBERS: Final = UidMap(UidSet([(1, UID_MAX)]))
"""All numbers, to resolve the sets of `seq-match-data`, which have no `*`."""
FLAGS: Final = FetchItems.flags(uid=True, modseq=True)

SeqMatchData = tuple[SequenceSet, SequenceSet]
Qresync = tuple[int, int, SequenceSet | None, SeqMatchData | None]
"""UIDVALIDITY, MODSEQ, known UIDs, and message numbers with their UIDs."""


class ChangesSince(NamedTuple):
    """Changes after a MODSEQ."""

    changed: UidSet
    """Messages with a higher MODSEQ."""
    vanished: UidSet
    """Expunged messages that the client has not counted in this session; may include UIDs of
    messages that were expunged before."""
    uid_next: int

    def uids(self, wanted: SequenceSet, *, saved: UidSet) -> UidSet:
        """Return the UIDs of a client's set, whether messages with them exist or not."""
        numbers = UidMap(_up_to(self.uid_next - 1))
        return numbers.select(wanted, uid=True, saved=saved) or UidSet()


async def changes_since(ctx: SelectedContext, since: int) -> ChangesSince:
    """Return all changes of the selected mailbox after a MODSEQ.

    Raises:
        Refusal: the mailbox was deleted.
    """
    counted = ctx.view.numbers.uids
    changed, expunged = UidSet(), UidSet()
    complete = True
    read = ModSeq(since)
    while True:
        with ctx.store.reading() as reader:
            mailbox = ctx.mailbox_row(reader)
            part = reader.changes(mailbox, read)
            complete = complete and part.complete
            changed |= part.appended | part.flagged
            expunged |= part.expunged
            read = part.modseq
            if read >= mailbox.highest_modseq or not part.expunges_complete:
                if not complete:
                    changed = reader.snapshot.modified(mailbox.id, since)
                if not part.expunges_complete:
                    expunged = _up_to(mailbox.uid_next - 1) - reader.uid_map(mailbox).uids
                return ChangesSince(changed - expunged, expunged - counted, mailbox.uid_next)
        await ctx.yield_control()


def _up_to(last: int) -> UidSet:
    return UidSet([(1, last)]) if last else UidSet()


async def write_vanished(ctx: SelectedContext, uids: UidSet) -> None:
    """Write VANISHED (EARLIER), if there are UIDs; several if one would be long."""
    if len(bytes(uids)) <= VANISHED_BYTES:
        ctx.out.vanished(uids, earlier=True)
        return
    while uids:
        part, uids = uids.split(VANISHED_UIDS)
        ctx.out.vanished(part, earlier=True)
        await ctx.flush()
        await ctx.yield_control()


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
        vanished -= _up_to(last_match(view.numbers, matches))
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
    """Return the number at a place, which exists."""
    number = numbers.uid(SeqNum(place))
    assert number is not None
    return number


def _sorted(part: SequenceSet) -> UidMap:
    """Return a set of numbers, to read them by their places."""
    return UidMap(NUMBERS.select(part, uid=True, saved=UidSet()) or UidSet())
