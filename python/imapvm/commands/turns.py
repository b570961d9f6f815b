"""Turns: limit on the time that one connection's work runs before other tasks of the process.

One deadline serves the whole process, since only one task runs at a time. The reactor sets it when
it wakes; connections that it serves in the same turn share what is left, and each of them runs at
least one command. Work that is not finished by then waits in `Turns.next`, in order of arrival, and
one waiting task continues per step of the event loop:

    reactor's turn          step of the loop     step                 step
    --------------          ----------------     ----                 ----
    A: 3 ms, is_over        A: 3 ms              B: 3 ms              A: 3 ms
    B: one command          all other tasks      all other tasks      all other tasks
    C: NOOP, answered       new input            new input            new input

So the delay of another session's command does not grow with the number of busy connections.
"""

from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final, final

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule, wait_task_rescheduled

from imapvm.model.stepping import suspend

TURN_SECONDS: Final = 0.003
"""Work of one connection before other tasks run. A step of the event loop costs some 0.05 ms, so
shorter turns would cost throughput; longer ones would delay the other sessions."""


@final
class Turns:
    """Deadline of the current turn, and the tasks that wait for their next one."""

    __slots__ = ("_clock", "_scheduled", "_until", "_waiting", "before", "number")

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._until = 0.0
        self.number = 0
        """Number of turns so far."""
        self.before: Callable[[], None] = lambda: None
        """Called before a task continues in its next turn."""
        self._scheduled = False
        """True if a task continues in the next step of the event loop."""
        self._waiting: deque[Task] = deque()

    def begin(self) -> float:
        """Start a turn; return its start by the clock."""
        now = self._clock()
        self._until = now + TURN_SECONDS
        self.number += 1
        return now

    def is_over(self) -> bool:
        """Return True if the work at hand has to let other tasks run."""
        return self._clock() >= self._until

    async def next(self) -> None:
        """Let other tasks run, then start a turn. Continues in a task (`suspend`)."""
        await suspend()
        if self._scheduled:
            await self._wait()
        else:
            self._scheduled = True
            try:
                await trio.lowlevel.checkpoint()
            except BaseException:
                self._schedule_next()
                raise
        self._schedule_next()
        self.before()
        self.begin()

    async def _wait(self) -> None:
        task = current_task()
        self._waiting.append(task)

        def abort(_raise_cancel: RaiseCancelT) -> Abort:
            self._waiting.remove(task)
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)

    def _schedule_next(self) -> None:
        """Have the first waiting task continue in the next step of the event loop."""
        self._scheduled = bool(self._waiting)
        if self._waiting:
            reschedule(self._waiting.popleft())
