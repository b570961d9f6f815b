"""Decoded parts of messages: BINARY (RFC 3516, RFC 9051)."""

from collections.abc import Iterable, Iterator
from typing import Final

from imapvm._core import BinarySlice, TransferDecoder
from imapvm.commands.context import SEND_BYTES, SelectedContext
from imapvm.filepool.store import AccountStore
from imapvm.model.ids import BodyId

READ_BYTES: Final = 128 * 1024
"""Read from one body in one transaction, at most."""
NUL: Final = b"\0"


def _portions(store: AccountStore, part: BinarySlice) -> Iterator[bytes]:
    """Yield the encoded bytes of a part, each portion read in its own transaction."""
    offset, end = part.offset, part.offset + part.length
    while offset < end:
        length = min(READ_BYTES, end - offset)
        with store.reading() as reader:
            portion = reader.body(BodyId(part.body), offset, length)
        yield portion
        offset += length


def _decoded(store: AccountStore, part: BinarySlice) -> Iterator[bytes]:
    decoder = TransferDecoder(part.encoding)
    for portion in _portions(store, part):
        yield decoder.feed(portion)
    yield decoder.finish()


def _cut(portions: Iterable[bytes], part: BinarySlice) -> Iterator[bytes]:
    """Yield the decoded bytes within the range of a partial fetch."""
    skip, left = part.start, part.count
    for portion in portions:
        piece = portion[skip:] if left is None else portion[skip : skip + left]
        skip = max(0, skip - len(portion))
        left = None if left is None else left - len(piece)
        yield piece


async def write_decoded(ctx: SelectedContext, part: BinarySlice) -> None:
    """Write the decoded bytes as a string, as a literal8 if they include NUL, or write their size.

    A part that is too large for memory is decoded twice, since its length and the form of the
    literal precede it (RFC 9051 section 7.5.2).
    """
    store = ctx.store
    held = tuple(_decoded(store, part)) if part.length <= READ_BYTES else None
    size, has_nul = 0, False
    for piece in _cut(held or _decoded(store, part), part):
        size += len(piece)
        has_nul = has_nul or NUL in piece
        await ctx.yield_control()
    if part.size_only:
        ctx.out.raw(b"%d" % size)
        return
    ctx.out.raw(b'""' if size == 0 else b"%b{%d}\r\n" % (b"~" if has_nul else b"", size))
    for piece in _cut(held or _decoded(store, part), part):
        ctx.out.raw(piece)
        if len(ctx.out) >= SEND_BYTES:
            await ctx.flush()
