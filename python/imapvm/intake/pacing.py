"""Time slices: tasks that share one slice of the event loop, in turn.

A task awaits `pause` after each step of its work. Trio runs all tasks that are ready before it
handles I/O: with a slice for each, 64 files would block the loop for 64 slices.
"""

from time import perf_counter
from typing import Final

import trio

from imapvm.model.stepping import suspend

SLICE_SECONDS: Final = 0.005
"""Work between two turns of the event loop."""


class Pacer:
    """One time slice, for any number of tasks."""

    __slots__ = ("_end", "_turn")

    def __init__(self) -> None:
        self._end = 0.0
        self._turn = trio.Lock()

    async def pause(self) -> None:
        """Return at once during the slice; after it, wait for the next. Not always a checkpoint.

        Waiting tasks continue one by one, first come, first served.
        """
        if perf_counter() < self._end:
            return
        await suspend()
        async with self._turn:
            if perf_counter() >= self._end:
                await trio.lowlevel.checkpoint()
                self._end = perf_counter() + SLICE_SECONDS
