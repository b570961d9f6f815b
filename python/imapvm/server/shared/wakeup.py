"""Doorbells between processes: who commits rings, and whose clients wait looks at the filepool.

A bell is an eventfd, made by the master and inherited by all; beside it stands one octet in shared
memory. QUIET: nobody waits there, so nobody rings. ARMED: ring. SENT: somebody has, and it was
not answered yet, so nobody rings again: a thousand commits in a row cost one system call.

A bell carries nothing. The truth is the filepool's `ring` table; a bell that got lost, because its
ringer was killed between the two steps, is made up for by the look that each process takes once a
second, and which answers its bell, too.
"""

import contextlib
import os
from collections.abc import Sequence
from typing import Final, final

QUIET: Final = 0
ARMED: Final = 1
SENT: Final = 2


def new_eventfd() -> int:
    """A bell's descriptor."""
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


@final
class Wakeup:
    """All bells of a server, as one process has them.

    Args:
        fds: a descriptor each.
        states: an octet each, in memory that all processes share.
        own: which is ours; None for a process that nobody rings at.
    """

    __slots__ = ("_others", "_own", "_states", "fd")

    def __init__(self, fds: Sequence[int], states: memoryview, own: int | None) -> None:
        self._states = states
        self._own = own
        self._others = [(index, fd) for index, fd in enumerate(fds) if index != own]
        self.fd = -1 if own is None else fds[own]
        """Readable when it was rung at ours."""

    def wake(self, *, unconditional: bool = False) -> None:
        """Ring at all others whose clients wait; in any thread, after a commit.

        Args:
            unconditional: also where no client waits: an account has changed.
        """
        states = self._states
        for index, fd in self._others:
            state = states[index]
            if state == ARMED or (unconditional and state == QUIET):
                states[index] = SENT
                os.eventfd_write(fd, 1)

    def rearm(self, *, waiting: bool) -> None:
        """Have it rung again at the next commit; then look at the filepool, in this order.

        Args:
            waiting: whether anybody here wants to know of commits.
        """
        assert self._own is not None
        # Read first: who finds SENT until the next line has committed before we look.
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        self._states[self._own] = ARMED if waiting else QUIET

    def watch(self) -> None:
        """Somebody begins to wait; then look at the filepool, in this order."""
        assert self._own is not None
        if self._states[self._own] == QUIET:
            self._states[self._own] = ARMED
