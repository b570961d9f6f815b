"""Wakeups between processes: a process that commits wakes those with clients in IDLE.

Each process that serves clients has an eventfd, made by the master and inherited by all, and one
byte of shared memory:

    QUIET   no client waits there: do not wake
    ARMED   wake: write to the eventfd
    SENT    woken and not rearmed yet: do not wake again

So a thousand commits in a row cost one system call. A wakeup carries no data: the changes are in
the filepool's change journal. A wakeup that was lost, because the waking process was killed between
its two steps, is made up for by the poll of each process once a second, which rearms too.
"""

import contextlib
import os
from collections.abc import Sequence
from typing import Final, final

QUIET: Final = 0
ARMED: Final = 1
SENT: Final = 2


def new_eventfd() -> int:
    """Return a descriptor for one process."""
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


class Wakeup:
    """Wakeups of a server, as a process sends them.

    Args:
        fds: one eventfd for each process that serves clients.
        states: a byte for each, in memory that all processes share.
        own: index of this process, if it serves clients.
    """

    __slots__ = ("_others", "_states")

    def __init__(self, fds: Sequence[int], states: memoryview, own: int | None = None) -> None:
        self._states = states
        self._others = [(index, fd) for index, fd in enumerate(fds) if index != own]

    def wake(self, *, unconditional: bool = False) -> None:
        """Wake all other processes with waiting clients; in any thread, after a commit.

        Args:
            unconditional: also those without waiting clients: an account has changed.
        """
        states = self._states
        for index, fd in self._others:
            state = states[index]
            if state == ARMED or (unconditional and state == QUIET):
                states[index] = SENT
                os.eventfd_write(fd, 1)


@final
class WorkerWakeup(Wakeup):
    """Wakeups of a server, as a process that serves clients sends and receives them.

    Args:
        fds: as for `Wakeup`.
        states: as for `Wakeup`.
        index: index of this process.
    """

    __slots__ = ("fd", "index")

    def __init__(self, fds: Sequence[int], states: memoryview, index: int) -> None:
        super().__init__(fds, states, index)
        self.index = index
        self.fd = fds[index]
        """Readable after a wakeup of this process."""

    def rearm(self, *, waiting: bool) -> None:
        """Have the next commit wake this process; read the change journal after it, not before.

        Args:
            waiting: True if a client here waits for changes.
        """
        # Read first: a process that finds SENT until the next line has committed before we look.
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        self._states[self.index] = ARMED if waiting else QUIET

    def watch(self) -> None:
        """Arm for a client that starts to wait; read the change journal after it, not before."""
        if self._states[self.index] == QUIET:
            self._states[self.index] = ARMED
