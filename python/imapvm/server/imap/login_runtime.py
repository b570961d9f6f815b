"""Trio as the authenticator uses it."""

import os
from collections.abc import Callable
from typing import final

import trio


@final
class TrioRuntime:
    """Implements `imapvm.auth.authenticator.Runtime`.

    Args:
        clock: seconds that never go back; Trio's clock starts at a random time in each process.
        processes: number of processes that divide the cores: all together hash as many passwords
            at a time as there are cores (each hash takes 64 MiB).
    """

    __slots__ = ("_clock", "_threads", "cores")

    def __init__(
        self, *, clock: Callable[[], float] = trio.current_time, processes: int = 1
    ) -> None:
        self._clock = clock
        self.cores = -(-(os.cpu_count() or 1) // processes)
        # A hash that was abandoned by a cancelled login counts until its thread ends.
        self._threads = trio.CapacityLimiter(self.cores)

    def now(self) -> float:
        return self._clock()

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    def event(self) -> trio.Event:
        return trio.Event()

    async def in_thread(self, check: Callable[[], bool]) -> bool:
        return await trio.to_thread.run_sync(check, limiter=self._threads, abandon_on_cancel=True)
