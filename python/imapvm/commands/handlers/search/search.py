"""SEARCH and UID SEARCH (RFC 9051 sections 6.4.4 and 6.4.9), with ESEARCH and SEARCHRES.

The index and header columns decide what they can, a digest most of the rest, and only then octets
are read.
"""

from collections.abc import Awaitable
from typing import Final

from imapvm._core import BoundSearch, Search, UidSet, Undecided, imap_string
from imapvm.commands.context import Context, Done, Refusal
from imapvm.commands.handlers.search.search_bodies import decide, gather
from imapvm.commands.selected import selected, selected_row
from imapvm.filepool.store import AccountStore
from imapvm.session.view import View

SCAN_BATCH: Final = 16 * 1024
"""Messages scanned in one read transaction: about 1 MB of index, under a millisecond."""

SCAN_BATCH_MIN: Final = 1024
"""However many header keys there are."""

EVERYTHING: Final = frozenset({"ALL"})


def search(ctx: Context, command: Search) -> Done | Awaitable[Done]:
    """Answer at once what the index decides in one batch; else batch by batch."""
    view, store = selected(ctx)
    program = command.program
    if program is None:
        if command.returns is not None and "SAVE" in command.returns:
            view.saved = UidSet()  # RFC 9051 section 6.4.4.1: NO leaves $ empty
        raise Refusal("the charset is not known", code="BADCHARSET (US-ASCII UTF-8)")
    if program.asks_modseq:
        raise Refusal("MODSEQ needs CONDSTORE, which is not offered", bad=True)
    with store.reading() as reader:
        keyword_sets = reader.keywords(selected_row(view, reader))
    bound = program.bind(
        numbers=view.numbers,
        saved=view.saved,
        recent=view.recent,
        keyword_sets=keyword_sets,
        now=int(ctx.services.clock()),
    )
    if bound is None:
        raise Refusal(f"there are only {len(view.numbers)} messages", bad=True)
    # Each header key looks through the texts of a whole batch.
    batch = max(SCAN_BATCH // max(bound.lookups, 1), SCAN_BATCH_MIN)
    if len(bound.candidates) <= batch and (bound.lookups or not program.needs_digest):
        found, undecided = _scan(view, store, bound, bound.candidates)
        if not undecided:
            return _answer(ctx, view, command, found)
    return _search_batches(ctx, command, bound, batch)


async def _search_batches(ctx: Context, command: Search, bound: BoundSearch, batch: int) -> Done:
    view, store = selected(ctx)
    left, found = bound.candidates, UidSet()
    save = command.returns is not None and "SAVE" in command.returns
    try:
        while left:
            now, left = left.split(batch)
            decided, undecided = _scan(view, store, bound, now)
            if undecided and bound.lookups and await gather(ctx, store, undecided):
                decided, undecided = _scan(view, store, bound, now)
            found |= decided
            found |= await decide(ctx, store, undecided)
            await ctx.breathe()
    except BaseException:
        if save:  # RFC 9051 section 6.4.4.1: a search that fails leaves $ empty
            view.saved = UidSet()
        raise
    return _answer(ctx, view, command, found)


def _scan(
    view: View, store: AccountStore, bound: BoundSearch, uids: UidSet
) -> tuple[UidSet, Undecided]:
    with store.reading() as reader:
        return bound.scan(reader.snapshot, selected_row(view, reader).id, uids, store.columns)


def _answer(ctx: Context, view: View, command: Search, found: UidSet) -> Done:
    """SEARCH, or ESEARCH where RETURN or IMAP4rev2 asks for it (RFC 9051 section 7.3.4)."""
    returns = command.returns
    if returns is not None and "SAVE" in returns:
        view.saved = _to_save(returns, found)
        returns -= {"SAVE"}
        if not returns:
            return Done("searched and saved")
    numbers = found if command.uid else view.numbers.numbers(found)
    if returns is None and not ctx.session.rev2:
        ctx.out.search(numbers)
    else:
        ctx.out.untagged(_esearch(command, returns or EVERYTHING, numbers))
    return Done("searched")


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
    """What `$` becomes: only the ends where only MIN or MAX are asked (RFC 5182 section 2.4)."""
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
