"""How long somebody waits who has failed to sign in before.

Three counts: failures of one peer with one name; names that one peer failed with; peers that failed
with one name. The first slows guessing at one password, the second trying one password on many
names, the third guessing from many addresses. A telephone that keeps an old password counts once
with its office's address, so it does not slow the others there; and since no delay is longer than
`LONGEST_SECONDS` nobody can lock an owner out.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, final

from imapvm.model.limits import THROTTLE_ENTRIES_MAX

PAIR_FREE: Final = 2
"""A peer with one name: misspelt, and misspelt again."""
SPREAD_FREE: Final = 20
"""Names of a peer, or peers of a name."""
LONGEST_SECONDS: Final = 15.0
LONGEST_FOR_NAME_SECONDS: Final = 4.0
"""For failures that others made with a name: its owner waits too, so it stays bearable."""
FORGET_SECONDS: Final = 15 * 60.0
"""After the last failure."""

FailureKey: TypeAlias = tuple[str | None, str | None]
"""Peer and name; None stands for all of them."""


class Failures(Protocol):
    """Where failures are counted. Bounded: what is longest without a failure is forgotten first."""

    def find(self, key: FailureKey) -> tuple[int, float] | None:
        """How many, and when the last was."""

    def put(self, key: FailureKey, count: int, last: float) -> None: ...

    def forget(self, key: FailureKey) -> None: ...

    def __len__(self) -> int: ...


@final
class LocalFailures:
    """Those of one process."""

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
    """Says how long to wait; where failures are counted is somebody else's."""

    __slots__ = ("_clock", "_failures")

    def __init__(self, clock: Callable[[], float], failures: Failures | None = None) -> None:
        """Remember nobody but those in `failures`.

        Args:
            clock: seconds that never go back, for all who share `failures`.
            failures: of this process alone by default.
        """
        self._clock = clock
        self._failures = LocalFailures() if failures is None else failures

    def __len__(self) -> int:
        return len(self._failures)

    def delay(self, peer: str, name: str) -> float:
        """Seconds to wait before a password is looked at. The name in its normal form."""
        return max(
            _delay(self._count((peer, name)) - PAIR_FREE, LONGEST_SECONDS),
            _delay(self._count((peer, None)) - SPREAD_FREE, LONGEST_SECONDS),
            _delay(self._count((None, name)) - SPREAD_FREE, LONGEST_FOR_NAME_SECONDS),
        )

    def failed(self, peer: str, name: str) -> None:
        """Remember a failure."""
        if not self._count((peer, name)):
            self._add((peer, None))
            self._add((None, name))
        self._add((peer, name))

    def succeeded(self, peer: str, name: str) -> None:
        """Forget this peer's failures with this name, whoever made them.

        Its failures with other names stay, or one good account would be enough to guess at all.
        """
        if self._failures.find((peer, name)) is not None:
            self._failures.forget((peer, name))
            self._take((peer, None))
            self._take((None, name))

    def _count(self, key: FailureKey) -> int:
        count, last = self._failures.find(key) or (0, 0.0)
        if count and self._clock() - last >= FORGET_SECONDS:
            self._failures.forget(key)
            return 0
        return count

    def _add(self, key: FailureKey) -> None:
        self._failures.put(key, self._count(key) + 1, self._clock())

    def _take(self, key: FailureKey) -> None:
        count, last = self._failures.find(key) or (0, 0.0)
        if count > 1:
            self._failures.put(key, count - 1, last)
        else:
            self._failures.forget(key)


def _delay(over: int, longest: float) -> float:
    """1, 2, 4, 8 … seconds for what is over the free tries."""
    if over <= 0:
        return 0.0
    return min(2.0 ** min(over - 1, 30), longest)
