"""The tables `bodies`, `digests` and `references`: message text and message metadata.

A body is stored once and never changes. It is cut into frames, each compressed by itself where
that pays, so that reading a part costs no more than the frames around it. The concatenated frames
are cut into rows. Row 0 starts with a header: size, and the stored length of each frame.
"""

from dataclasses import dataclass
from struct import Struct, error
from typing import Final

from imapvm._core import CorruptError, decompress
from imapvm.filepool.engine.transactions import LmdbTxn
from imapvm.filepool.errors import BodyGoneError, CorruptDataError
from imapvm.filepool.tables.schema import (
    CHUNK_KEY,
    COUNTER,
    ID_KEY,
    ROW_VERSION,
    SWEEP_KEY,
    VALUE_MAX,
    GroupTables,
)
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import BodyId
from imapvm.model.limits import MESSAGE_MAX

HEAD: Final = Struct("<BBHHxxQ")
"""Version, zero, stored bytes in row 0, frames, size of the message."""
RAW: Final = 1 << 31
"""In a frame's length: the frame is not compressed."""

SMALL_FRAME: Final = 64 * 1024
LARGE_FRAME: Final = 128 * 1024
SMALL_FRAMES: Final = 256
"""Number of small frames; later ones are large, so that the frame table fits row 0."""
FRAMES_MAX: Final = 768
BODY_MAX: Final = SMALL_FRAMES * SMALL_FRAME + (FRAMES_MAX - SMALL_FRAMES) * LARGE_FRAME
"""Bytes in FRAMES_MAX frames: 80 MiB."""

GRACE_SECONDS: Final = 60 * 60
"""Time for which an expunged message can be read by sessions that have not been notified."""
STAGED_SECONDS: Final = 24 * 60 * 60
"""Time in which a message has to arrive."""

assert MESSAGE_MAX <= BODY_MAX
assert HEAD.size + 4 * FRAMES_MAX <= VALUE_MAX


class SweepKind:
    """Kinds of rows in the table `sweep`."""

    BODY: Final = 1
    """Body without references."""
    STAGED: Final = 2
    """Body that is arriving; kept if it is referred to in time."""
    MAILBOX: Final = 3
    """Remains of a deleted mailbox."""
    ACCOUNT: Final = 4
    """Remains of a deleted account."""
    DELIVERY: Final = 5
    """Delivery id and account."""


@dataclass(frozen=True, slots=True)
class Staged:
    """Body whose first rows are already stored."""

    group: int
    body: BodyId
    until: int
    """Time at which it is swept if nothing refers to it, seconds since 1970."""

    @property
    def key(self) -> bytes:
        return sweep_key(self.until, SweepKind.STAGED, self.body)


@dataclass(frozen=True, slots=True)
class NewBody:
    """Message that is ready to be stored: packed text and metadata."""

    size: int
    rows: tuple[tuple[int, bytes], ...]
    """Row number and value; rows that are already staged are not included."""
    metadata: bytes
    threads: tuple[int, ...]
    """Hashes of the Message-IDs that decide its thread: see `MessageEncoder.finish`."""
    staged: Staged | None = None


def sweep_key(when: int, kind: int, number: int) -> bytes:
    """Return the key of a row of `sweep` for an id."""
    return SWEEP_KEY.pack(when, kind) + ID_KEY.pack(number)


def frame_size(number: int) -> int:
    """Return the bytes of the message in a frame that is not the last."""
    return SMALL_FRAME if number < SMALL_FRAMES else LARGE_FRAME


def frame_at(offset: int) -> tuple[int, int]:
    """Return the number of the frame at an offset in the message, and the frame's offset."""
    small = SMALL_FRAMES * SMALL_FRAME
    if offset < small:
        return offset // SMALL_FRAME, offset - offset % SMALL_FRAME
    return SMALL_FRAMES + (offset - small) // LARGE_FRAME, offset - (offset - small) % LARGE_FRAME


def frame_count(size: int) -> int:
    """Return the number of frames of a message."""
    return frame_at(size - 1)[0] + 1 if size else 0


def stored_size(head: bytes) -> int:
    """Return the stored bytes of all frames, given the start of row 0."""
    frames = HEAD.unpack_from(head)[3]
    return sum(length & ~RAW for length in Struct(f"<{frames}I").unpack_from(head, HEAD.size))


def chunks(stored: bytes) -> list[tuple[int, bytes]]:
    """Cut stored bytes into rows, numbered from 0."""
    return [
        (number, stored[at : at + VALUE_MAX])
        for number, at in enumerate(range(0, len(stored), VALUE_MAX))
    ]


# --- writing ----------------------------------------------------------------------------------


def check_available(txn: GroupTxn, body: NewBody) -> None:
    """Check that the staged rows still exist.

    Raises:
        BodyGoneError: the message took too long and was swept.
    """
    staged = body.staged
    if (
        staged is not None
        and txn.get(staged.key, txn.tables.sweep) is None
        and txn.get(ID_KEY.pack(staged.body), txn.tables.references) is None
    ):
        raise BodyGoneError("the message took too long to arrive")


def store_body(txn: GroupTxn, body: NewBody, uses: int) -> BodyId:
    """Store a body for `uses` messages. Call `check_available` before."""
    tables = txn.tables
    if body.staged is None:
        number = BodyId(txn.allocate(b"body"))
    else:
        number = body.staged.body
        if not txn.delete(body.staged.key, tables.sweep):  # it has messages already
            refer(txn, number, uses)
            return number
    for chunk, value in body.rows:
        txn.put_last(CHUNK_KEY.pack(number, chunk), value, tables.bodies)
    for chunk, value in chunks(body.metadata):
        txn.put_last(CHUNK_KEY.pack(number, chunk), value, tables.metadata)
    txn.put_last(ID_KEY.pack(number), COUNTER.pack(uses), tables.references)
    return number


def refer(txn: GroupTxn, body: int, uses: int = 1) -> None:
    """Add references to a body."""
    key = ID_KEY.pack(body)
    stored = txn.get(key, txn.tables.references)
    if stored is None:
        raise CorruptDataError(f"body {body} has no reference count")
    txn.put(key, COUNTER.pack(COUNTER.unpack(stored)[0] + uses), txn.tables.references)


def release(txn: GroupTxn, body: int, now: int) -> None:
    """Remove a reference to a body; without references it is swept after the grace period."""
    key = ID_KEY.pack(body)
    stored = txn.get(key, txn.tables.references)
    uses = COUNTER.unpack(stored)[0] if stored else 1
    if uses > 1:
        txn.put(key, COUNTER.pack(uses - 1), txn.tables.references)
    else:
        txn.delete(key, txn.tables.references)
        txn.put(sweep_key(now + GRACE_SECONDS, SweepKind.BODY, body), b"", txn.tables.sweep)


# --- reading ----------------------------------------------------------------------------------


class StoredBody:
    """Body in one read transaction. Only its header has been read."""

    __slots__ = ("_base", "_inline", "_row0", "_tables", "_txn", "number", "size", "table")
    _inline: int
    size: int

    def __init__(self, txn: LmdbTxn, tables: GroupTables, number: int) -> None:
        head = txn.get(CHUNK_KEY.pack(number, 0), None, tables.bodies)
        if head is None:
            raise BodyGoneError("the text of the message has been removed")
        try:
            version, _, self._inline, frames, self.size = HEAD.unpack_from(head)
            self.table: tuple[int, ...] = Struct(f"<{frames}I").unpack_from(head, HEAD.size)
        except error:
            raise CorruptDataError(f"cannot read the header of body {number}") from None
        self._base = HEAD.size + 4 * frames
        if (
            version != ROW_VERSION
            or frames != frame_count(self.size)
            or len(head) != self._base + self._inline
        ):
            raise CorruptDataError(f"cannot read the header of body {number}")
        self.number = number
        self._txn = txn
        self._tables = tables
        self._row0 = head

    @property
    def stored(self) -> int:
        """Stored bytes of all frames."""
        return sum(length & ~RAW for length in self.table)

    @property
    def rows(self) -> int:
        """Number of rows, including row 0."""
        return 1 - (self._inline - self.stored) // VALUE_MAX

    def layout_error(self) -> str | None:
        """Return what is wrong with the lengths of frames and rows, or None. Reads all rows."""
        if self._row0[1] or self._row0[6] or self._row0[7]:
            return "a byte of its header is not zero"
        start = 0
        for number, entry in enumerate(self.table):
            plain = min(frame_size(number), self.size - start)
            start += plain
            stored = entry & ~RAW
            if stored != plain if entry & RAW else not 0 < stored < plain:
                return f"frame {number} has {stored} stored bytes for {plain}"
        remaining = self.stored - self._inline
        if remaining < 0:
            return "row 0 has more bytes than all frames"
        for row in range(1, self.rows):
            value = self._txn.get(CHUNK_KEY.pack(self.number, row), None, self._tables.bodies)
            if value is None or len(value) != min(remaining, VALUE_MAX):
                return f"row {row} is missing or has a wrong length"
            remaining -= len(value)
        return None

    def read(self, offset: int, length: int) -> bytes:
        """Return a part of the message, cut off at its end."""
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        number, start = frame_at(offset)
        position = sum(entry & ~RAW for entry in self.table[:number])
        pieces = []
        while start < end:
            entry = self.table[number]
            stored = entry & ~RAW
            plain = min(frame_size(number), self.size - start)
            low, high = max(offset - start, 0), min(end - start, plain)
            if entry & RAW:
                pieces.append(self._stored_bytes(position + low, high - low))
            else:
                try:
                    whole = decompress(self._stored_bytes(position, stored), size=plain)
                except CorruptError as error:
                    raise CorruptDataError(f"cannot read body {self.number}: {error}") from None
                pieces.append(whole if high - low == plain else whole[low:high])
            position += stored
            start += plain
            number += 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _stored_bytes(self, position: int, length: int) -> bytes:
        """Return a part of the concatenated frames."""
        pieces = []
        wanted = length
        if position < self._inline:
            at = self._base + position
            pieces.append(self._row0[at : min(at + wanted, len(self._row0))])
            wanted -= len(pieces[0])
            position = self._inline
        if wanted:
            chunk, skip = divmod(position - self._inline, VALUE_MAX)
            with self._txn.cursor(self._tables.bodies) as cursor:
                if cursor.set_key(CHUNK_KEY.pack(self.number, chunk + 1)):
                    for key, value in cursor:
                        chunk += 1
                        if key != CHUNK_KEY.pack(self.number, chunk):
                            break
                        piece = value[skip : skip + wanted]  # not copied if it is the whole value
                        pieces.append(piece)
                        wanted -= len(piece)
                        skip = 0
                        if not wanted:
                            break
        if wanted:
            raise CorruptDataError(f"a part of body {self.number} is missing")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_metadata(txn: LmdbTxn, tables: GroupTables, number: int) -> bytes | None:
    """Return the metadata of a body, or None if it has none."""
    metadata = txn.get(CHUNK_KEY.pack(number, 0), None, tables.metadata)
    if metadata is None or len(metadata) < VALUE_MAX:
        return metadata
    pieces = [metadata]
    while len(pieces[-1]) == VALUE_MAX:
        more = txn.get(CHUNK_KEY.pack(number, len(pieces)), None, tables.metadata)
        if more is None:
            break
        pieces.append(more)
    return b"".join(pieces)
