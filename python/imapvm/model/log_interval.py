"""Least interval between log events that peers can cause at any rate, to bound the log."""

from typing import Final, final


@final
class LogInterval:
    """Least interval between two events of one kind.

    if (skipped := self._refusals.skipped(now)) is not None:
        LOG.warning("connection refused", extra={"skipped": skipped})
    """

    __slots__ = ("_last", "_seconds", "_skipped")

    def __init__(self, seconds: float) -> None:
        self._seconds: Final = seconds
        self._last = float("-inf")
        self._skipped = 0

    def skipped(self, now: float) -> int | None:
        """Return the number of events skipped since the last one; None to skip this one.

        Args:
            now: seconds that never go back.
        """
        if now - self._last < self._seconds:
            self._skipped += 1
            return None
        self._last = now
        skipped, self._skipped = self._skipped, 0
        return skipped
