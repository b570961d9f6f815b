"""SEARCH and UID SEARCH (RFC 9051 sections 6.4.4 and 6.4.9), with ESEARCH and SEARCHRES.

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

RESULT_NUMBERS: Final = 8 * 1024
"""Numbers of a result that are written at a time: at most 88 KiB, in about a millisecond."""

EVERYTHING: Final = frozenset({"ALL"})


async def search(ctx: SelectedContext, command: Search) -> Done:
    """Search batch by batch, and write SEARCH or ESEARCH."""
    try:
        bound = _bind(ctx, command.program)
        size = _batch_size(bound)
        batch, remaining = bound.candidates.split(size)
        found, undecided = _scan(ctx, bound, batch)
        if undecided or remaining:  # else one coroutine is enough, which is cheaper
            found = await _finish(ctx, bound, size, (batch, found, undecided), remaining)
    except BaseException as error:
        empty_saved_result(ctx, command.returns, error)
        raise
    if len(found) <= RESULT_NUMBERS:
        _write_result(ctx, command, found)
    else:
        await _send_result(ctx, command, found)
    return DONE


async def find(ctx: SelectedContext, program: SearchProgram | None) -> UidSet:
    """Return the UIDs of the messages that match.

    Args:
        ctx: the selected mailbox.
        program: the keys; None for an unknown charset.

    Raises:
        Refusal: NO for an unknown charset; BAD for keys that need CONDSTORE.
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
        Refusal: the charset is unknown, or the keys need CONDSTORE.
    """
    view = ctx.view
    if program is None:
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


def _write_result(ctx: SelectedContext, command: Search, found: UidSet) -> None:
    """Write SEARCH, or ESEARCH for RETURN and for IMAP4rev2 (RFC 9051 section 7.3.4)."""
    view, returns = ctx.view, command.returns
    if returns is not None and "SAVE" in returns:
        view.saved = to_save(returns, found, found.first, found.last)
        returns -= {"SAVE"}
        if not returns:
            return
    numbers = found if command.uid else view.numbers.numbers(found)
    if returns is None and not ctx.session.rev2:
        ctx.out.search(numbers)
    else:
        ctx.out.untagged(_esearch(command, returns or EVERYTHING, numbers))


async def _send_result(ctx: SelectedContext, command: Search, found: UidSet) -> None:
    """Write a long result as `_write_result`, in pieces that are sent one after another."""
    returns = (command.returns or EVERYTHING) - {"SAVE"}
    if command.returns is not None and "ALL" not in returns:
        _write_result(ctx, command, found)  # no list of numbers, or nothing but SAVE
        return
    view, out = ctx.view, ctx.out
    if command.returns is not None and "SAVE" in command.returns:
        view.saved = found
    numbers = found if command.uid else view.numbers.numbers(found)
    if command.returns is None and not ctx.session.rev2:
        out.raw(b"* SEARCH")
        pieces, end = _words(numbers), b"\r\n"
    else:
        out.raw(b"* " + _esearch(command, returns - {"ALL", "COUNT"}, numbers) + b" ALL ")
        pieces = _ranges(numbers)
        end = b" COUNT %d\r\n" % len(numbers) if "COUNT" in returns else b"\r\n"
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
        if "ALL" in returns:
            words.append(b"ALL " + numbers.to_imap())
    if "COUNT" in returns:
        words.append(b"COUNT %d" % len(numbers))
    return b" ".join(words)


def esearch_head(tag: bytes, *, uid: bool) -> bytes:
    """Return the start of an ESEARCH response, without the data."""
    return b"ESEARCH (TAG %s)%s" % (imap_string(tag), b" UID" if uid else b"")


def to_save(returns: frozenset[str], found: UidSet, first: int | None, last: int | None) -> UidSet:
    """Return the new `$`: for MIN or MAX alone, only those ends (RFC 5182 section 2.4).

    Args:
        returns: options of RETURN.
        found: the messages that match.
        first: UID for MIN.
        last: UID for MAX.
    """
    if returns & {"ALL", "COUNT"} or not returns & {"MIN", "MAX"}:
        return found
    ends = {first if "MIN" in returns else None, last if "MAX" in returns else None}
    return UidSet.of(end for end in ends if end is not None)
