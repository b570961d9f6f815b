"""Responses of SEARCH: SEARCH, or ESEARCH (RFC 9051 section 7.3.4), and what SAVE saves."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, Protocol, TypeAlias

from imapvm._core import UidSet, imap_string
from imapvm.commands.context import SelectedContext

RESULT_NUMBERS: Final = 8 * 1024
"""Numbers of a result that are written at a time: at most 88 KiB, in about a millisecond."""

EVERYTHING: Final = frozenset({"ALL"})
LISTS: Final = frozenset({"ALL", "PARTIAL"})
"""Options that return numbers, as many as match."""
LONG: Final = LISTS | {"RELEVANCY"}
SCORES_PIECE: Final = 1024
"""Scores that are written at a time, in half a millisecond."""

Scores: TypeAlias = list[tuple[UidSet, int]]
"""Sets of messages, and the relevancy of each in them (RFC 6203 section 4)."""


class ReplyOptions(Protocol):
    """Options of a search command for its response: a `Search` has them."""

    @property
    def tag(self) -> bytes: ...
    @property
    def uid(self) -> bool: ...
    @property
    def returns(self) -> frozenset[str] | None: ...
    @property
    def window(self) -> tuple[int, int] | None: ...


def returned(reply: ReplyOptions, found: UidSet) -> UidSet:
    """Return the messages that MODSEQ is about (RFC 4731 section 3.2)."""
    returns = (reply.returns or EVERYTHING) - {"SAVE"}
    return _saved(reply, returns, found) if returns else UidSet()


def _saved(reply: ReplyOptions, returns: frozenset[str], found: UidSet) -> UidSet:
    window = None if reply.window is None else found.window(*reply.window)
    return to_save(returns, found, found.first, found.last, window)


def write_result(
    ctx: SelectedContext,
    reply: ReplyOptions,
    found: UidSet,
    modseq: int | None,
    head: bytes | None = None,
    scores: Scores | None = None,
) -> None:
    """Write SEARCH, or ESEARCH for RETURN and for IMAP4rev2 (RFC 9051 section 7.3.4).

    Args:
        ctx: gets the response; its view, `$`.
        reply: options of the reply.
        found: the messages that match.
        modseq: for the result option MODSEQ; None without it.
        head: start of the ESEARCH response; None for `esearch_head`.
        scores: for the result option RELEVANCY.
    """
    view, returns = ctx.view, reply.returns
    if returns is not None and "SAVE" in returns:
        view.saved = _saved(reply, returns, found)
        returns -= {"SAVE"}
        if not returns:
            return
    numbers = found if reply.uid else view.numbers.numbers(found)
    if returns is None and not ctx.session.rev2:
        if modseq is None:
            ctx.out.search(numbers)
        else:
            ctx.out.raw(b"* SEARCH%b%b" % (b"".join(_words(numbers)), _search_end(modseq)))
    else:
        line = _esearch(reply, returns or EVERYTHING, numbers, head)
        if scores is not None:
            line += b" RELEVANCY (%b)" % b"".join(_scores(_listed(reply, found), scores))
        ctx.out.untagged(line + _esearch_modseq(modseq))


def _search_end(modseq: int | None) -> bytes:
    """Return the end of a SEARCH response (RFC 7162 section 3.1.6)."""
    return b"\r\n" if modseq is None else b" (MODSEQ %d)\r\n" % modseq


def _esearch_modseq(modseq: int | None) -> bytes:
    """Return the result option MODSEQ of ESEARCH (RFC 7162 section 3.1.10)."""
    return b"" if modseq is None else b" MODSEQ %d" % modseq


async def send_result(
    ctx: SelectedContext,
    reply: ReplyOptions,
    found: UidSet,
    modseq: int | None,
    head: bytes | None = None,
    scores: Scores | None = None,
) -> None:
    """Write a long result as `write_result`, in pieces that are sent one after another."""
    returns = (reply.returns or EVERYTHING) - {"SAVE"}
    listed = _listed(reply, found)
    if returns.isdisjoint(LONG) or len(listed) <= RESULT_NUMBERS:
        write_result(ctx, reply, found, modseq, head, scores)  # nothing long, or only SAVE
        return
    view, out = ctx.view, ctx.out
    if reply.returns is not None and "SAVE" in reply.returns:
        view.saved = _saved(reply, reply.returns, found)
    numbers = found if reply.uid else view.numbers.numbers(found)
    pieces: list[Iterable[bytes]]
    if reply.returns is None and not ctx.session.rev2:
        pieces = [[b"* SEARCH"], _words(numbers), [_search_end(modseq)]]
    else:
        pieces = [[b"* " + _esearch(reply, returns - LISTS, numbers, head)]]
        if "ALL" in returns:
            pieces += [[b" ALL "], _ranges(numbers)]
        elif reply.window is not None:
            window = numbers.window(*reply.window)
            pieces += [[b" PARTIAL (%d:%d " % reply.window], _ranges(window), [b")"]]
        if scores is not None:
            pieces += [[b" RELEVANCY ("], _scores(listed, scores), [b")"]]
        pieces += [[_esearch_modseq(modseq) + b"\r\n"]]
    # Nothing but the end of the connection can interrupt the line.
    for piece in chain.from_iterable(pieces):
        out.raw(piece)
        await ctx.flush()
        await ctx.yield_control()


def _listed(reply: ReplyOptions, found: UidSet) -> UidSet:
    """Return the messages that ALL, PARTIAL and RELEVANCY are about."""
    return found if reply.window is None else found.window(*reply.window)


def _scores(uids: UidSet, scores: Scores) -> Iterator[bytes]:
    """Yield the relevancy of messages in pieces."""
    space = b""
    while uids:
        piece, uids = uids.split(SCORES_PIECE)
        by_uid = {uid: score for group, score in scores for uid in group & piece}
        yield space + b" ".join([b"%d" % by_uid[uid] for uid in piece])
        space = b" "


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


def _esearch(
    reply: ReplyOptions, returns: frozenset[str], numbers: UidSet, head: bytes | None
) -> bytes:
    words = [esearch_head(reply.tag, uid=reply.uid) if head is None else head]
    if numbers.first is not None and numbers.last is not None:
        if "MIN" in returns:
            words.append(b"MIN %d" % numbers.first)
        if "MAX" in returns:
            words.append(b"MAX %d" % numbers.last)
    if "COUNT" in returns:
        words.append(b"COUNT %d" % len(numbers))
    if "ALL" in returns and numbers:
        words.append(b"ALL " + numbers.to_imap())
    if "PARTIAL" in returns and reply.window is not None:
        listed = numbers.window(*reply.window).to_imap() or b"NIL"
        words.append(b"PARTIAL (%d:%d %b)" % (*reply.window, listed))
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
