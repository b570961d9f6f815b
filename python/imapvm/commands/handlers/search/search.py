"""SEARCH and UID SEARCH (RFC 9051 sections 6.4.4 and 6.4.9), with ESEARCH, SEARCHRES and PARTIAL.

With the key MODSEQ, the response has the highest MODSEQ of the messages in it (RFC 7162 section
3.1.5): as of its writing, and at most that of the mailbox when the search began, so that a client
that takes it for the state of its own copy misses no change.

The index and the header columns decide what they can, message metadata most of the rest; message
bytes are read last.
"""

from collections.abc import Iterator
from typing import Final

from imapvm._core import (
    BoundSearch,
    Search,
    SearchProgram,
    UidSet,
    UndecidedMessages,
    imap_string,
)
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.search.search_bodies import gather, search_bodies
from imapvm.commands.outcome import DONE, DONE_WITH_NUMBERS, Done, Refusal

SCAN_BATCH: Final = 16 * 1024
"""Messages scanned in one read transaction: about 1 MB of index, under a millisecond."""
SCAN_KEYS: Final = 1024 * 1024
"""Messages times keys in one batch: about two milliseconds."""
SCAN_LOOKUPS: Final = 128 * 1024
"""Messages times header keys in one batch, each compared with the text of a header column: about
two milliseconds."""
SCAN_BATCH_MIN: Final = 64
"""Lower limit, for any number of keys: a segment of the index has up to 35 messages."""

RESULT_NUMBERS: Final = 8 * 1024
"""Numbers of a result that are written at a time: at most 88 KiB, in about a millisecond."""

EVERYTHING: Final = frozenset({"ALL"})
LISTS: Final = frozenset({"ALL", "PARTIAL"})
"""Options that return numbers, as many as match."""


async def search(ctx: SelectedContext, command: Search) -> Done:
    """Search batch by batch, and write SEARCH or ESEARCH."""
    try:
        limit = modseq_limit(ctx, command.program)
        bound = _bind(ctx, command.program)
        size = _batch_size(bound)
        batch, remaining = bound.candidates.split(size)
        found, undecided = _scan(ctx, bound, batch)
        if undecided or remaining:  # else one coroutine is enough, which is cheaper
            found = await _finish(ctx, bound, size, (batch, found, undecided), remaining)
        modseq = None
        if limit is not None:
            modseq = await _highest_modseq(ctx, _returned(command, found), limit)
    except BaseException as error:
        empty_saved_result(ctx, command.returns, error)
        raise
    if len(found) <= RESULT_NUMBERS:
        _write_result(ctx, command, found, modseq)
    else:
        await _send_result(ctx, command, found, modseq)
    return search_done(ctx, command.program)


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


def _returned(command: Search, found: UidSet) -> UidSet:
    """Return the messages that MODSEQ is about (RFC 4731 section 3.2)."""
    returns = (command.returns or EVERYTHING) - {"SAVE"}
    return _to_save(command, returns, found) if returns else UidSet()


def _to_save(command: Search, returns: frozenset[str], found: UidSet) -> UidSet:
    window = None if command.window is None else found.window(*command.window)
    return to_save(returns, found, found.first, found.last, window)


async def _highest_modseq(ctx: SelectedContext, uids: UidSet, limit: int) -> int | None:
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


async def find(ctx: SelectedContext, program: SearchProgram | None) -> UidSet:
    """Return the UIDs of the messages that match.

    Args:
        ctx: the selected mailbox.
        program: the keys; None for an unknown charset.

    Raises:
        Refusal: NO for an unknown charset.
        StoreUnavailableError: the filepool cannot be read now.
        CorruptError: an index segment, message metadata or a message is corrupt.
    """
    bound = _bind(ctx, program)
    size = _batch_size(bound)
    batch, remaining = bound.candidates.split(size)
    return await _finish(ctx, bound, size, (batch, *_scan(ctx, bound, batch)), remaining)


def empty_saved_result(
    ctx: SelectedContext, returns: frozenset[str] | None, error: BaseException
) -> None:
    """Empty `$` after a search that was to save its result and failed.

    RFC 9051 section 6.4.4.1: NO leaves `$` empty, BAD leaves it unchanged.
    """
    if returns is not None and "SAVE" in returns and not (isinstance(error, Refusal) and error.bad):
        ctx.view.saved = UidSet()


def _bind(ctx: SelectedContext, program: SearchProgram | None) -> BoundSearch:
    """Bind the search keys to the mailbox as the client has counted it.

    Raises:
        Refusal: the charset is unknown.
    """
    view = ctx.view
    if program is None:
        raise Refusal("unknown charset", code="BADCHARSET (US-ASCII UTF-8)")
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


def _batch_size(bound: BoundSearch) -> int:
    size = min(SCAN_BATCH, SCAN_KEYS // bound.keys, SCAN_LOOKUPS // max(bound.lookups, 1))
    return max(size, SCAN_BATCH_MIN)


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
    found = UidSet()
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
        await ctx.yield_control()
        batch, remaining = remaining.split(size)
        scanned = (batch, *_scan(ctx, bound, batch))


def _scan(
    ctx: SelectedContext, bound: BoundSearch, uids: UidSet
) -> tuple[UidSet, UndecidedMessages]:
    store = ctx.store
    with store.reading() as reader:
        return bound.scan(reader.snapshot, ctx.mailbox_row(reader).id, uids, store.columns)


def _write_result(ctx: SelectedContext, command: Search, found: UidSet, modseq: int | None) -> None:
    """Write SEARCH, or ESEARCH for RETURN and for IMAP4rev2 (RFC 9051 section 7.3.4)."""
    view, returns = ctx.view, command.returns
    if returns is not None and "SAVE" in returns:
        view.saved = _to_save(command, returns, found)
        returns -= {"SAVE"}
        if not returns:
            return
    numbers = found if command.uid else view.numbers.numbers(found)
    if returns is None and not ctx.session.rev2:
        if modseq is None:
            ctx.out.search(numbers)
        else:
            ctx.out.raw(b"* SEARCH%b%b" % (b"".join(_words(numbers)), _search_end(modseq)))
    else:
        line = _esearch(command, returns or EVERYTHING, numbers)
        ctx.out.untagged(line + _esearch_modseq(modseq))


def _search_end(modseq: int | None) -> bytes:
    """Return the end of a SEARCH response (RFC 7162 section 3.1.6)."""
    return b"\r\n" if modseq is None else b" (MODSEQ %d)\r\n" % modseq


def _esearch_modseq(modseq: int | None) -> bytes:
    """Return the result option MODSEQ of ESEARCH (RFC 7162 section 3.1.10)."""
    return b"" if modseq is None else b" MODSEQ %d" % modseq


async def _send_result(
    ctx: SelectedContext, command: Search, found: UidSet, modseq: int | None
) -> None:
    """Write a long result as `_write_result`, in pieces that are sent one after another."""
    returns = (command.returns or EVERYTHING) - {"SAVE"}
    listed = found if command.window is None else found.window(*command.window)
    if returns.isdisjoint(LISTS) or len(listed) <= RESULT_NUMBERS:
        _write_result(ctx, command, found, modseq)  # no long list, or nothing but SAVE
        return
    view, out = ctx.view, ctx.out
    if command.returns is not None and "SAVE" in command.returns:
        view.saved = _to_save(command, command.returns, found)
    numbers = found if command.uid else view.numbers.numbers(found)
    if command.returns is None and not ctx.session.rev2:
        out.raw(b"* SEARCH")
        pieces, end = _words(numbers), _search_end(modseq)
    else:
        out.raw(b"* " + _esearch(command, returns - LISTS, numbers))
        end = _esearch_modseq(modseq) + b"\r\n"
        if command.window is None:
            out.raw(b" ALL ")
        else:
            out.raw(b" PARTIAL (%d:%d " % command.window)
            numbers, end = numbers.window(*command.window), b")" + end
        pieces = _ranges(numbers)
    # Nothing but the end of the connection can interrupt the line.
    for piece in pieces:
        out.raw(piece)
        await ctx.flush()
        await ctx.yield_control()
    out.raw(end)


def _words(numbers: UidSet) -> Iterator[bytes]:
    """Yield the numbers, each after a space, in pieces."""
    while numbers:
        piece, numbers = numbers.split(RESULT_NUMBERS)
        yield b"".join([b" %d" % number for number in piece])


def _ranges(numbers: UidSet) -> Iterator[bytes]:
    """Yield the numbers as a sequence set in pieces; no range is cut."""
    comma, low = b"", None
    while numbers:
        piece, numbers = numbers.split(RESULT_NUMBERS)
        text = piece.to_imap()
        if low is not None:  # the first range has begun in the piece before
            first, more, rest = text.partition(b",")
            text = b"%b:%b%b%b" % (low, first.rpartition(b":")[2], more, rest)
            low = None
        if numbers and piece.last is not None and numbers.first == piece.last + 1:
            text, _, last = text.rpartition(b",")
            low = last.partition(b":")[0]
        if text:
            yield comma + text
            comma = b","


def _esearch(command: Search, returns: frozenset[str], numbers: UidSet) -> bytes:
    words = [esearch_head(command.tag, uid=command.uid)]
    if numbers.first is not None and numbers.last is not None:
        if "MIN" in returns:
            words.append(b"MIN %d" % numbers.first)
        if "MAX" in returns:
            words.append(b"MAX %d" % numbers.last)
    if "COUNT" in returns:
        words.append(b"COUNT %d" % len(numbers))
    if "ALL" in returns and numbers:
        words.append(b"ALL " + numbers.to_imap())
    if "PARTIAL" in returns and command.window is not None:
        listed = numbers.window(*command.window).to_imap() or b"NIL"
        words.append(b"PARTIAL (%d:%d %b)" % (*command.window, listed))
    return b" ".join(words)


def esearch_head(tag: bytes, *, uid: bool) -> bytes:
    """Return the start of an ESEARCH response, without the data."""
    return b"ESEARCH (TAG %s)%s" % (imap_string(tag), b" UID" if uid else b"")


def to_save(
    returns: frozenset[str],
    found: UidSet,
    first: int | None,
    last: int | None,
    window: UidSet | None,
) -> UidSet:
    """Return the new `$`: of MIN, MAX and PARTIAL, only what they return.

    RFC 5182 section 2.4, RFC 9394 section 3.2.

    Args:
        returns: options of RETURN.
        found: the messages that match.
        first: UID for MIN.
        last: UID for MAX.
        window: the messages of PARTIAL; None without it.
    """
    if returns & {"ALL", "COUNT"} or returns.isdisjoint(("MIN", "MAX", "PARTIAL")):
        return found
    ends = {first if "MIN" in returns else None, last if "MAX" in returns else None}
    saved = UidSet.of(end for end in ends if end is not None)
    return saved if window is None else saved | window
