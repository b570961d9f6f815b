"""SEARCH and UID SEARCH (RFC 9051 sections 6.4.4 and 6.4.9), with ESEARCH, SEARCHRES and PARTIAL.

With the key MODSEQ, the response has the highest MODSEQ of the messages in it (RFC 7162 section
3.1.5): as of its writing, and at most that of the mailbox when the search began, so that a client
that takes it for the state of its own copy misses no change.

The index and the header columns decide what they can, message metadata most of the rest; message
bytes are read last.
"""

from collections.abc import Collection
from typing import Final

from imapvm._core import (
    FUZZY_EDITS,
    FUZZY_NONE,
    FUZZY_WORDS,
    BoundSearch,
    Search,
    SearchProgram,
    UidSet,
    UndecidedMessages,
)
from imapvm.commands.context import AccountContext, SelectedContext
from imapvm.commands.handlers.search.filters import with_filters
from imapvm.commands.handlers.search.results import (
    RESULT_NUMBERS,
    Scores,
    returned,
    send_result,
    write_result,
)
from imapvm.commands.handlers.search.search_bodies import gather, search_bodies
from imapvm.commands.handlers.search.updating import keep_updated, start_updating
from imapvm.commands.outcome import DONE, DONE_WITH_NUMBERS, Done, Refusal
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import Mailbox
from imapvm.model.limits import FUZZY_TEXTS_MAX

SCAN_BATCH: Final = 16 * 1024
"""Messages scanned in one read transaction: about 1 MB of index, under a millisecond."""
SCAN_KEYS: Final = 1024 * 1024
"""Messages times keys in one batch: about two milliseconds."""
SCAN_LOOKUPS: Final = 128 * 1024
"""Messages times header keys in one batch, each compared with the text of a header column: about
two milliseconds."""
SCAN_BATCH_MIN: Final = 64
"""Lower limit, for any number of keys: a segment of the index has up to 35 messages."""

STRICTER: Final = ((FUZZY_NONE, 100), (FUZZY_WORDS, 70))
"""Differences that texts after FUZZY may have, and the relevancy of a message without more."""
LEAST_SCORE: Final = 40
"""Relevancy of a message in which a word is written in another way."""


async def search(ctx: SelectedContext, command: Search) -> Done:
    """Search batch by batch, and write SEARCH or ESEARCH."""
    kept = None
    try:
        program, limit = command.program, None
        extended = program is not None and program.has_extensions
        if extended:
            program = await with_filters(ctx, program)
            limit = modseq_limit(ctx, program)
        if extended or command.returns is not None:
            check_fuzzy(program, command.returns)
        require_uids(ctx, program)
        if command.update:
            kept = start_updating(ctx, program, command.tag, command.update_items)
        with ctx.store.reading() as reader:
            mailbox = ctx.mailbox_row(reader)
            bound = _bind(ctx, reader, mailbox, program)
            size = _batch_size(bound)
            candidates, limited = ctx.message_limit.newest(bound.candidates)
            batch, remaining = candidates.split(size)
            found, undecided = bound.scan(reader.snapshot, mailbox.id, batch, ctx.store.columns)
        if undecided or remaining:  # else one coroutine is enough, which is cheaper
            ctx.start_progress(command.tag, len(candidates))
            found = await _finish(ctx, bound, size, (batch, found, undecided), remaining)
        modseq = None
        if limit is not None:
            modseq = await highest_modseq(ctx, returned(command, found), limit)
        scores = None
        if command.returns is not None and "RELEVANCY" in command.returns:
            scores = await relevancy(ctx, program, found)
    except BaseException as error:
        empty_saved_result(ctx, command.returns, error)
        raise
    if len(found) <= RESULT_NUMBERS:
        write_result(ctx, command, found, modseq, scores=scores)
    else:
        await send_result(ctx, command, found, modseq, scores=scores)
    if kept is not None:
        keep_updated(ctx, kept, uids=found, uid=command.uid, limited=limited is not None)
    done = search_done(ctx, program)
    if limited is not None and done is DONE:
        return Done(limited)
    ctx.write_limited(limited)
    return done


def require_uids(ctx: AccountContext, program: SearchProgram | None) -> None:
    """Refuse message numbers among the keys after ENABLE UIDONLY (RFC 9586 section 3.1).

    `$` is no message number, nor is `*` in the set of the key UID.
    """
    if ctx.session.uidonly and program is not None and program.has_numbers:
        raise Refusal(
            "message numbers among the search keys: UIDONLY is enabled",
            code="UIDREQUIRED",
            bad=True,
        )


def modseq_limit(ctx: SelectedContext, program: SearchProgram | None) -> int | None:
    """Return the mailbox's MODSEQ if the key MODSEQ occurs, which enables CONDSTORE; else None."""
    if program is None or not program.needs_modseq:
        return None
    ctx.enable_condstore()
    with ctx.store.reading() as reader:
        return ctx.mailbox_row(reader).highest_modseq


def search_done(ctx: SelectedContext, program: SearchProgram | None) -> Done:
    """Return the end of a command, which holds back VANISHED if there are message numbers.

    In UID commands, too (RFC 7162 section 3.2.10.2).
    """
    numbers = ctx.session.qresync and program is not None and program.has_numbers
    return DONE_WITH_NUMBERS if numbers else DONE


async def highest_modseq(ctx: SelectedContext, uids: UidSet, limit: int) -> int | None:
    """Return the highest MODSEQ of some messages, at most `limit`; None if there are none."""
    highest, remaining = 0, uids
    while remaining:
        batch, remaining = remaining.split(SCAN_BATCH)
        with ctx.store.reading() as reader:
            mailbox = ctx.mailbox_row(reader).id
            highest = max(highest, reader.snapshot.highest_modseq(mailbox, batch))
        if remaining:
            await ctx.yield_control()
    # 0: all of them have been expunged since.
    return min(highest or limit, limit) if uids else None


async def find(
    ctx: SelectedContext,
    program: SearchProgram | None,
    tag: bytes | None = None,
    *,
    within: UidSet | None = None,
    tolerance: int = FUZZY_EDITS,
) -> UidSet:
    """Return the UIDs of the messages that match.

    Args:
        ctx: the selected mailbox.
        program: the keys; None for an unknown charset.
        tag: of SORT or THREAD, to limit its messages and report its progress; None not to.
        within: messages that may match; None for all.
        tolerance: of texts after FUZZY.

    Raises:
        Refusal: NO for an unknown charset, or for too many messages.
        StoreUnavailableError: the filepool cannot be read now.
        CorruptError: an index segment, message metadata or a message is corrupt.
    """
    with ctx.store.reading() as reader:
        bound = _bind(ctx, reader, ctx.mailbox_row(reader), program, tolerance)
    if tag is not None:
        ctx.message_limit.check(len(bound.candidates))
    candidates = bound.candidates if within is None else bound.candidates & within
    if tag is not None:
        ctx.start_progress(tag, len(candidates))
    return await _find(ctx, bound, candidates)


async def find_newest(
    ctx: SelectedContext, program: SearchProgram | None
) -> tuple[UidSet, str | None]:
    """Return the matches among the newest messages that MESSAGELIMIT allows to examine.

    Returns:
        The UIDs, and the response code if older messages were not examined; raises as `find`.
    """
    with ctx.store.reading() as reader:
        bound = _bind(ctx, reader, ctx.mailbox_row(reader), program)
    candidates, limited = ctx.message_limit.newest(bound.candidates)
    return await _find(ctx, bound, candidates), limited


def empty_saved_result(
    ctx: SelectedContext, returns: frozenset[str] | None, error: BaseException
) -> None:
    """Empty `$` after a search that was to save its result and failed.

    RFC 9051 section 6.4.4.1: NO leaves `$` empty, BAD leaves it unchanged.
    """
    if returns is not None and "SAVE" in returns and not (isinstance(error, Refusal) and error.bad):
        ctx.view.saved = UidSet()


def check_fuzzy(
    program: SearchProgram | None, returns: Collection[str] | None, *, by_relevancy: bool = False
) -> None:
    """Refuse RELEVANCY without FUZZY (RFC 6203 section 4), and too many texts after FUZZY.

    Args:
        program: the keys; None for an unknown charset.
        returns: options of RETURN.
        by_relevancy: True if RELEVANCY is a criterion of SORT.

    Raises:
        Refusal: BAD, or NO with LIMIT.
    """
    if program is None:
        return
    texts = program.fuzzy_texts
    if texts is None:
        if by_relevancy or (returns is not None and "RELEVANCY" in returns):
            raise Refusal("RELEVANCY without the search key FUZZY", bad=True)
    elif texts > FUZZY_TEXTS_MAX:
        raise Refusal(f"more than {FUZZY_TEXTS_MAX} texts after FUZZY", code="LIMIT")


async def relevancy(ctx: SelectedContext, program: SearchProgram | None, found: UidSet) -> Scores:
    """Return the scores of all messages found, in sets with equal scores (RFC 6203 section 4).

    The search is repeated among them with fewer differences allowed: a message has the score of the
    strictest search that finds it.
    """
    scores: Scores = []
    remaining = found
    for tolerance, score in STRICTER:
        if remaining:
            matching = await find(ctx, program, within=remaining, tolerance=tolerance)
            scores.append((matching, score))
            remaining -= matching
    return [*scores, (remaining, LEAST_SCORE)]


def _bind(
    ctx: SelectedContext,
    reader: Reader,
    mailbox: Mailbox,
    program: SearchProgram | None,
    tolerance: int = FUZZY_EDITS,
) -> BoundSearch:
    """Bind the search keys to the mailbox as the client has counted it.

    Raises:
        Refusal: the charset is unknown.
    """
    view = ctx.view
    if program is None:
        raise Refusal("unknown charset", code="BADCHARSET (US-ASCII UTF-8)")
    sets = mailbox.keyword_sets
    return program.bind(
        numbers=view.numbers,
        saved=view.saved,
        recent=view.recent,
        keywords=(reader.snapshot, mailbox.id, sets) if sets else None,
        now=int(ctx.services.clock()),
        seen=reader.private_seen(mailbox),
        id_bits=reader.id_bits,
        tolerance=tolerance,
        collation=ctx.session.comparator.number,
    )


def _batch_size(bound: BoundSearch) -> int:
    size = min(SCAN_BATCH, SCAN_KEYS // bound.keys, SCAN_LOOKUPS // max(bound.lookups, 1))
    return max(size, SCAN_BATCH_MIN)


async def _find(ctx: SelectedContext, bound: BoundSearch, candidates: UidSet) -> UidSet:
    size = _batch_size(bound)
    batch, remaining = candidates.split(size)
    return await _finish(ctx, bound, size, (batch, *_scan(ctx, bound, batch)), remaining)


async def _finish(
    ctx: SelectedContext,
    bound: BoundSearch,
    size: int,
    scanned: tuple[UidSet, UidSet, UndecidedMessages],
    remaining: UidSet,
) -> UidSet:
    """Return all matches.

    Args:
        ctx: the selected mailbox.
        bound: the search.
        size: messages in a batch.
        scanned: the first batch, its matches, and its undecided messages.
        remaining: candidates after the first batch.
    """
    found, done = UidSet(), 0
    while True:
        batch, decided, undecided = scanned
        if undecided:
            await ctx.yield_control()
            if bound.lookups and await gather(ctx, undecided):
                decided, undecided = _scan(ctx, bound, batch)
            decided |= await search_bodies(ctx, undecided, bound.texts)
        found = found | decided if found else decided
        if not remaining:
            return found
        done += len(batch)
        ctx.report(done)
        await ctx.yield_control()
        batch, remaining = remaining.split(size)
        scanned = (batch, *_scan(ctx, bound, batch))


def _scan(
    ctx: SelectedContext, bound: BoundSearch, uids: UidSet
) -> tuple[UidSet, UndecidedMessages]:
    store = ctx.store
    with store.reading() as reader:
        return bound.scan(reader.snapshot, ctx.mailbox_row(reader).id, uids, store.columns)
