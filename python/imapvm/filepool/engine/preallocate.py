"""Preallocation at the end of a data file, in steps, so that few commits make the file longer.

A commit to a file that grows also has to write the file's length and its blocks, which was a third
of the disk's work for a small commit (docs/decisions/0007).
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

STEP_BYTES: Final = 1024 * 1024
"""Bytes that are added at a time."""
HEADROOM_MIN_BYTES: Final = 128 * 1024
"""The file is made longer if fewer bytes than this follow the last page in use."""


class Preallocator:
    """Preallocation in one data file.

    Args:
        path: directory of the environment.
        limit: bytes; the file is made no longer than this.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._file = os.open(path / "data.mdb", os.O_WRONLY | os.O_CLOEXEC)
        self._limit = limit
        self._size = 0
        """Size when it was last read; a data file never becomes shorter."""

    def preallocate(self, used: int) -> None:
        """Make the file longer if little is left; ignore a full disk.

        Call it inside a write transaction, before anything is written: no process writes pages
        there meanwhile.

        Args:
            used: bytes up to the end of the last page in use.
        """
        if self._size - used >= HEADROOM_MIN_BYTES:
            return
        with suppress(OSError):
            self._size = os.fstat(self._file).st_size
            if self._size - used < HEADROOM_MIN_BYTES and self._size + STEP_BYTES <= self._limit:
                # Zeros: a hole or reserved blocks would still have to be turned into data later.
                self._size += os.pwrite(self._file, bytes(STEP_BYTES), self._size)

    def close(self) -> None:
        """Close the file. LMDB's locks are on its other file."""
        os.close(self._file)
