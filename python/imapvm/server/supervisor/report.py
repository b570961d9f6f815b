"""What a process tells its master: that it is ready, and that it is alive."""

import contextlib
import os
from typing import Final, final

import trio

READY: Final = b"r"
BEAT: Final = b"."
BEAT_SECONDS: Final = 5.0
"""Between two signs of life; see `HANG_SECONDS` in `imapvm.server.supervisor.process`."""


@final
class Report:
    """The process's end of a pipe. What the master does not read is not worth waiting for."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd

    def ready(self) -> None:
        """Everything that this process does can be had."""
        self._say(READY)

    async def beat_forever(self) -> None:
        """Say that the event loop runs; whoever blocks it is silent."""
        while True:
            self._say(BEAT)
            await trio.sleep(BEAT_SECONDS)

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._fd, word)
