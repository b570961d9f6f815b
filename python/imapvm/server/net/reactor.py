"""Edge-triggered readiness for many connections behind one Trio wait.

Each connection is registered once, for both directions, in an epoll of our own; Trio waits for
that epoll alone. A turn costs one re-arm for all connections that have something to say, instead
of one for each (bench/results, "receive").
"""

import select
from time import perf_counter
from typing import Final, Protocol, final

import trio
from trio.lowlevel import wait_readable

EVENTS_PER_TURN: Final = 1024
"""Handed out before the next look; what is left is found by it."""
TURN_SECONDS: Final = 0.001
"""How long clients are served before other tasks run: a turn of Trio costs as much as a command."""

INTEREST: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
ENDED: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
READABLE: Final = select.EPOLLIN | ENDED
WRITABLE: Final = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR


class Watched(Protocol):
    """What the reactor calls back."""

    def ready(self, events: int) -> None:
        """Something changed; must not wait, raise, or close a descriptor."""


@final
class Reactor:
    """One in a process: watches the sockets of all its connections.

    `run` must outlive every connection that was registered, so it has a nursery outside theirs.
    """

    __slots__ = ("_epoll", "_watched", "woken")

    def __init__(self) -> None:
        self._epoll = select.epoll(flags=select.EPOLL_CLOEXEC)
        self._watched: dict[int, Watched] = {}
        self.woken = False
        """Set by who is called back: a task is to run now."""

    def __len__(self) -> int:
        return len(self._watched)

    def register(self, fd: int, watched: Watched) -> None:
        """Watch a descriptor; what is already true of it counts as the first change."""
        self._epoll.register(fd, INTEREST)
        self._watched[fd] = watched

    def forget(self, fd: int) -> None:
        """Watch no more; to be called before the descriptor is closed."""
        if self._watched.pop(fd, None) is not None and not self._epoll.closed:
            self._epoll.unregister(fd)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hand out events until cancelled."""
        epoll, watched = self._epoll, self._watched
        task_status.started()
        try:
            while True:
                await wait_readable(epoll.fileno())
                until = perf_counter() + TURN_SECONDS
                # Nobody runs between a poll and the end of the loop over what it found, so no
                # number in it can have been closed and given to another connection.
                self.woken = False
                while events := epoll.poll(0, EVENTS_PER_TURN):
                    for fd, what in events:
                        connection = watched.get(fd)
                        if connection is not None:
                            connection.ready(what)
                    connection = None  # or the last one would stay while nothing happens
                    if self.woken or perf_counter() > until:
                        break
        finally:
            epoll.close()
