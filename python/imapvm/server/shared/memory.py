"""Memory shared by the processes of one server, created by the master.

It outlives each worker: after a worker has died, and after a reload, no password is hashed again,
no login failure is forgotten, and no connection is miscounted. It holds no mail data: that is all
in the filepool. Why there is no lock: docs/decisions/0004-shared-memory-of-workers.md.

    offset           size              contents
    0                PROCESSES_MAX     wakeup states, a byte for each process
    _KEY             KEY_BYTES         secret key of the hashes
    _FAILURES        table             login failures
    _VERIFIED        table             verified passwords
    _PEERS           column each       connections by address, a column for each process
"""

import hashlib
import mmap
import os
import time
from collections.abc import Callable
from struct import Struct
from typing import Final, final

from imapvm.auth.throttle import FailureKey
from imapvm.auth.verification_cache import DIGEST_BYTES, EntryKey
from imapvm.model.limits import THROTTLE_ENTRIES_MAX, VERIFICATION_CACHE_MAX
from imapvm.server.shared.table import SharedTable, table_bytes

PROCESSES_MAX: Final = 512
"""Twice 256 workers: at a reload old and new ones run at the same time."""
KEY_BYTES: Final = 32
PEER_BUCKETS: Final = 1 << 16
"""Counters of a process. Addresses that share a bucket share its limit; the secret key decides
which do."""

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
    """View of the memory in one process.

    Args:
        fd: from `create`.
        processes: number of processes that may serve clients at the same time.
    """

    def __init__(self, fd: int, processes: int) -> None:
        self.fd = fd
        self.processes = processes
        self._map = mmap.mmap(fd, _size_of(processes))
        self._view = memoryview(self._map)
        self.key = bytes(self._view[_KEY : _KEY + KEY_BYTES])
        """Secret of this server's processes, random at each start."""
        self.wakeup_states = self._view[_WAKEUP_STATES : _WAKEUP_STATES + processes]
        """A byte each: see `imapvm.server.shared.wakeup`."""

    @classmethod
    def create(cls, processes: int) -> "SharedMemory":
        """Create the memory, zeros but for the key. Pages are allocated when written to."""
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
        """Return the connections by address, as the process with this index counts them."""
        columns = self._view[_PEERS : _PEERS + self.processes * _PEERS_BYTES].cast("I")
        return SharedPeers(columns, index, self.key)

    def clear(self, index: int) -> None:
        """Clear the connections of a process that has ended, and free their pages."""
        start = _PEERS + index * _PEERS_BYTES
        try:
            self._map.madvise(mmap.MADV_REMOVE, start, _PEERS_BYTES)
        except OSError:  # a file system without holes
            self._map[start : start + _PEERS_BYTES] = bytes(_PEERS_BYTES)


@final
class SharedFailures:
    """Login failures of all workers (`imapvm.auth.throttle.Failures`)."""

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
        table: the entries.
        key: for the digests; the same in all processes.
        clock: seconds, the same in all processes.
    """

    __slots__ = ("_clock", "_table", "key")

    def __init__(
        self, table: SharedTable, key: bytes, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._table = table
        self._clock = clock
        self.key = key

    def find(self, entry: EntryKey) -> tuple[bytes, float] | None:
        found = self._table.find(_encoded_entry(entry))
        return found and _UNTIL.unpack(found[1])

    def remember(self, entry: EntryKey, digest: bytes, until: float) -> None:
        self._table.put(_encoded_entry(entry), self._clock(), _UNTIL.pack(digest, until))


@final
class SharedPeers:
    """Connections by network (`imapvm.server.imap.connections.PeerCounts`).

    Each process has its own column and is the only one to write to it, so no count is ever lost;
    the master clears the column of a process that has ended.
    """

    __slots__ = ("_columns", "_index", "_key")

    def __init__(self, columns: "memoryview[int]", index: int, key: bytes) -> None:
        self._columns = columns
        self._index = index
        self._key = key

    def elsewhere(self, network: str) -> int:
        """Return the connections of a network (`model.peers`) in all other processes."""
        bucket = self._bucket(network)
        columns = self._columns
        return sum(
            columns[at]
            for index, at in enumerate(range(bucket, len(columns), PEER_BUCKETS))
            if index != self._index
        )

    def change(self, network: str, by: int) -> None:
        """Change the count of this process."""
        self._columns[self._index * PEER_BUCKETS + self._bucket(network)] += by

    def _bucket(self, network: str) -> int:
        digest = hashlib.blake2b(network.encode(), key=self._key, digest_size=4).digest()
        return int.from_bytes(digest, "little") % PEER_BUCKETS


def _size_of(processes: int) -> int:
    assert 0 < processes <= PROCESSES_MAX
    return _PEERS + processes * _PEERS_BYTES


def _encoded(key: FailureKey) -> bytes:
    """Encode a key: the address first, since it has no NUL and a name may have one."""
    peer, name = key
    parts = (b"" if part is None else b"+" + part.encode() for part in (peer, name))
    return b"\0".join(parts)


def _encoded_entry(entry: EntryKey) -> bytes:
    """Encode a key: the account has a fixed length."""
    account, peer = entry
    return _COUNT.pack(account) + (b"" if peer is None else b"+" + peer.encode())
