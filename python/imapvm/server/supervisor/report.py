"""Reports of a process to its master: ready, and heartbeats."""

import contextlib
import os
from typing import Final, final

import trio

READY: Final = b"r"
BEAT: Final = b"."
BEAT_SECONDS: Final = 5.0
"""Between two heartbeats; see `HANG_SECONDS` in `imapvm.server.supervisor.process`."""


@final
class Report:
    """The process's end of the pipe. Reports that the master does not read are dropped."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd

    def ready(self) -> None:
        """Report that all tasks of this process have started."""
        self._write(READY)

    async def beat_forever(self) -> None:
        """Report that the event loop runs."""
        while True:
            self._write(BEAT)
            await trio.sleep(BEAT_SECONDS)

    def _write(self, word: bytes) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._fd, word)
