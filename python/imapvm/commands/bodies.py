"""Send what `render_fetch` laid out: text, stretches of stored messages, decoded parts."""

from collections.abc import Iterator, Sequence
from typing import Final

from imapvm._core import BinarySlice, BodySlice, TransferDecoder
from imapvm.commands.context import Context, Refusal
from imapvm.filepool.store import AccountStore
from imapvm.model.ids import BodyId

SEND_OCTETS: Final = 64 * 1024
"""Octets that are gathered before they are sent."""
READ_OCTETS: Final = 128 * 1024
"""The most that is read from one body in one transaction."""
UNKNOWN_ENCODING: Final = -1


async def send_pieces(
    ctx: Context, store: AccountStore, pieces: Sequence[bytes | BodySlice | BinarySlice]
) -> None:
    """Send pieces in order, reading bodies as they go; some 200 KiB are held at most.

    Raises:
        Refusal: UNKNOWN-CTE (RFC 3516 section 4.3), before anything of these pieces was sent.
    """
    for piece in pieces:
        if isinstance(piece, BinarySlice) and piece.encoding == UNKNOWN_ENCODING:
            raise Refusal("the part's transfer encoding is not known", code="UNKNOWN-CTE")
    out = ctx.out
    for piece in pieces:
        match piece:
            case bytes():
                out.raw(piece)
            case BodySlice():
                for portion in _portions(store, piece):
                    out.raw(portion)
                    if len(out) >= SEND_OCTETS:
                        await ctx.flush()
            case BinarySlice():
                await _send_decoded(ctx, store, piece)
        if len(out) >= SEND_OCTETS:
            await ctx.flush()


def _portions(store: AccountStore, piece: BodySlice | BinarySlice) -> Iterator[bytes]:
    """The octets of a slice, each portion read in a transaction of its own."""
    offset, end = piece.offset, piece.offset + piece.length
    while offset < end:
        length = min(READ_OCTETS, end - offset)
        with store.reading() as reader:
            portion = reader.body(BodyId(piece.body), offset, length)
        yield portion
        offset += length


def _decoded(store: AccountStore, piece: BinarySlice) -> Iterator[bytes]:
    decoder = TransferDecoder(piece.encoding)
    for portion in _portions(store, piece):
        yield decoder.feed(portion)
    yield decoder.finish()


async def _send_decoded(ctx: Context, store: AccountStore, piece: BinarySlice) -> None:
    """Write a literal8, or the number of its octets (RFC 3516 section 4.2).

    Twice over the part, for its decoded length stands in front: a part may be larger than what
    may be held.
    """
    size = 0
    for portion in _decoded(store, piece):
        size += len(portion)
        await ctx.breathe()
    if piece.size_only:
        ctx.out.raw(b"%d" % size)
        return
    start = min(piece.start, size)
    left = size - start if piece.count is None else min(piece.count, size - start)
    ctx.out.raw(b"~{%d}\r\n" % left)
    for portion in _decoded(store, piece):
        part = portion[start : start + left]
        start = max(0, start - len(portion))
        left -= len(part)
        ctx.out.raw(part)
        if len(ctx.out) >= SEND_OCTETS:
            await ctx.flush()
