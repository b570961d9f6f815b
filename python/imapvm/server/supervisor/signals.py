"""Signals that can be waited for together with descriptors."""

import contextlib
import signal
import socket
from types import FrameType, TracebackType
from typing import Any, Final, Self, final

_READ_MAX: Final = 4096


@final
class Signals:
    """Context in which signals only make `fd` readable. For the main thread."""

    __slots__ = ("_before", "_reader", "_which", "_writer", "fd")

    def __init__(self, *which: signal.Signals) -> None:
        self._which = which
        self._before: dict[signal.Signals, Any] = {}
        self._reader, self._writer = socket.socketpair()
        self._reader.settimeout(0)
        self._writer.settimeout(0)
        self.fd = self._reader.fileno()

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for what in self._which:
            self._before[what] = signal.signal(what, _nothing)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for what, handler in self._before.items():
            signal.signal(what, handler)
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()

    def take(self) -> bytes:
        """Return the numbers of the signals received since the last call, in order."""
        with contextlib.suppress(BlockingIOError):
            return self._reader.recv(_READ_MAX)
        return b""


def _nothing(number: int, frame: FrameType | None) -> None:
    """Do nothing: a signal without a handler would not be written to the descriptor."""
