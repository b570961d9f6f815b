"""A table of bounded size in memory that several processes write to, without a lock.

A record has its place in one of a few rows that its key names; where the row is full, the record
that was written longest ago gives way. Two processes that change one record within the same
microsecond can lose one of the changes, and a process that is killed within it leaves half a
record: what is kept here must be worth no more than that. It suits counts that slow guessing down,
and digests, of which half a one fits nothing.
"""

import hashlib
from collections.abc import Iterator
from struct import Struct
from typing import Final, final

WAYS: Final = 8
"""Records in a row: with rows half full, hardly ever one too few."""
HEAD: Final = Struct("<16sd")
"""Digest of the key, and the time of the last change; zeros where nothing is."""
NOTHING: Final = bytes(16)


def table_bytes(records: int, payload: int) -> int:
    """Room for a table."""
    return records // WAYS * WAYS * (HEAD.size + payload)


@final
class SharedTable:
    """A view on such memory; each process has its own.

    Args:
        memory: writable, of the size that `table_bytes` says, zeros in the beginning.
        key: secret of all processes that share it, so that nobody can aim at one row.
        payload: octets of a record beside key and time; a multiple of 8, for whole times.
    """

    __slots__ = ("_key", "_memory", "_payload", "_rows", "_size")

    def __init__(self, memory: memoryview, key: bytes, *, payload: int) -> None:
        self._memory = memory
        self._key = key
        self._payload = payload
        self._size = HEAD.size + payload
        self._rows = len(memory) // (WAYS * self._size)

    def find(self, key: bytes) -> tuple[float, bytes] | None:
        """When a record was written, and its payload; None where there is none (any more)."""
        name = self._name(key)
        for place in self._row(name):
            found, stamp = HEAD.unpack_from(self._memory, place)
            if found == name:
                start = place + HEAD.size
                return stamp, bytes(self._memory[start : start + self._payload])
        return None

    def put(self, key: bytes, stamp: float, payload: bytes) -> None:
        """Write a record, in place of an earlier one with this key.

        Args:
            key: of whatever length.
            stamp: now, in seconds of a clock that all processes share.
            payload: as long as the table was made for.
        """
        name = self._name(key)
        oldest, oldest_stamp = -1, float("inf")
        for place in self._row(name):
            found, written = HEAD.unpack_from(self._memory, place)
            if found == name:
                oldest = place
                break
            if written < oldest_stamp:  # zero where nothing is
                oldest, oldest_stamp = place, written
        self._memory[oldest : oldest + self._size] = HEAD.pack(name, stamp) + payload

    def forget(self, key: bytes) -> None:
        """Remove a record; may be called where there is none."""
        name = self._name(key)
        for place in self._row(name):
            if HEAD.unpack_from(self._memory, place)[0] == name:
                self._memory[place : place + self._size] = bytes(self._size)

    def __len__(self) -> int:
        """Records; looks at all of the memory."""
        everywhere = range(0, self._rows * WAYS * self._size, self._size)
        return sum(HEAD.unpack_from(self._memory, place)[0] != NOTHING for place in everywhere)

    def _name(self, key: bytes) -> bytes:
        return hashlib.blake2b(key, key=self._key, digest_size=16).digest()

    def _row(self, name: bytes) -> Iterator[int]:
        start = int.from_bytes(name[:4], "little") % self._rows * WAYS * self._size
        return iter(range(start, start + WAYS * self._size, self._size))
