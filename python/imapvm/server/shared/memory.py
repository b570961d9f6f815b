"""What the workers of one server share: one piece of memory, made by the master.

It outlives each worker, so neither a worker that dies nor a reload makes anybody's password be
hashed again, forgets who has failed to sign in, or miscounts connections. Nothing in it is needed
for mail to be safe: that is all in the filepool.
"""

import hashlib
import mmap
import os
import time
from collections.abc import Callable
from struct import Struct
from typing import Final, final

from imapvm.auth.throttle import FailureKey
from imapvm.auth.verification_cache import DIGEST_BYTES
from imapvm.model.ids import AccountId
from imapvm.model.limits import THROTTLE_ENTRIES_MAX, VERIFICATION_CACHE_MAX
from imapvm.server.shared.table import SharedTable, table_bytes

PROCESSES_MAX: Final = 512
"""Twice 256 workers: at a reload old and new ones are there at the same time."""
KEY_BYTES: Final = 32
PEER_BUCKETS: Final = 1 << 16
"""Addresses that are counted apart; two that meet in one bucket share their bound. Which do is
decided by a secret."""

_COUNT: Final = Struct("<Q")
_UNTIL: Final = Struct(f"<{DIGEST_BYTES}sd")
_PAGE: Final = mmap.PAGESIZE


def _paged(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


_WAKEUP_STATES: Final = 0
_KEY: Final = PROCESSES_MAX
_FAILURES: Final = _paged(_KEY + KEY_BYTES)
_FAILURES_BYTES: Final = table_bytes(THROTTLE_ENTRIES_MAX, _COUNT.size)
_VERIFIED: Final = _FAILURES + _paged(_FAILURES_BYTES)
_VERIFIED_BYTES: Final = table_bytes(VERIFICATION_CACHE_MAX, _UNTIL.size)
_PEERS: Final = _VERIFIED + _paged(_VERIFIED_BYTES)
_PEERS_BYTES: Final = PEER_BUCKETS * 4


@final
class SharedMemory:
    """The memory as one process sees it.

    Args:
        fd: made by `create`.
        processes: how many processes may serve clients at the same time.
    """

    def __init__(self, fd: int, processes: int) -> None:
        self.fd = fd
        self.processes = processes
        self._map = mmap.mmap(fd, _size_of(processes))
        self._view = memoryview(self._map)
        self.key = bytes(self._view[_KEY : _KEY + KEY_BYTES])
        """Secret of this server's processes, made anew at each start."""
        self.wakeup_states = self._view[_WAKEUP_STATES : _WAKEUP_STATES + processes]
        """An octet each: see `imapvm.server.shared.wakeup`."""

    @classmethod
    def create(cls, processes: int) -> "SharedMemory":
        """Make it, all zeros but for the key. Pages are taken when they are written to."""
        fd = os.memfd_create("imapvm", os.MFD_CLOEXEC)
        os.ftruncate(fd, _size_of(processes))
        os.pwrite(fd, os.urandom(KEY_BYTES), _KEY)
        return cls(fd, processes)

    def failures(self) -> "SharedFailures":
        memory = self._view[_FAILURES : _FAILURES + _FAILURES_BYTES]
        return SharedFailures(SharedTable(memory, self.key, payload=_COUNT.size))

    def verification_cache(self) -> "SharedVerificationCache":
        memory = self._view[_VERIFIED : _VERIFIED + _VERIFIED_BYTES]
        return SharedVerificationCache(SharedTable(memory, self.key, payload=_UNTIL.size), self.key)

    def peers(self, index: int) -> "SharedPeers":
        """Connections by address, counted by the process that has this index."""
        columns = self._view[_PEERS : _PEERS + self.processes * _PEERS_BYTES].cast("I")
        return SharedPeers(columns, index, self.key)

    def clear(self, index: int) -> None:
        """Forget the connections of a process that is gone, and give their pages back."""
        start = _PEERS + index * _PEERS_BYTES
        try:
            self._map.madvise(mmap.MADV_REMOVE, start, _PEERS_BYTES)
        except OSError:  # where memory cannot have holes
            self._map[start : start + _PEERS_BYTES] = bytes(_PEERS_BYTES)


@final
class SharedFailures:
    """Failures to sign in, counted by all workers (`imapvm.auth.throttle.Failures`)."""

    __slots__ = ("_table",)

    def __init__(self, table: SharedTable) -> None:
        self._table = table

    def find(self, key: FailureKey) -> tuple[int, float] | None:
        found = self._table.find(_encoded(key))
        return found and (_COUNT.unpack(found[1])[0], found[0])

    def put(self, key: FailureKey, count: int, last: float) -> None:
        self._table.put(_encoded(key), last, _COUNT.pack(count))

    def forget(self, key: FailureKey) -> None:
        self._table.forget(_encoded(key))

    def __len__(self) -> int:
        return len(self._table)


@final
class SharedVerificationCache:
    """Verification cache of all workers (`imapvm.auth.verification_cache`).

    Args:
        table: where they are.
        key: for the digests; the same in all processes.
        clock: seconds that all processes count alike.
    """

    __slots__ = ("_clock", "_table", "key")

    def __init__(
        self, table: SharedTable, key: bytes, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._table = table
        self._clock = clock
        self.key = key

    def find(self, account: AccountId) -> tuple[bytes, float] | None:
        found = self._table.find(_COUNT.pack(account))
        return found and _UNTIL.unpack(found[1])

    def remember(self, account: AccountId, digest: bytes, until: float) -> None:
        self._table.put(_COUNT.pack(account), self._clock(), _UNTIL.pack(digest, until))


@final
class SharedPeers:
    """How many connections an address has in other processes.

    Each process has a column of its own, which nobody else writes to, so no count is ever lost;
    what a process leaves behind is cleared by the master.
    """

    __slots__ = ("_columns", "_index", "_key")

    def __init__(self, columns: "memoryview[int]", index: int, key: bytes) -> None:
        self._columns = columns
        self._index = index
        self._key = key

    def elsewhere(self, network: str) -> int:
        """Connections of a network (`network_of`) in all other processes."""
        bucket = self._bucket(network)
        columns = self._columns
        return sum(
            columns[at]
            for index, at in enumerate(range(bucket, len(columns), PEER_BUCKETS))
            if index != self._index
        )

    def change(self, network: str, by: int) -> None:
        """Count one more here, or one less."""
        self._columns[self._index * PEER_BUCKETS + self._bucket(network)] += by

    def _bucket(self, network: str) -> int:
        digest = hashlib.blake2b(network.encode(), key=self._key, digest_size=4).digest()
        return int.from_bytes(digest, "little") % PEER_BUCKETS


def _size_of(processes: int) -> int:
    assert 0 < processes <= PROCESSES_MAX
    return _PEERS + processes * _PEERS_BYTES


def _encoded(key: FailureKey) -> bytes:
    """An address has no NUL and a name may have one, so the address comes first."""
    peer, name = key
    parts = (b"" if part is None else b"+" + part.encode() for part in (peer, name))
    return b"\0".join(parts)
