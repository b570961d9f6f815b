"""Room behind the last page of a data file, made in steps so that few commits make the file longer.

A commit to a file that grows has its length and its blocks to write besides, which was a third of
what the disk had to do for a small one (docs/decisions/0007).
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

STEP_BYTES: Final = 1024 * 1024
"""How much longer the file is made at a time; less is never left behind the last page for long."""
HEADROOM_MIN_BYTES: Final = 128 * 1024
"""With less than this behind the last page, the file is made longer."""


class Preallocator:
    """The end of one data file."""

    def __init__(self, path: Path, limit: int) -> None:
        """Watch the end of a file.

        Args:
            path: of the environment.
            limit: octets; the file is made no longer than this.
        """
        self._file = os.open(path / "data.mdb", os.O_WRONLY | os.O_CLOEXEC)
        self._limit = limit
        self._size = 0
        """As last seen: it never becomes shorter."""

    def preallocate(self, used: int) -> None:
        """Make the file longer, if it is time; a disk that is full is not our trouble here.

        To be called inside a write transaction before anything is written: it keeps every process
        from writing pages there.

        Args:
            used: octets up to the end of the last page in use.
        """
        if self._size - used >= HEADROOM_MIN_BYTES:
            return
        with suppress(OSError):
            self._size = os.fstat(self._file).st_size
            if self._size - used < HEADROOM_MIN_BYTES and self._size + STEP_BYTES <= self._limit:
                # Zeros, since a hole or reserved blocks would still be turned into data later.
                self._size += os.pwrite(self._file, bytes(STEP_BYTES), self._size)

    def close(self) -> None:
        """Let go of the file. LMDB's locks are on its other one."""
        os.close(self._file)
