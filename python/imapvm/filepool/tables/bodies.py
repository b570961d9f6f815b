"""The tables `bodies`, `digests` and `references`: messages' octets, kept once and never changed.

A message is cut into frames, each compressed by itself where that pays, so that a stretch of it
costs what the frames around it cost. The frames' octets, one behind the other, are cut into rows.
Row 0 begins with a head: size, and the stored length of each frame.
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
"""Version, zero, stored octets in row 0, frames, size of the message."""
RAW: Final = 1 << 31
"""In a frame's length: it is stored as it is."""

SMALL_FRAME: Final = 64 * 1024
LARGE_FRAME: Final = 128 * 1024
SMALL_FRAMES: Final = 256
"""From this frame on they are large, so that the table of a large message stays inside row 0."""
FRAMES_MAX: Final = 768
BODY_MAX: Final = SMALL_FRAMES * SMALL_FRAME + (FRAMES_MAX - SMALL_FRAMES) * LARGE_FRAME
"""Octets that FRAMES_MAX frames hold: 80 MiB."""

GRACE_SECONDS: Final = 60 * 60
"""How long a message can be read after its last copy was expunged, by whoever was not told yet."""
STAGED_SECONDS: Final = 24 * 60 * 60
"""How long a message may take to arrive."""

assert MESSAGE_MAX <= BODY_MAX
assert HEAD.size + 4 * FRAMES_MAX <= VALUE_MAX


class Sweeping:
    """Kinds of rows in the table `sweep`."""

    BODY: Final = 1
    """A body that nobody refers to any more."""
    STAGED: Final = 2
    """A body that is on its way in; it stays if it is referred to in time."""
    MAILBOX: Final = 3
    """What is left of a deleted mailbox."""
    ACCOUNT: Final = 4
    """What is left of a deleted account."""
    DELIVERY: Final = 5
    """A delivery id, and the account."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A body whose first rows are in the store already."""

    group: int
    body: BodyId
    until: int
    """When it is swept, if nothing refers to it: seconds since 1970."""

    @property
    def key(self) -> bytes:
        return sweep_key(self.until, Sweeping.STAGED, self.body)


@dataclass(frozen=True, slots=True)
class NewBody:
    """A message that is ready to be stored: its octets packed, its digest made."""

    size: int
    rows: tuple[tuple[int, bytes], ...]
    """Chunk number and value; those that are staged already are not here."""
    metadata: bytes
    threads: tuple[int, ...]
    """Hashes of the Message-IDs that tell its thread: see `MessageEncoder.finish`."""
    staged: Staged | None = None


def sweep_key(when: int, kind: int, number: int) -> bytes:
    """A row of `sweep` about something that has an id."""
    return SWEEP_KEY.pack(when, kind) + ID_KEY.pack(number)


def frame_size(number: int) -> int:
    """Octets of the message in a frame that is not the last."""
    return SMALL_FRAME if number < SMALL_FRAMES else LARGE_FRAME


def frame_at(offset: int) -> tuple[int, int]:
    """Number of the frame that holds an octet of the message, and where the frame begins."""
    small = SMALL_FRAMES * SMALL_FRAME
    if offset < small:
        return offset // SMALL_FRAME, offset - offset % SMALL_FRAME
    return SMALL_FRAMES + (offset - small) // LARGE_FRAME, offset - (offset - small) % LARGE_FRAME


def frame_count(size: int) -> int:
    """How many frames a message has."""
    return frame_at(size - 1)[0] + 1 if size else 0


def stored_size(head: bytes) -> int:
    """Octets of all frames as they are stored, from what row 0 begins with."""
    frames = HEAD.unpack_from(head)[3]
    return sum(length & ~RAW for length in Struct(f"<{frames}I").unpack_from(head, HEAD.size))


def chunks(stored: bytes) -> list[tuple[int, bytes]]:
    """Rows of stored octets, numbered from 0."""
    return [
        (number, stored[at : at + VALUE_MAX])
        for number, at in enumerate(range(0, len(stored), VALUE_MAX))
    ]


# --- writing ----------------------------------------------------------------------------------


def check_available(txn: GroupTxn, body: NewBody) -> None:
    """See that what was staged is still there.

    Raises:
        BodyGoneError: it took too long, and was swept.
    """
    staged = body.staged
    if (
        staged is not None
        and txn.get(staged.key, txn.tables.sweep) is None
        and txn.get(ID_KEY.pack(staged.body), txn.tables.references) is None
    ):
        raise BodyGoneError("The message took too long to arrive.")


def store_body(txn: GroupTxn, body: NewBody, uses: int) -> BodyId:
    """Keep a body for `uses` messages. Say `check_available` before."""
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
    """Some more messages have this body."""
    key = ID_KEY.pack(body)
    stored = txn.get(key, txn.tables.references)
    if stored is None:
        raise CorruptDataError(f"The uses of body {body} are not counted.")
    txn.put(key, COUNTER.pack(COUNTER.unpack(stored)[0] + uses), txn.tables.references)


def release(txn: GroupTxn, body: int, now: int) -> None:
    """One message less has this body; the last one leaves it to be swept after the grace period."""
    key = ID_KEY.pack(body)
    stored = txn.get(key, txn.tables.references)
    uses = COUNTER.unpack(stored)[0] if stored else 1
    if uses > 1:
        txn.put(key, COUNTER.pack(uses - 1), txn.tables.references)
    else:
        txn.delete(key, txn.tables.references)
        txn.put(sweep_key(now + GRACE_SECONDS, Sweeping.BODY, body), b"", txn.tables.sweep)


# --- reading ----------------------------------------------------------------------------------


class StoredBody:
    """A body in one read transaction; only its head has been read."""

    __slots__ = ("_base", "_head", "_inline", "_tables", "_txn", "number", "size", "table")
    _inline: int
    size: int

    def __init__(self, txn: LmdbTxn, tables: GroupTables, number: int) -> None:
        head = txn.get(CHUNK_KEY.pack(number, 0), None, tables.bodies)
        if head is None:
            raise BodyGoneError("The octets of this message have been removed.")
        try:
            version, _, self._inline, frames, self.size = HEAD.unpack_from(head)
            self.table: tuple[int, ...] = Struct(f"<{frames}I").unpack_from(head, HEAD.size)
        except error:
            raise CorruptDataError(f"The head of body {number} cannot be read.") from None
        self._base = HEAD.size + 4 * frames
        if (
            version != ROW_VERSION
            or frames != frame_count(self.size)
            or len(head) != self._base + self._inline
        ):
            raise CorruptDataError(f"The head of body {number} cannot be read.")
        self.number = number
        self._txn = txn
        self._tables = tables
        self._head = head

    @property
    def stored(self) -> int:
        """Octets of all frames as they are stored."""
        return sum(length & ~RAW for length in self.table)

    @property
    def rows(self) -> int:
        """How many rows it has, the head's included."""
        return 1 - (self._inline - self.stored) // VALUE_MAX

    def read(self, offset: int, length: int) -> bytes:
        """A stretch of the message, cut off at its end."""
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
                pieces.append(self._stretch(position + low, high - low))
            else:
                try:
                    whole = decompress(self._stretch(position, stored), size=plain)
                except CorruptError as fault:
                    raise CorruptDataError(f"Body {self.number} cannot be read: {fault}.") from None
                pieces.append(whole if high - low == plain else whole[low:high])
            position += stored
            start += plain
            number += 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _stretch(self, position: int, length: int) -> bytes:
        """Stored octets."""
        pieces = []
        wanted = length
        if position < self._inline:
            at = self._base + position
            pieces.append(self._head[at : min(at + wanted, len(self._head))])
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
                        piece = value[skip : skip + wanted]  # the same object, if it is all of it
                        pieces.append(piece)
                        wanted -= len(piece)
                        skip = 0
                        if not wanted:
                            break
        if wanted:
            raise CorruptDataError(f"A part of body {self.number} is missing.")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_metadata(txn: LmdbTxn, tables: GroupTables, number: int) -> bytes | None:
    """A body's digest; None where it has none."""
    digest = txn.get(CHUNK_KEY.pack(number, 0), None, tables.metadata)
    if digest is None or len(digest) < VALUE_MAX:
        return digest
    pieces = [digest]
    while len(pieces[-1]) == VALUE_MAX:
        more = txn.get(CHUNK_KEY.pack(number, len(pieces)), None, tables.metadata)
        if more is None:
            break
        pieces.append(more)
    return b"".join(pieces)
