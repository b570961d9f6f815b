"""SEARCH and UID SEARCH (RFC 9051 sections 6.4.4 and 6.4.9), with ESEARCH and SEARCHRES.

The index and the header columns decide what they can, message metadata most of the rest; message
bytes are read last.
"""

from typing import Final

from imapvm._core import BoundSearch, Search, UidSet, UndecidedMessages, imap_string
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.search.search_bodies import gather, search_bodies
from imapvm.commands.outcome import DONE, Done, Refusal

SCAN_BATCH: Final = 16 * 1024
"""Messages scanned in one read transaction: about 1 MB of index, under a millisecond."""
SCAN_KEYS: Final = 1024 * 1024
"""Messages times keys in one batch: about two milliseconds."""
SCAN_LOOKUPS: Final = 128 * 1024
"""Messages times header keys in one batch, each compared with the text of a header column: about
two milliseconds."""
SCAN_BATCH_MIN: Final = 64
"""Lower limit, for any number of keys: a segment of the index has up to 64 messages."""

EVERYTHING: Final = frozenset({"ALL"})


async def search(ctx: SelectedContext, command: Search) -> Done:
    """Search batch by batch, and write SEARCH or ESEARCH."""
    view, program = ctx.view, command.program
    saves = command.returns is not None and "SAVE" in command.returns
    if program is None:
        if saves:
            view.saved = UidSet()  # RFC 9051 section 6.4.4.1: NO leaves $ empty
        raise Refusal("unknown charset", code="BADCHARSET (US-ASCII UTF-8)")
    if program.needs_modseq:
        raise Refusal("unknown search key MODSEQ: CONDSTORE is not offered", bad=True)
    with ctx.store.reading() as reader:
        mailbox = ctx.mailbox_row(reader)
        keyword_sets = reader.keywords(mailbox) if mailbox.keyword_sets else {}
    bound = program.bind(
        numbers=view.numbers,
        saved=view.saved,
        recent=view.recent,
        keyword_sets=keyword_sets,
        now=int(ctx.services.clock()),
    )
    try:
        found = await _find(ctx, bound)
    except BaseException:
        if saves:
            view.saved = UidSet()  # as above
        raise
    _write_result(ctx, command, found)
    return DONE


async def _find(ctx: SelectedContext, bound: BoundSearch) -> UidSet:
    size = min(SCAN_BATCH, SCAN_KEYS // bound.keys, SCAN_LOOKUPS // max(bound.lookups, 1))
    size = max(size, SCAN_BATCH_MIN)
    remaining, found = bound.candidates, UidSet()
    while remaining:
        await ctx.yield_control()
        batch, remaining = remaining.split(size)
        decided, undecided = _scan(ctx, bound, batch)
        if undecided:
            await ctx.yield_control()
            if bound.lookups and await gather(ctx, undecided):
                decided, undecided = _scan(ctx, bound, batch)
            decided |= await search_bodies(ctx, undecided, bound.texts)
        found |= decided
    return found


def _scan(
    ctx: SelectedContext, bound: BoundSearch, uids: UidSet
) -> tuple[UidSet, UndecidedMessages]:
    store = ctx.store
    with store.reading() as reader:
        return bound.scan(reader.snapshot, ctx.mailbox_row(reader).id, uids, store.columns)


def _write_result(ctx: SelectedContext, command: Search, found: UidSet) -> None:
    """Write SEARCH, or ESEARCH for RETURN and for IMAP4rev2 (RFC 9051 section 7.3.4)."""
    view, returns = ctx.view, command.returns
    if returns is not None and "SAVE" in returns:
        view.saved = _to_save(returns, found)
        returns -= {"SAVE"}
        if not returns:
            return
    numbers = found if command.uid else view.numbers.numbers(found)
    if returns is None and not ctx.session.rev2:
        ctx.out.search(numbers)
    else:
        ctx.out.untagged(_esearch(command, returns or EVERYTHING, numbers))


def _esearch(command: Search, returns: frozenset[str], numbers: UidSet) -> bytes:
    words = [b"ESEARCH (TAG %s)" % imap_string(command.tag)]
    if command.uid:
        words.append(b"UID")
    if numbers.first is not None and numbers.last is not None:
        if "MIN" in returns:
            words.append(b"MIN %d" % numbers.first)
        if "MAX" in returns:
            words.append(b"MAX %d" % numbers.last)
        if "ALL" in returns:
            words.append(b"ALL " + numbers.to_imap())
    if "COUNT" in returns:
        words.append(b"COUNT %d" % len(numbers))
    return b" ".join(words)


def _to_save(returns: frozenset[str], found: UidSet) -> UidSet:
    """Return the new `$`: for MIN or MAX alone, only those ends (RFC 5182 section 2.4)."""
    if returns & {"ALL", "COUNT"} or not returns & {"MIN", "MAX"}:
        return found
    if found.first is None or found.last is None:
        return found
    ends = []
    if "MIN" in returns:
        ends.append(found.first)
    if "MAX" in returns:
        ends.append(found.last)
    return UidSet.of(ends)
