"""Reactor: edge-triggered readiness of many connections with one Trio wait.

Each connection is registered once, for both directions, in an epoll of our own; Trio waits for
that epoll only. A turn costs one re-arm for all connections that have events, instead of one for
each.
"""

import select
from time import perf_counter
from typing import Final, Protocol, final

import trio
from trio.lowlevel import wait_readable

from imapvm.commands.turns import Turns
from imapvm.server.net.compression import Codecs

EVENTS_PER_POLL: Final = 1024
"""Events of one `poll`; the next one returns the rest."""
POLLING_SECONDS: Final = 0.001
"""Time after which other tasks run, even if more events arrive: a step of Trio costs as much as
many commands. Events that have arrived are handled for `imapvm.commands.turns.TURN_SECONDS`; those
that remain then are handled in the next turn."""

INTEREST: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
ENDED: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
READABLE: Final = select.EPOLLIN | ENDED
WRITABLE: Final = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR


class Watched(Protocol):
    """Owner of a registered descriptor."""

    def ready(self, events: int) -> None:
        """Handle events; must not wait, raise, or close a descriptor."""


@final
class Reactor:
    """Watches the sockets of all connections of a process.

    `run` has to outlive every registered connection, so its nursery is outside theirs.

    Args:
        turns: the deadline of each turn.
    """

    __slots__ = ("_epoll", "_left", "_watched", "codecs", "turns", "woken")

    def __init__(self, turns: Turns | None = None) -> None:
        self.turns = turns or Turns()
        """All connections that are served between two waits share one turn."""
        self.codecs = Codecs()
        """Of all compressed connections."""
        self._epoll = select.epoll(flags=select.EPOLL_CLOEXEC)
        self._watched: dict[int, Watched] = {}
        self._left: dict[int, int] = {}
        """Events by descriptor that the last turn had no time for. An edge is reported once, so
        none may be lost."""
        self.woken = False
        """Set by a callback that rescheduled a task: the turn ends so that the task runs."""

    def __len__(self) -> int:
        return len(self._watched)

    def register(self, fd: int, watched: Watched) -> None:
        """Watch a descriptor; conditions that hold already are reported as the first event."""
        self._epoll.register(fd, INTEREST)
        self._watched[fd] = watched

    def forget(self, fd: int) -> None:
        """Stop watching; call it before the descriptor is closed."""
        self._left.pop(fd, None)  # a new connection may get the same descriptor
        if self._watched.pop(fd, None) is not None and not self._epoll.closed:
            self._epoll.unregister(fd)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Dispatch events until cancelled."""
        epoll, watched, turns = self._epoll, self._watched, self.turns
        task_status.started()
        try:
            while True:
                if self._left:
                    await trio.lowlevel.checkpoint()
                else:
                    await wait_readable(epoll.fileno())
                until = turns.begin() + POLLING_SECONDS
                # No other task runs between a poll and the end of the loop over its events, so no
                # descriptor in it can have been closed and reused for another connection.
                self.woken = False
                while events := self._all_left() if self._left else epoll.poll(0, EVENTS_PER_POLL):
                    for number, (fd, what) in enumerate(events, 1):
                        connection = watched.get(fd)
                        if connection is not None:
                            connection.ready(what)
                            if turns.is_over():
                                self._left = dict(events[number:])
                                break
                    connection = None  # or the last one would be kept alive by an idle server
                    if self._left or self.woken or perf_counter() > until:
                        break
        finally:
            epoll.close()

    def _all_left(self) -> list[tuple[int, int]]:
        """Return the events that are left from the last turn, and those that have arrived."""
        left, self._left = self._left, {}
        for fd, what in self._epoll.poll(0, EVENTS_PER_POLL):
            left[fd] = left.get(fd, 0) | what
        return list(left.items())
