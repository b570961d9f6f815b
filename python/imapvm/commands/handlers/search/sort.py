"""SORT, THREAD and their UID forms (RFC 5256), with SORT=DISPLAY (RFC 5957) and ESORT (RFC 5267).

Positions of PARTIAL are those in the order of SORT (RFC 5267 section 4.4, RFC 9394).

The messages are found as by SEARCH. Their keys are in columns in memory; the extension reads what
is missing from message metadata, in threads, and no message is opened.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from imapvm._core import ArrangedMessages, Arranger, KeyBuilder, Sort, Thread, UidSet
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.search.filters import with_filters
from imapvm.commands.handlers.search.results import Scores, esearch_head, to_save
from imapvm.commands.handlers.search.search import (
    check_fuzzy,
    empty_saved_result,
    find,
    modseq_limit,
    relevancy,
    require_uids,
    search_done,
)
from imapvm.commands.handlers.search.search_bodies import FEW, finish, thread_count
from imapvm.commands.handlers.search.updating import keep_updated, start_updating
from imapvm.commands.outcome import Done, Refusal
from imapvm.commands.threads import run_in_threads
from imapvm.model.limits import SORT_KEYS_BYTES_MAX
from imapvm.session.live_results import write_no_update

INDEX_BATCH: Final = 16 * 1024
"""Messages whose index is read in one transaction: under a millisecond."""
FEW_ARRANGED: Final = 1024
"""Messages that are arranged on the event loop: some 0.2 ms."""
PIECE_BYTES: Final = 64 * 1024
"""Part of a response that is sent at a time."""

ALL: Final = frozenset({"ALL"})


async def sort(ctx: SelectedContext, command: Sort) -> Done:
    """Search, sort, and write SORT, or ESEARCH for RETURN (RFC 5267 section 3)."""
    _require_charset(ctx, command)
    returns = command.returns
    by_relevancy = command.arrangement.by_relevancy
    kept = None
    try:
        program = await with_filters(ctx, command.program)
        require_uids(ctx, program)
        check_fuzzy(program, returns, by_relevancy=by_relevancy)
        if command.update:
            kept = start_updating(ctx, program, command.tag, command.update_items)
        modseq = modseq_limit(ctx, program)
        found = await find(ctx, program, command.tag)
        scores: Scores = []
        if by_relevancy or (returns is not None and "RELEVANCY" in returns):
            scores = await relevancy(ctx, program, found)
        arranged = None
        if returns is None:
            arranged = await _arrange(ctx, command, found, scores=scores, modseq=modseq)
        elif returns != {"SAVE"} or command.update:
            head = esearch_head(command.tag, uid=command.uid)
            data = (returns - {"SAVE"}) or ALL
            arranged = await _arrange(
                ctx,
                command,
                found,
                esearch=head,
                returns=data,
                window=command.window,
                scores=scores,
                modseq=modseq,
            )
    except BaseException as error:
        empty_saved_result(ctx, returns, error)
        raise
    if returns is not None and "SAVE" in returns:
        first, last, window = None, None, None
        if arranged is not None:
            first, last = arranged.first, arranged.last
            window = None if command.window is None else arranged.window(*command.window)
        ctx.view.saved = to_save(returns, found, first, last, window)
    if arranged is not None and (returns is None or returns != {"SAVE"}):
        await _write(ctx, arranged)
    if kept is not None and arranged is not None:
        if by_relevancy:
            write_no_update(ctx.out, command.tag, "order by RELEVANCY")
        else:
            chosen = ctx.session.comparator
            order = arranged.order(
                command.arrangement, collation=chosen.number, descending=chosen.descending
            )
            keep_updated(ctx, kept, order=order, uid=command.uid)
    return search_done(ctx, program)


async def thread(ctx: SelectedContext, command: Thread) -> Done:
    """Search, thread, and write THREAD, which has no MODSEQ (RFC 7162 section 3.1.9)."""
    _require_charset(ctx, command)
    program = await with_filters(ctx, command.program)
    require_uids(ctx, program)
    check_fuzzy(program, None)
    modseq_limit(ctx, program)  # enables CONDSTORE
    found = await find(ctx, program, command.tag)
    await _write(ctx, await _arrange(ctx, command, found))
    return search_done(ctx, program)


def _require_charset(ctx: SelectedContext, command: Sort | Thread) -> None:
    """Refuse other charsets than UTF-8 after ENABLE UTF8=ACCEPT (RFC 9755 section 3)."""
    if command.program is None and "UTF8=ACCEPT" in ctx.session.enabled:
        raise Refusal("charset is not UTF-8, which UTF8=ACCEPT requires", bad=True)


async def _arrange(
    ctx: SelectedContext,
    command: Sort | Thread,
    found: UidSet,
    *,
    esearch: bytes | None = None,
    returns: frozenset[str] = ALL,
    window: tuple[int, int] | None = None,
    scores: Sequence[tuple[UidSet, int]] = (),
    modseq: int | None = None,
) -> ArrangedMessages:
    """Return the messages in order, and the response.

    Raises:
        Refusal: the keys are too long.
        StoreUnavailableError: the filepool cannot be read now.
        CorruptError: the metadata of a message is corrupt.
    """
    async with AsyncExitStack() as stack:
        if len(found) > FEW_ARRANGED:
            await ctx.start_long_sort(stack)
        arranger, builders = await _read_index(ctx, command, found)
        missing = sum(map(len, builders))
        try:
            await finish(ctx, builders, inline=missing <= FEW)
        except OverflowError as error:
            raise Refusal("cannot sort: too many long keys", code="LIMIT") from error
        for uids, score in scores:
            arranger.score(uids, score)
        results: list[ArrangedMessages] = []

        def arrange() -> None:
            numbers = None if command.uid else ctx.view.numbers
            results.append(
                arranger.arrange(
                    builders,
                    numbers=numbers,
                    esearch=esearch,
                    returns=returns,
                    window=window,
                    modseq=modseq,
                )
            )

        if len(found) <= FEW_ARRANGED and missing <= FEW:
            arrange()
        else:
            await run_in_threads(ctx.services, [arrange], ctx.progress)
    return results[0]


async def _read_index(
    ctx: SelectedContext, command: Sort | Thread, found: UidSet
) -> tuple[Arranger, list[KeyBuilder]]:
    """Read the index of the messages; return builders of their keys that are not in memory."""
    view, store = ctx.view, ctx.store
    arranger = command.arrangement.arranger(
        found=found,
        numbers=view.numbers,
        columns=store.key_columns,
        mailbox=view.mailbox,
        collation=ctx.session.comparator.number,
        descending=ctx.session.comparator.descending,
    )
    remaining = arranger.wanted
    while remaining:
        batch, remaining = remaining.split(INDEX_BATCH)
        with store.reading() as reader:
            ctx.mailbox_row(reader)  # exists
            arranger.read_index(reader.snapshot, batch)
        if remaining:
            await ctx.yield_control()
    return arranger, arranger.key_builders(thread_count(ctx), SORT_KEYS_BYTES_MAX)


async def _write(ctx: SelectedContext, arranged: ArrangedMessages) -> None:
    """Write the response; send all but its last piece."""
    while not arranged.write(ctx.out, PIECE_BYTES):
        await ctx.flush()
