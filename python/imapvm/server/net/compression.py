"""Compression of a connection: raw DEFLATE in both directions (RFC 4978, RFC 1951).

The two directions do not depend on each other.

Output: each call of `deflate` ends with a sync flush, so that the client can read all of it. The
flush ends at a byte boundary, and raw DEFLATE has no header. So a deflater may be dropped after any
call: the next one continues the stream, without the 32 KiB of history of the first. That makes the
memory of a session that sends nothing small (`Deflaters`).

    (no deflater) --deflate()--> live --deflate()--> live
          ^                        |
          +------------------------+ unused between two sweeps, or DEFLATERS_MAX others used since

Input (`InflateState`, `INFLATE_TRANSITIONS`):

    DRAINED --inflate()--> MORE: INFLATED_MAX bytes are returned, others are ready
       ^                    |  |
       +-----inflate()------+  +--inflate()--> MORE
    DRAINED, MORE --inflate()--> CORRUPT: raises; the stream cannot be read further

A few KiB of input may have megabytes of output. `inflate` returns INFLATED_MAX bytes at most; the
caller lets other tasks run between two calls. All limits of commands apply to its output.

zlib of the standard library: a deflater has 256 KiB and takes 5 us to create, an inflater has up to
39 KiB.
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
MEMORY_LEVEL: Final = 8
"""128 KiB, beside 128 KiB for window and chains."""
DEFLATER_SWEEP_SECONDS: Final = 10.0
"""A deflater is dropped after this time without use, or twice as much."""
TRIM_BATCH: Final = 16
"""Deflaters that are dropped before other tasks run: 4 MiB, which take a millisecond to return."""
_malloc_trim: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""Of glibc; other C libraries return free memory by themselves."""
_WINDOW_BITS: Final = -zlib.MAX_WBITS
"""Raw DEFLATE, with the window of 32 KiB that RFC 1951 allows every client to use."""


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


INFLATE_TRANSITIONS: Final[Mapping[InflateState, frozenset[InflateState]]] = {
    InflateState.DRAINED: frozenset(InflateState),
    InflateState.MORE: frozenset(InflateState),
    InflateState.CORRUPT: frozenset(),
}


@final
class Deflaters:
    """Deflaters of all connections of a process, the least recently used first.

    A connection that sends within a sweep keeps its deflater, and with it the history that makes
    small responses small, unless DEFLATERS_MAX others have sent since.
    """

    __slots__ = ("_freed", "_live")

    def __init__(self) -> None:
        self._live: OrderedDict[Compression, None] = OrderedDict()
        self._freed = False
        """True if deflaters were dropped since the last trim."""

    def __len__(self) -> int:
        return len(self._live)

    def note_use(self, compression: "Compression") -> None:
        """Put a connection last; drop the deflater of the first if there are too many."""
        self._live[compression] = None
        self._live.move_to_end(compression)
        if len(self._live) > DEFLATERS_MAX:
            oldest, _ = self._live.popitem(last=False)
            self._drop(oldest)

    def forget(self, compression: "Compression") -> None:
        """Drop the deflater of a connection, if it has one."""
        if compression in self._live:
            del self._live[compression]
            self._drop(compression)

    def _drop(self, compression: "Compression") -> None:
        compression.drop_deflater()
        self._freed = True

    async def sweep_forever(self) -> None:
        """Sweep every DEFLATER_SWEEP_SECONDS."""
        while True:
            await trio.sleep(DEFLATER_SWEEP_SECONDS)
            await self.sweep()

    async def sweep(self) -> None:
        """Drop the deflaters that were not used since the last sweep; give their memory back."""
        unused = [compression for compression in self._live if not compression.is_used]
        for compression in self._live:
            compression.is_used = False
        for start in range(0, len(unused), TRIM_BATCH):
            for compression in unused[start : start + TRIM_BATCH]:
                if not compression.is_used:  # else it was used meanwhile
                    self.forget(compression)
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
        deflaters: shared by all connections of the process.
    """

    __slots__ = ("_deflater", "_deflaters", "_inflater", "_input", "_state", "is_used")

    def __init__(self, deflaters: Deflaters) -> None:
        self._deflaters = deflaters
        self._deflater: zlib._Compress | None = None
        self._inflater = zlib.decompressobj(_WINDOW_BITS)
        self._input = b""
        """Received and not inflated yet: a part of one read from the socket."""
        self._state = InflateState.DRAINED
        self.is_used = False
        """True if `deflate` was called since the last sweep."""

    # --- output ------------------------------------------------------------------------------

    def deflate(self, data: bytes) -> bytes:
        """Return bytes compressed, up to a flush: the client can read all of them."""
        deflater = self._deflater
        if deflater is None:
            deflater = self._deflater = zlib.compressobj(
                LEVEL, zlib.DEFLATED, _WINDOW_BITS, MEMORY_LEVEL
            )
        self.is_used = True
        self._deflaters.note_use(self)
        return deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)

    @property
    def has_deflater(self) -> bool:
        return self._deflater is not None

    def drop_deflater(self) -> None:
        """Free the memory of the deflater; the next `deflate` creates another one."""
        self._deflater = None

    def close(self) -> None:
        """Free all memory of a connection that is closed."""
        self._deflaters.forget(self)
        self._deflater = None
        self._input = b""
        self._state = InflateState.CORRUPT

    # --- input -------------------------------------------------------------------------------

    @property
    def has_more(self) -> bool:
        """True if `inflate` may return bytes without new input."""
        return self._state is InflateState.MORE

    def inflate(self, received: bytes = b"") -> bytes:
        """Return the next bytes of the client, at most INFLATED_MAX.

        b"" if a block has not arrived completely.

        Args:
            received: from the socket. Pass bytes only if `has_more` is False.

        Raises:
            CorruptInputError: no bytes can be returned from here on.
        """
        assert not (received and self._input)
        inflater = self._inflater
        if inflater.eof and received:
            raise self._corrupt("bytes after the end of the DEFLATE stream")
        try:
            data = inflater.decompress(received or self._input, INFLATED_MAX)
        except zlib.error as error:
            raise self._corrupt(f"corrupt DEFLATE stream: {error}") from error
        if inflater.unused_data:
            raise self._corrupt("bytes after the end of the DEFLATE stream")
        self._input = inflater.unconsumed_tail
        # With all input read, zlib may still have some KiB of output.
        more = bool(self._input) or len(data) == INFLATED_MAX
        self._enter(InflateState.MORE if more else InflateState.DRAINED)
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
        self._input = b""
        self._enter(InflateState.CORRUPT)
        return CorruptInputError(text)

    def _enter(self, state: InflateState) -> None:
        assert state in INFLATE_TRANSITIONS[self._state], (self._state, state)
        self._state = state
