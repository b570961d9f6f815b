"""Changes since a MODSEQ, for FETCH (CHANGEDSINCE) and SELECT (QRESYNC) (RFC 7162).

They are read from the change log of the mailbox, in time proportional to them. If the log does not
reach back so far, the index has the changed messages. If expunges are missing, too, all UIDs
without a message are reported: a superset, which is correct (docs/decisions, 0011).
"""

from typing import Final, NamedTuple

from imapvm._core import SequenceSet, UidMap, UidSet
from imapvm.commands.context import SelectedContext
from imapvm.model.ids import ModSeq

VANISHED_BYTES: Final = 16 * 1024
"""Stored size of a set of UIDs that is written as one VANISHED, of about as many bytes."""
VANISHED_UIDS: Final = 16 * 1024
"""UIDs in each VANISHED of a larger set."""


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
        numbers = UidMap(up_to(self.uid_next - 1))
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
                    expunged = up_to(mailbox.uid_next - 1) - reader.uid_map(mailbox).uids
                return ChangesSince(changed - expunged, expunged - counted, mailbox.uid_next)
        await ctx.yield_control()


def up_to(last: int) -> UidSet:
    """Return all UIDs up to one, which may be 0."""
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
