"""Log events: which errors are internal, and the least interval of events that peers can cause."""

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


def is_internal_error(error: BaseException) -> bool:
    """Return True for unexpected exceptions; False for cancellation, interrupts and exits.

    A panic in the extension raises `PanicException`, a `BaseException` that cannot be imported.
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
