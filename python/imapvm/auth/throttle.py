"""How long somebody waits who has failed to sign in before.

Three counts: failures of one peer with one name; names that one peer failed with; peers that failed
with one name. The first slows guessing at one password, the second trying one password on many
names, the third guessing from many addresses. A telephone that keeps an old password counts once
with its office's address, so it does not slow the others there; and since no delay is longer than
`LONGEST_SECONDS` nobody can lock an owner out.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias, final

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

_Key: TypeAlias = tuple[str | None, str | None]


@final
class Throttle:
    """Bounded: the entry that is longest without a failure is forgotten first."""

    __slots__ = ("_clock", "_entries")

    def __init__(self, clock: Callable[[], float]) -> None:
        """Remember nobody.

        Args:
            clock: seconds that never go back.
        """
        self._clock = clock
        self._entries: OrderedDict[_Key, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

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
        if self._entries.pop((peer, name), None) is not None:
            self._take((peer, None))
            self._take((None, name))

    def _count(self, key: _Key) -> int:
        count, last = self._entries.get(key, (0, 0.0))
        if count and self._clock() - last >= FORGET_SECONDS:
            del self._entries[key]
            return 0
        return count

    def _add(self, key: _Key) -> None:
        self._entries[key] = (self._count(key) + 1, self._clock())
        self._entries.move_to_end(key)
        if len(self._entries) > THROTTLE_ENTRIES_MAX:
            self._entries.popitem(last=False)

    def _take(self, key: _Key) -> None:
        count, last = self._entries.get(key, (0, 0.0))
        if count > 1:
            self._entries[key] = (count - 1, last)
        else:
            self._entries.pop(key, None)


def _delay(over: int, longest: float) -> float:
    """1, 2, 4, 8 … seconds for what is over the free tries."""
    if over <= 0:
        return 0.0
    return min(2.0 ** min(over - 1, 30), longest)
