"""Throttle: delays for logins after failures.

Three counts: failures of one peer with one name; names that one peer failed with; peers that failed
with one name. The first slows guessing one password, the second trying one password with many
names, the third guessing from many addresses. A telephone with an old password counts once for its
office's address, so it does not slow the others there. No delay is longer than `LONGEST_SECONDS`,
so failures cannot lock the owner of an account out.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, final

from imapvm.model.limits import THROTTLE_ENTRIES_MAX

PAIR_FREE: Final = 2
"""Failures of a peer with one name that cause no delay."""
SPREAD_FREE: Final = 20
"""Names of a peer, or peers of a name, that cause no delay."""
LONGEST_SECONDS: Final = 15.0
LONGEST_FOR_NAME_SECONDS: Final = 4.0
"""For failures of other peers with a name: its owner waits too, so the delay is short."""
FORGET_SECONDS: Final = 15 * 60.0
"""Counts expire this long after the last failure."""

FailureKey: TypeAlias = tuple[str | None, str | None]
"""Peer and name; None means all."""


class Failures(Protocol):
    """Counts of failures. Bounded: the key without a failure for the longest time is dropped."""

    def find(self, key: FailureKey) -> tuple[int, float] | None:
        """Return the count and the time of the last failure."""

    def put(self, key: FailureKey, count: int, last: float) -> None: ...

    def forget(self, key: FailureKey) -> None: ...

    def __len__(self) -> int: ...


@final
class LocalFailures:
    """Failures of one process."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: OrderedDict[FailureKey, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: FailureKey) -> tuple[int, float] | None:
        return self._entries.get(key)

    def put(self, key: FailureKey, count: int, last: float) -> None:
        self._entries[key] = (count, last)
        self._entries.move_to_end(key)
        if len(self._entries) > THROTTLE_ENTRIES_MAX:
            self._entries.popitem(last=False)

    def forget(self, key: FailureKey) -> None:
        self._entries.pop(key, None)


@final
class Throttle:
    """Delays computed from counted failures."""

    __slots__ = ("_clock", "_failures")

    def __init__(self, clock: Callable[[], float], failures: Failures | None = None) -> None:
        """Start with the counts in `failures`.

        Args:
            clock: seconds that never go back, the same for all that share `failures`.
            failures: shared by all processes; for this process alone by default.
        """
        self._clock = clock
        self._failures = LocalFailures() if failures is None else failures

    def __len__(self) -> int:
        return len(self._failures)

    def delay(self, peer: str, name: str) -> float:
        """Return the seconds to wait before a password is checked. `name` is in normal form."""
        return max(
            _delay(self._count((peer, name)) - PAIR_FREE, LONGEST_SECONDS),
            _delay(self._count((peer, None)) - SPREAD_FREE, LONGEST_SECONDS),
            _delay(self._count((None, name)) - SPREAD_FREE, LONGEST_FOR_NAME_SECONDS),
        )

    def failures(self, peer: str, name: str) -> int:
        """Return the failures of a peer with one name."""
        return self._count((peer, name))

    def failed(self, peer: str, name: str) -> None:
        """Count a failure."""
        if not self._count((peer, name)):
            self._add((peer, None))
            self._add((None, name))
        self._add((peer, name))

    def succeeded(self, peer: str, name: str) -> None:
        """Forget this peer's failures with this name.

        Its failures with other names stay, or one good account would be enough to guess all others.
        """
        if self._failures.find((peer, name)) is not None:
            self._failures.forget((peer, name))
            self._subtract((peer, None))
            self._subtract((None, name))

    def _count(self, key: FailureKey) -> int:
        count, last = self._failures.find(key) or (0, 0.0)
        if count and self._clock() - last >= FORGET_SECONDS:
            self._failures.forget(key)
            return 0
        return count

    def _add(self, key: FailureKey) -> None:
        self._failures.put(key, self._count(key) + 1, self._clock())

    def _subtract(self, key: FailureKey) -> None:
        count, last = self._failures.find(key) or (0, 0.0)
        if count > 1:
            self._failures.put(key, count - 1, last)
        else:
            self._failures.forget(key)


def _delay(over: int, longest: float) -> float:
    """Return 1, 2, 4, 8 … seconds for failures beyond the free ones."""
    if over <= 0:
        return 0.0
    return min(2.0 ** min(over - 1, 30), longest)
