"""Table of bounded size in memory that several processes write to, without a lock.

The key of a record selects a row of a few records; if the row is full, its oldest record is
replaced. Two processes that change one record within the same microsecond can lose one of the
changes, and a process killed within it leaves half a record, so the table is only for data of which
that is no loss: counts that slow guessing down, and digests, since half a digest matches nothing.
"""

import hashlib
from collections.abc import Iterator
from struct import Struct
from typing import Final, final

WAYS: Final = 8
"""Records in a row: with rows half full, hardly ever one too few."""
HEAD: Final = Struct("<16sd")
"""Digest of the key, and the time of the last change; zeros in an empty record."""
NOTHING: Final = bytes(16)


def table_bytes(records: int, payload: int) -> int:
    """Return the size of a table."""
    return records // WAYS * WAYS * (HEAD.size + payload)


@final
class SharedTable:
    """View of the table in one process.

    Args:
        memory: writable, of the size of `table_bytes`, zeros at first.
        key: secret of all processes that share it, so that no peer can aim at one row.
        payload: bytes of a record beside key and time; a multiple of 8, so that times are aligned.
    """

    __slots__ = ("_key", "_memory", "_payload", "_rows", "_size")

    def __init__(self, memory: memoryview, key: bytes, *, payload: int) -> None:
        self._memory = memory
        self._key = key
        self._payload = payload
        self._size = HEAD.size + payload
        self._rows = len(memory) // (WAYS * self._size)

    def find(self, key: bytes) -> tuple[float, bytes] | None:
        """Return a record's time and payload; None if there is no such record (any more)."""
        name = self._name(key)
        for place in self._row(name):
            found, stamp = HEAD.unpack_from(self._memory, place)
            if found == name:
                start = place + HEAD.size
                return stamp, bytes(self._memory[start : start + self._payload])
        return None

    def put(self, key: bytes, stamp: float, payload: bytes) -> None:
        """Write a record; an earlier one with this key is replaced.

        Args:
            key: of any length.
            stamp: now, in seconds of a clock that all processes share.
            payload: of the table's payload length.
        """
        name = self._name(key)
        oldest, oldest_stamp = -1, float("inf")
        for place in self._row(name):
            found, written = HEAD.unpack_from(self._memory, place)
            if found == name:
                oldest = place
                break
            if written < oldest_stamp:  # zero in an empty record
                oldest, oldest_stamp = place, written
        self._memory[oldest : oldest + self._size] = HEAD.pack(name, stamp) + payload

    def forget(self, key: bytes) -> None:
        """Remove a record if there is one."""
        name = self._name(key)
        for place in self._row(name):
            if HEAD.unpack_from(self._memory, place)[0] == name:
                self._memory[place : place + self._size] = bytes(self._size)

    def __len__(self) -> int:
        """Count the records; reads all of the memory."""
        everywhere = range(0, self._rows * WAYS * self._size, self._size)
        return sum(HEAD.unpack_from(self._memory, place)[0] != NOTHING for place in everywhere)

    def _name(self, key: bytes) -> bytes:
        return hashlib.blake2b(key, key=self._key, digest_size=16).digest()

    def _row(self, name: bytes) -> Iterator[int]:
        start = int.from_bytes(name[:4], "little") % self._rows * WAYS * self._size
        return iter(range(start, start + WAYS * self._size, self._size))
