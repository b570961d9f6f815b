"""UIDBATCHES (RFC 10022): ranges of UIDs with so many messages in each, the newest first.

They are made of the messages that the client has counted. The ranges adjoin, and the oldest one
ends at 1, so that no UID up to the highest one is between two of them.
"""

from collections.abc import Iterator

from imapvm._core import UidBatches, UidMap, imap_string
from imapvm.commands.context import SelectedContext
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.model.ids import SeqNum
from imapvm.model.limits import UIDBATCH_MESSAGES_MIN, UIDBATCHES_MESSAGES_MAX
from imapvm.session.served_batches import ServedBatches


def uid_batches(ctx: SelectedContext, command: UidBatches) -> Done:
    """Write UIDBATCHES; `$` is left as it is (RFC 10022 section 3.1)."""
    view, size = ctx.view, command.size
    count = len(view.numbers)
    batches = -(-count // size)
    first, last = command.batches or (1, batches)
    if command.batches is not None and first > last:
        raise Refusal(
            "cannot UIDBATCHES: the range of batches descends", code="CLIENTBUG", bad=True
        )
    if size < UIDBATCH_MESSAGES_MIN:
        raise Refusal(
            f"cannot UIDBATCHES: a batch has at least {UIDBATCH_MESSAGES_MIN} messages",
            code="TOOFEW",
        )
    limit = max(ctx.message_limit.messages, UIDBATCH_MESSAGES_MIN)
    if ctx.message_limit.messages and min(size, count) > limit:
        # The client could not name a whole batch in another command.
        raise Refusal(
            f"cannot UIDBATCHES: a batch has at most {limit} messages here", code="TOOMANY"
        )
    asked = size * (last - first + 1)
    if command.batches is None:
        asked = count if batches > 1 else 0  # one range is always possible
    if asked > UIDBATCHES_MESSAGES_MAX:
        raise Refusal(
            f"cannot UIDBATCHES: more than {UIDBATCHES_MESSAGES_MAX} messages", code="TOOMANY"
        )
    last = min(last, batches)
    if view.served_batches is None:
        view.served_batches = ServedBatches()
    if first <= last and not view.served_batches.serve(view.numbers, size, first, last):
        raise Refusal("cannot UIDBATCHES: these ranges have been sent already", code="LIMIT")
    line = b"UIDBATCHES (TAG %b)" % imap_string(command.tag)
    ranges = b",".join(_ranges(view.numbers, size, first, last))
    ctx.out.untagged(b"%b %b" % (line, ranges) if ranges else line)
    return DONE


def _ranges(numbers: UidMap, size: int, first: int, last: int) -> Iterator[bytes]:
    """Yield the ranges of some batches, each with its highest UID in front."""
    count = len(numbers)
    for batch in range(first, last + 1):
        newest = count - (batch - 1) * size
        above = numbers.uid(SeqNum(newest + 1))
        high = numbers.last_uid if above is None else above - 1
        low = 1 if newest <= size else numbers.uid(SeqNum(newest - size + 1))
        yield b"%d:%d" % (high or 0, low or 0)  # both exist: the batch has messages
