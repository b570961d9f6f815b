"""Compression of a connection: raw DEFLATE in both directions (RFC 4978, RFC 1951).

The two directions do not depend on each other.

Output: each call of `deflate` ends with a sync flush, so that the client can read all of it. The
flush ends at a byte boundary, and raw DEFLATE has no header. So a deflater may be dropped after any
call: the next one continues the stream, without the 32 KiB of history of the first. That makes the
memory of a session that sends nothing small (`Codecs`).

    (no deflater) --deflate()--> live --deflate()--> live
          ^                        |
          +------------------------+ unused between two sweeps, or DEFLATERS_MAX others used since

Input (`InflateState`, `INFLATE_TRANSITIONS`):

    DRAINED --inflate()--> MORE: a part of the input, or INFLATED_MAX bytes, was returned
       ^                    |  |
       +-----inflate()------+  +--inflate()--> MORE
    DRAINED, MORE --inflate()--> CORRUPT: raises; the stream cannot be read further
    DRAINED, MORE --stop()--> STOPPED --inflate()--> PLAIN: returns bytes as received
                              STOPPED --inflate()--> CORRUPT

`inflate` returns at each flush of the client: its commands may end the compression (RFC 8437), and
the bytes that follow are not compressed then. They may also follow the end of the DEFLATE stream,
or an empty last block.

Between two blocks an inflater may be dropped, too, while its history, the last 32 KiB of output at
most, is kept: another one starts with it. All that a client has sent is usually a few KiB.

A few KiB of input may have megabytes of output. `inflate` returns INFLATED_MAX bytes at most; the
caller lets other tasks run between two calls. All limits of commands apply to its output.

zlib of the standard library: a deflater has 192 KiB and takes 5 us to create, an inflater has up to
39 KiB, beside its history.
"""

import ctypes
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto
from typing import Final, final

import trio

from imapvm.commands.turns import Turns
from imapvm.model.limits import DEFLATERS_MAX, INFLATED_MAX, RECEIVE_MAX

LEVEL: Final = 3
"""IMAP responses: 27 % of their size at 120 MB/s. Level 1 gives 31 % at 147 MB/s; level 4, the
first with lazy matching, 25 % at 34 MB/s."""
MEMORY_LEVEL: Final = 7
"""64 KiB, beside 128 KiB for window and chains. With the default of 8, 128 KiB: responses become
0.1 % smaller, 3 % faster."""
SWEEP_SECONDS: Final = 10.0
"""Deflater and inflater are dropped after this time without use, or twice as much."""
TRIM_BATCH: Final = 16
"""Connections whose codecs are dropped before other tasks run: up to 5 MiB, which take a
millisecond to return."""
_malloc_trim: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""Of glibc; other C libraries return free memory by themselves."""
_WINDOW_BITS: Final = -zlib.MAX_WBITS
"""Raw DEFLATE, with the window of 32 KiB that RFC 1951 allows every client to use."""
_HISTORY_BYTES: Final = 1 << zlib.MAX_WBITS
_HISTORY_PACKED: Final = 4 * 1024
"""A history that is longer is compressed while there is no inflater, which takes some 0.3 ms."""
_PROBE_TEXT: Final = b"imapvm between two blocks"
_PROBE: Final = b"".join(
    (
        b"\x01",
        len(_PROBE_TEXT).to_bytes(2, "little"),
        (len(_PROBE_TEXT) ^ 0xFFFF).to_bytes(2, "little"),
        _PROBE_TEXT,
    )
)
"""Stored block, the last of a stream. Only an inflater between two blocks, at a byte boundary,
returns its text: in a stored block it returns the head too, and in a compressed one other bytes."""
_FLUSH: Final = b"\x00\x00\xff\xff"
"""End of a sync flush, at a byte boundary. The bytes may also occur in compressed data."""
_LAST_BLOCKS: Final = (0x01, 0x03)
"""First byte of an empty last block, stored or with fixed codes. No command begins so."""


DEFLATED_AT_ONCE: Final = 64 * 1024
"""Bytes that are compressed before other tasks may run: some 0.5 ms."""


def pieces_of(data: bytes) -> list[bytes]:
    """Divide output into pieces of DEFLATED_AT_ONCE bytes; at least one, which may be empty."""
    if len(data) <= DEFLATED_AT_ONCE:
        return [data]
    starts = range(0, len(data), DEFLATED_AT_ONCE)
    return [data[start : start + DEFLATED_AT_ONCE] for start in starts]


class CorruptInputError(OSError):
    """The client's bytes are not a DEFLATE stream, or follow its end."""


class InflateState(Enum):
    """State of the input of a compressed connection; see the module's docstring."""

    DRAINED = auto()
    MORE = auto()
    CORRUPT = auto()
    STOPPED = auto()
    PLAIN = auto()


INFLATE_TRANSITIONS: Final[Mapping[InflateState, frozenset[InflateState]]] = {
    InflateState.DRAINED: frozenset(InflateState) - {InflateState.PLAIN},
    InflateState.MORE: frozenset(InflateState) - {InflateState.PLAIN},
    InflateState.CORRUPT: frozenset(),
    InflateState.STOPPED: frozenset({InflateState.PLAIN, InflateState.CORRUPT}),
    InflateState.PLAIN: frozenset({InflateState.CORRUPT}),
}


@final
class Codecs:
    """Deflaters and inflaters of all connections of a process.

    A connection that sends or receives within a sweep keeps both, and with the deflater the history
    that makes small responses small, unless DEFLATERS_MAX others have sent since.
    """

    __slots__ = ("_deflating", "_freed", "_inflating")

    def __init__(self) -> None:
        self._deflating: OrderedDict[Compression, None] = OrderedDict()
        """Connections with a deflater, the least recently used first."""
        self._inflating: dict[Compression, None] = {}
        """Connections with an inflater."""
        self._freed = False
        """True if memory was freed since the last trim."""

    @property
    def deflaters(self) -> int:
        return len(self._deflating)

    @property
    def inflaters(self) -> int:
        return len(self._inflating)

    def note_output(self, compression: "Compression") -> None:
        """Put a connection last; drop the deflater of the first if there are too many."""
        self._deflating[compression] = None
        self._deflating.move_to_end(compression)
        if len(self._deflating) > DEFLATERS_MAX:
            oldest, _ = self._deflating.popitem(last=False)
            oldest.drop_deflater()
            self._freed = True

    def note_inflater(self, compression: "Compression") -> None:
        """Note that a connection has an inflater."""
        self._inflating[compression] = None

    def forget_deflater(self, compression: "Compression") -> None:
        """Drop the deflater of a connection, if it has one."""
        if compression in self._deflating:
            del self._deflating[compression]
            compression.drop_deflater()
            self._freed = True

    def forget(self, compression: "Compression") -> None:
        """Drop what a connection has, when it is closed."""
        self.forget_deflater(compression)
        if compression in self._inflating:
            del self._inflating[compression]
            self._freed = True

    async def sweep_forever(self) -> None:
        """Sweep every SWEEP_SECONDS."""
        while True:
            await trio.sleep(SWEEP_SECONDS)
            await self.sweep()

    async def sweep(self) -> None:
        """Drop what was not used since the last sweep; give its memory back."""
        live = list({**self._deflating, **self._inflating})
        unused = [compression for compression in live if not compression.is_used]
        for compression in live:
            compression.is_used = False
        for start in range(0, len(unused), TRIM_BATCH):
            for compression in unused[start : start + TRIM_BATCH]:
                if compression.is_used:
                    continue  # meanwhile
                self.forget_deflater(compression)
                if compression in self._inflating and compression.drop_inflater():
                    del self._inflating[compression]
                    self._freed = True
                    if compression.has_packed_history:
                        await trio.lowlevel.checkpoint()
            self._trim()
            await trio.lowlevel.checkpoint()
        self._trim()

    def _trim(self) -> None:
        """Return free memory to the system.

        The allocator keeps it otherwise: inflaters, which live longer, are between the deflaters.
        """
        if self._freed and _malloc_trim is not None:
            _malloc_trim(0)
        self._freed = False


@final
class Compression:
    """Both directions of one connection.

    Args:
        codecs: shared by all connections of the process.
    """

    __slots__ = (
        "_at",
        "_codecs",
        "_deflater",
        "_flushed",
        "_history",
        "_inflater",
        "_input",
        "_last",
        "_packed",
        "_state",
        "is_used",
    )

    def __init__(self, codecs: Codecs) -> None:
        self._codecs = codecs
        self._deflater: zlib._Compress | None = None
        self._inflater: zlib._Decompress | None = None
        self._history = b""
        """Last inflated bytes, with which another inflater starts."""
        self._packed = b""
        """The history while there is no inflater, if it is long."""
        self._input = b""
        """One read from the socket; bytes before `_at` are inflated."""
        self._at = 0
        self._flushed = False
        """True if the inflated bytes end with a flush."""
        self._last = b""
        """Last inflated bytes, one less than a flush has."""
        self._state = InflateState.DRAINED
        self.is_used = False
        """True if bytes were sent or received since the last sweep."""

    # --- output ------------------------------------------------------------------------------

    def deflate(self, data: bytes) -> bytes:
        """Return bytes compressed, up to a flush: the client can read all of them."""
        deflater = self._deflater
        if deflater is None:
            deflater = self._deflater = zlib.compressobj(
                LEVEL, zlib.DEFLATED, _WINDOW_BITS, MEMORY_LEVEL
            )
        self.is_used = True
        self._codecs.note_output(self)
        return deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)

    def finish(self, data: bytes) -> bytes:
        """Return the last bytes compressed, with the end of the stream (RFC 8437 section 4.1)."""
        deflater = self._deflater or zlib.compressobj(
            LEVEL, zlib.DEFLATED, _WINDOW_BITS, MEMORY_LEVEL
        )
        self._codecs.forget_deflater(self)
        self._deflater = None
        return deflater.compress(data) + deflater.flush(zlib.Z_FINISH)

    @property
    def has_deflater(self) -> bool:
        return self._deflater is not None

    def drop_deflater(self) -> None:
        """Free the memory of the deflater; the next `deflate` creates another one."""
        self._deflater = None

    def close(self) -> None:
        """Free all memory of a connection that is closed."""
        self._codecs.forget(self)
        self._deflater = self._inflater = None
        self._history = self._packed = b""
        self._input = b""
        self._at = 0
        self._state = InflateState.CORRUPT

    # --- input -------------------------------------------------------------------------------

    @property
    def has_more(self) -> bool:
        """True if `inflate` may return bytes without new input."""
        return self._state is InflateState.MORE or self._at < len(self._input)

    def stop(self) -> None:
        """Return bytes as received, from the end of the client's stream on."""
        self._enter(InflateState.STOPPED)

    @property
    def is_plain(self) -> bool:
        """True after `stop`, when all input was returned that arrived with the stream's end."""
        return self._state is InflateState.PLAIN

    def inflate(self, received: bytes = b"") -> bytes:
        """Return the next bytes of the client, at most INFLATED_MAX.

        Returns at each flush of the client; b"" if a block has not arrived completely.

        Args:
            received: from the socket. Pass bytes only if `has_more` is False.

        Raises:
            CorruptInputError: no bytes can be returned from here on.
        """
        if received:
            assert not self.has_more
            self._input, self._at = received, 0
            self.is_used = True
        if self._state in (InflateState.STOPPED, InflateState.PLAIN):
            return self._skip_end()
        if self._has_ended and self._at < len(self._input):
            raise self._corrupt("bytes after the end of the DEFLATE stream")
        data = self._inflate_part()
        # With all input read, zlib may still have some KiB of output.
        more = self._at < len(self._input) or len(data) == INFLATED_MAX
        if not more:
            self._input, self._at = b"", 0
        self._enter(InflateState.MORE if more else InflateState.DRAINED)
        return data

    def _inflate_part(self) -> bytes:
        """Inflate input up to the next flush, or to the end of the stream."""
        inflater, start = self._inflater or self._new_inflater(), self._at
        end = self._end_of_flush(start)
        flushed = end >= 0
        if not flushed:
            end = len(self._input)
        try:
            data = inflater.decompress(memoryview(self._input)[start:end], INFLATED_MAX)
        except zlib.error as error:
            raise self._corrupt(f"corrupt DEFLATE stream: {error}") from error
        self._history = (self._history + data)[-_HISTORY_BYTES:]
        self._at = end - len(inflater.unconsumed_tail) - len(inflater.unused_data)
        if self._at > start:
            self._flushed = flushed and self._at == end
            self._last = (self._last + self._input[start : self._at])[1 - len(_FLUSH) :]
        return data

    @property
    def _has_ended(self) -> bool:
        """True after the end of the DEFLATE stream."""
        return self._inflater is not None and self._inflater.eof

    def _new_inflater(self) -> "zlib._Decompress":
        self._codecs.note_inflater(self)
        if self._packed:
            self._history, self._packed = zlib.decompress(self._packed), b""
        self._inflater = zlib.decompressobj(_WINDOW_BITS, self._history)
        return self._inflater

    @property
    def has_inflater(self) -> bool:
        return self._inflater is not None

    @property
    def has_packed_history(self) -> bool:
        """True if `drop_inflater` has compressed the history."""
        return bool(self._packed)

    def drop_inflater(self) -> bool:
        """Free the memory of the inflater if it is between two blocks; return whether it is.

        The next `inflate` creates another one, with the same history.
        """
        if self._inflater is None:
            return True
        if not self._flushed or self._state is not InflateState.DRAINED or self._inflater.eof:
            return False
        copy = self._inflater.copy()
        try:
            between = copy.decompress(_PROBE) == _PROBE_TEXT
        except zlib.error:
            between = False
        if between:
            self._inflater = None
            if len(self._history) > _HISTORY_PACKED:
                self._history, self._packed = b"", zlib.compress(self._history, 1)
        return between

    def _end_of_flush(self, start: int) -> int:
        """Return the position after the next flush, part of which may be inflated; else -1."""
        last = self._last
        found = (last + self._input[start : start + len(_FLUSH) - 1]).find(_FLUSH)
        if found >= 0:
            return start + found - len(last) + len(_FLUSH)
        found = self._input.find(_FLUSH, start)
        return found if found < 0 else found + len(_FLUSH)

    def _skip_end(self) -> bytes:
        """Return the bytes after the end of the stream; b"" if it has not arrived."""
        while self._at < len(self._input) and not self.is_plain:
            flushed = self._flushed and self._input[self._at] not in _LAST_BLOCKS
            if flushed or self._has_ended:
                self._enter(InflateState.PLAIN)
            elif self._inflate_part():
                raise self._corrupt("compressed bytes after UNAUTHENTICATE")
        data, self._input, self._at = self._input[self._at :], b"", 0
        return data

    async def read(self, receive: Callable[[int], Awaitable[bytes]], turns: Turns) -> bytes:
        """Return the next bytes of the client; b"" when it will send no more.

        Other tasks run when the turn is over: a few bytes received may inflate to megabytes.

        Args:
            receive: returns the next bytes of the socket, at least one; b"" at the end.
            turns: of the process.

        Raises:
            CorruptInputError: as `inflate`.
        """
        while True:
            received = b""
            if not self.has_more:
                received = await receive(RECEIVE_MAX)
                if not received:
                    return b""
            elif turns.is_over():
                await turns.next()
                if not self.has_more:
                    continue  # the connection was closed meanwhile
            data = self.inflate(received)
            if data:
                return data

    def _corrupt(self, text: str) -> CorruptInputError:
        self._input, self._at = b"", 0
        self._enter(InflateState.CORRUPT)
        return CorruptInputError(text)

    def _enter(self, state: InflateState) -> None:
        assert state in INFLATE_TRANSITIONS[self._state], (self._state, state)
        self._state = state
