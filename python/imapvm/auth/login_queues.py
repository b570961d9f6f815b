"""Queues of logins: those of one peer with one name are checked one after another.

So many connections do not avoid the delays of the throttle. While a delay is due, a queue is short:
each login in it waits for the delays of those before it.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias, final

from imapvm.model.fair_limiter import Event, QueueFullError
from imapvm.model.limits import DELAYED_LOGINS_MAX, LOGINS_PER_PEER_AND_NAME_MAX

QueueKey: TypeAlias = tuple[str, str]
"""Peer and name."""


@final
class Turn:
    """Place of one login in its queue."""

    __slots__ = ("event", "refused")

    def __init__(self, event: Event) -> None:
        self.event: Final = event
        self.refused = False


@final
class LoginQueues:
    """Queues by peer and name; an empty queue is removed."""

    __slots__ = ("_make_event", "_queues")

    def __init__(self, make_event: Callable[[], Event]) -> None:
        self._make_event = make_event
        self._queues: dict[QueueKey, OrderedDict[Turn, None]] = {}

    def __len__(self) -> int:
        """Return the number of queues."""
        return len(self._queues)

    async def enter(self, key: QueueKey, *, delayed: bool) -> Turn:
        """Wait until all logins before this one have left; then `leave` with the result.

        Cancelled: the login has left the queue.

        Args:
            key: peer and name.
            delayed: True if the throttle delays this peer with this name.

        Raises:
            QueueFullError: too many logins are in the queue, before or after a failure.
        """
        queue = self._queues.setdefault(key, OrderedDict())
        if len(queue) >= (DELAYED_LOGINS_MAX if delayed else LOGINS_PER_PEER_AND_NAME_MAX):
            raise QueueFullError
        turn = Turn(self._make_event())
        queue[turn] = None
        if len(queue) > 1:
            try:
                await turn.event.wait()
            except BaseException:
                self.leave(key, turn)
                raise
            if turn.refused:
                raise QueueFullError
        return turn

    def leave(self, key: QueueKey, turn: Turn) -> None:
        """Leave the queue; the next login continues if this one was the first."""
        if turn.refused:
            return  # removed by `shorten`
        queue = self._queues[key]
        was_first = next(iter(queue)) is turn
        del queue[turn]
        if not queue:
            del self._queues[key]
        elif was_first:
            next(iter(queue)).event.set()

    def shorten(self, key: QueueKey) -> None:
        """Refuse the newest logins of a queue that is delayed from now on."""
        queue = self._queues[key]
        while len(queue) > DELAYED_LOGINS_MAX:
            turn, _ = queue.popitem()
            turn.refused = True
            turn.event.set()
