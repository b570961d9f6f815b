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
"""Lower limit, for any number of keys: a segment of the index has up to 35 messages."""

EVERYTHING: Final = frozenset({"ALL"})


async def search(ctx: SelectedContext, command: Search) -> Done:
    """Search batch by batch, and write SEARCH or ESEARCH."""
    bound = _bind(ctx, command)
    size = min(SCAN_BATCH, SCAN_KEYS // bound.keys, SCAN_LOOKUPS // max(bound.lookups, 1))
    size = max(size, SCAN_BATCH_MIN)
    remaining, found = bound.candidates, UidSet()
    try:
        while remaining:
            batch, remaining = remaining.split(size)
            decided, undecided = _scan(ctx, bound, batch)
            if undecided:
                await ctx.yield_control()
                if bound.lookups and await gather(ctx, undecided):
                    decided, undecided = _scan(ctx, bound, batch)
                decided |= await search_bodies(ctx, undecided, bound.texts)
            found = found | decided if found else decided
            if remaining:
                await ctx.yield_control()
    except BaseException:
        _empty_saved(ctx, command)
        raise
    _write_result(ctx, command, found)
    return DONE


def _bind(ctx: SelectedContext, command: Search) -> BoundSearch:
    """Bind the search keys to the mailbox as the client has counted it.

    Raises:
        Refusal: the charset is unknown, or the keys need CONDSTORE.
    """
    view, program = ctx.view, command.program
    if program is None:
        _empty_saved(ctx, command)
        raise Refusal("unknown charset", code="BADCHARSET (US-ASCII UTF-8)")
    if program.needs_modseq:
        raise Refusal("unknown search key MODSEQ: CONDSTORE is not offered", bad=True)
    with ctx.store.reading() as reader:
        mailbox = ctx.mailbox_row(reader)
        sets = mailbox.keyword_sets
        return program.bind(
            numbers=view.numbers,
            saved=view.saved,
            recent=view.recent,
            keywords=(reader.snapshot, mailbox.id, sets) if sets else None,
            now=int(ctx.services.clock()),
        )


def _empty_saved(ctx: SelectedContext, command: Search) -> None:
    """Empty $ for a search with SAVE that ends with NO (RFC 9051 section 6.4.4.1)."""
    if command.returns is not None and "SAVE" in command.returns:
        ctx.view.saved = UidSet()


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
