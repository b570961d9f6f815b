"""Fair limiter: a limit on concurrent work whose free slots go to the peers in turn.

Waiting tasks form one queue for each peer, in the order of arrival:

    192.0.2.1      o o o o o o o o   --+
    192.0.2.7      o                 --+--> slots, one peer after another
    198.51.100.3   o o               --+

So a peer with a long queue delays another peer by one turn only. Needs no event loop: events are
passed in.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final, Protocol, final


class Event(Protocol):
    """Event for which one task waits (`trio.Event`)."""

    def set(self) -> None: ...

    async def wait(self) -> None: ...


class QueueFullError(Exception):
    """Too many tasks wait already."""


@final
class _Waiter:
    """Task that waits."""

    __slots__ = ("event", "granted", "refused")

    def __init__(self, event: Event) -> None:
        self.event: Final = event
        self.granted = False
        self.refused = False


@final
class FairLimiter:
    """Limit on concurrent work, by peer and in total.

    Args:
        slots: concurrent holders.
        per_peer: concurrent holders of one peer.
        make_event: makes an event that is not set.
        waiting_max: waiting tasks; None if the caller bounds them.
    """

    __slots__ = (
        "_held",
        "_make_event",
        "_per_peer",
        "_queues",
        "_waiting_max",
        "borrowed",
        "slots",
        "waiting",
    )

    def __init__(
        self,
        slots: int,
        *,
        per_peer: int,
        make_event: Callable[[], Event],
        waiting_max: int | None = None,
    ) -> None:
        self.slots = slots
        self.borrowed = 0
        """Slots that are held."""
        self.waiting = 0
        """Tasks that wait."""
        self._per_peer = per_peer
        self._make_event = make_event
        self._waiting_max = waiting_max
        self._held: Counter[str] = Counter()
        self._queues: OrderedDict[str, OrderedDict[_Waiter, None]] = OrderedDict()
        """Waiting tasks by peer; the peer whose turn is next comes first."""

    async def acquire(self, peer: str) -> None:
        """Take a slot, or wait for one; `release` it afterwards.

        If waiting_max tasks wait, the newest one of the peer with the longest queue is refused:
        this one, unless another peer has more.

        Cancelled: no slot was taken.

        Raises:
            QueueFullError: this task was refused.
        """
        # All peers that wait while a slot is free have reached their own limit.
        if self.borrowed < self.slots and self._held[peer] < self._per_peer:
            self._take(peer)
            return
        self._make_room(peer)
        waiter = _Waiter(self._make_event())
        self._queues.setdefault(peer, OrderedDict())[waiter] = None
        self.waiting += 1
        try:
            await waiter.event.wait()
        except BaseException:
            if waiter.granted:
                self.release(peer)
            elif not waiter.refused:
                self._remove(peer, waiter)
            raise
        if waiter.refused:
            raise QueueFullError

    def release(self, peer: str) -> None:
        """Give a slot back; the next peer gets it."""
        self.borrowed -= 1
        self._held[peer] -= 1
        if not self._held[peer]:
            del self._held[peer]
        while self.borrowed < self.slots and self._grant():
            pass

    def _take(self, peer: str) -> None:
        self.borrowed += 1
        self._held[peer] += 1

    def _grant(self) -> bool:
        """Give a slot to the next peer below its limit; return False without one."""
        for peer, queue in self._queues.items():
            if self._held[peer] < self._per_peer:
                waiter = next(iter(queue))
                self._remove(peer, waiter)
                if queue:
                    self._queues.move_to_end(peer)
                waiter.granted = True
                self._take(peer)
                waiter.event.set()
                return True
        return False

    def _make_room(self, peer: str) -> None:
        if self._waiting_max is None or self.waiting < self._waiting_max:
            return
        longest = max(self._queues, key=lambda key: len(self._queues[key]))
        if len(self._queues[longest]) <= len(self._queues.get(peer, ())) + 1:
            raise QueueFullError
        waiter = next(reversed(self._queues[longest]))
        self._remove(longest, waiter)
        waiter.refused = True
        waiter.event.set()

    def _remove(self, peer: str, waiter: _Waiter) -> None:
        queue = self._queues[peer]
        del queue[waiter]
        if not queue:
            del self._queues[peer]
        self.waiting -= 1
