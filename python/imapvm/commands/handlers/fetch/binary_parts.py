"""Parts of messages with their transfer encoding undone: BINARY (RFC 3516, RFC 9051)."""

from collections.abc import Iterable, Iterator
from typing import Final

from imapvm._core import BinarySlice, TransferDecoder
from imapvm.commands.context import SEND_OCTETS, Context
from imapvm.filepool.store import AccountStore
from imapvm.model.ids import BodyId

READ_OCTETS: Final = 128 * 1024
"""The most that is read from one body in one transaction."""
NUL: Final = b"\0"


def _portions(store: AccountStore, piece: BinarySlice) -> Iterator[bytes]:
    """The octets of a part, each portion read in a transaction of its own."""
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


def _cut(portions: Iterable[bytes], piece: BinarySlice) -> Iterator[bytes]:
    """What a partial fetch leaves of the decoded octets."""
    skip, left = piece.start, piece.count
    for portion in portions:
        part = portion[skip:] if left is None else portion[skip : skip + left]
        skip = max(0, skip - len(portion))
        left = None if left is None else left - len(part)
        yield part


async def send_decoded(ctx: Context, store: AccountStore, piece: BinarySlice) -> None:
    """Write the octets as a string, with NUL in it a literal8, or their number.

    A part that is too large to be held is decoded twice, for its length stands in front, and so
    does whether there is a NUL in it (RFC 9051 section 7.5.2).
    """
    held = tuple(_decoded(store, piece)) if piece.length <= READ_OCTETS else None
    size, has_nul = 0, False
    for part in _cut(held or _decoded(store, piece), piece):
        size += len(part)
        has_nul = has_nul or NUL in part
        await ctx.breathe()
    if piece.size_only:
        ctx.out.raw(b"%d" % size)
        return
    ctx.out.raw(b'""' if size == 0 else b"%b{%d}\r\n" % (b"~" if has_nul else b"", size))
    for part in _cut(held or _decoded(store, piece), piece):
        ctx.out.raw(part)
        if len(ctx.out) >= SEND_OCTETS:
            await ctx.flush()
