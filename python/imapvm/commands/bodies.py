"""Send what `render_fetch` laid out: text, stretches of stored messages, decoded parts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from imapvm._core import BinarySlice, BodySlice, TransferDecoder
from imapvm.commands.context import SEND_OCTETS, Context, Refusal
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import AccountStore
from imapvm.model.ids import BodyId

READ_OCTETS: Final = 128 * 1024
"""The most that is read from one body in one transaction."""
READ_AHEAD_OCTETS: Final = 8 * 1024
"""Read at least: HEADER.FIELDS lie close together, and one read costs more than all of them."""
UNKNOWN_ENCODING: Final = -1
NUL: Final = b"\0"
NOT_NUL: Final = b"\x80"
"""Stands where a message has NUL, which only BINARY can say (RFC 9051 section 4.3.1)."""


async def send_pieces(
    ctx: Context, store: AccountStore, pieces: Sequence[bytes | BodySlice | BinarySlice]
) -> None:
    """Send pieces in order, reading bodies as they go; some 200 KiB are held at most.

    Raises:
        Refusal: UNKNOWN-CTE (RFC 3516 section 4.3), before anything of these pieces was sent.
    """
    if len(pieces) == 1 and isinstance(pieces[0], bytes):
        # Header fields that digests hold: nothing is to be read.
        ctx.out.raw(pieces[0])
        if len(ctx.out) >= SEND_OCTETS:
            await ctx.flush()
        return
    for piece in pieces:
        if isinstance(piece, BinarySlice) and piece.encoding == UNKNOWN_ENCODING:
            raise Refusal("the part's transfer encoding is not known", code="UNKNOWN-CTE")
    writing = _Writing(pieces)
    while not writing.done:
        with store.reading() as reader:
            binary = writing.gather(ctx, reader)
        if binary is not None:
            await _send_decoded(ctx, store, binary)
        if len(ctx.out) >= SEND_OCTETS:
            await ctx.flush()


class _Writing:
    """How far the pieces are written, and the octets of a body that were read ahead."""

    def __init__(self, pieces: Sequence[bytes | BodySlice | BinarySlice]) -> None:
        self.pieces = pieces
        self.at = 0
        self.written = 0  # octets of the slice at `at`
        self.body = -1
        self.start = 0
        self.ahead = b""

    @property
    def done(self) -> bool:
        return self.at == len(self.pieces)

    def gather(self, ctx: Context, reader: Reader) -> BinarySlice | None:
        """Write in one transaction until there is enough to send, or a part to decode."""
        out = ctx.out
        while not self.done and len(out) < SEND_OCTETS:
            piece = self.pieces[self.at]
            if isinstance(piece, BodySlice):
                octets = self._some(reader, piece)
                out.raw(octets.replace(NUL, NOT_NUL) if NUL in octets else octets)
                if self.written < piece.length:
                    continue
                self.written = 0
            self.at += 1
            if isinstance(piece, bytes):
                out.raw(piece)
            elif isinstance(piece, BinarySlice):
                return piece
        return None

    def _some(self, reader: Reader, piece: BodySlice) -> bytes:
        """The next octets of a slice, from what was read ahead if they are there."""
        offset = piece.offset + self.written
        left = piece.length - self.written
        begin = offset - self.start
        if piece.body != self.body or begin < 0 or begin + left > len(self.ahead):
            if left > READ_AHEAD_OCTETS:
                octets = reader.body(BodyId(piece.body), offset, min(left, READ_OCTETS))
                self.written += len(octets)
                return octets
            self.ahead = reader.body(BodyId(piece.body), offset, READ_AHEAD_OCTETS)
            self.body, self.start, begin = piece.body, offset, 0
        self.written += left
        return self.ahead[begin : begin + left]


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


async def _send_decoded(ctx: Context, store: AccountStore, piece: BinarySlice) -> None:
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
