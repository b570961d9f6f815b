"""One process that the master has started: what it says, and how it ends."""

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    import subprocess

HANG_SECONDS: Final = 30.0
"""Without a sign of life, after which a process is taken to hang. It gives one every five."""
DUMP_SECONDS: Final = 2.0
"""For a process that hangs to write where it does, before it is killed."""


@final
class Process:
    """A child, and our end of the pipe by which it reports.

    Args:
        child: just started.
        report: readable, non-blocking; closed when the child has been collected.
        now: on the master's clock.
    """

    __slots__ = (
        "_child",
        "_hung",
        "_kill_at",
        "closed",
        "ready",
        "report",
        "reported_at",
        "started_at",
    )

    def __init__(self, child: "subprocess.Popen[bytes]", report: int, *, now: float) -> None:
        self.report = report
        self.started_at = self.reported_at = now
        self.ready = False
        """It has said that all it does can be had."""
        self.closed = False
        """It has closed its end of the pipe: it is ending, or was killed."""
        self._hung = False
        self._child = child
        self._kill_at = float("inf")

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def deadline(self) -> float:
        """When `look` has to be called at the latest."""
        return min(self._kill_at, self.reported_at + HANG_SECONDS)

    def read_report(self, now: float) -> None:
        """Take what it has said."""
        with contextlib.suppress(BlockingIOError):
            if self.closed:
                return
            if said := os.read(self.report, 4096):
                self.reported_at = now
                self.ready = self.ready or b"r" in said
            else:
                self.closed = True

    def send_signal(self, what: signal.Signals, *, kill_at: float = float("inf")) -> None:
        """Send a signal.

        Args:
            what: the signal.
            kill_at: if it is still there by then, it is killed; an earlier such time stays.
        """
        self._kill_at = min(self._kill_at, kill_at)
        self._child.send_signal(what)

    def check(self, now: float) -> bool:
        """Kill it if it is time to; return True where it was found to hang just now."""
        if now >= self._kill_at:
            self._child.kill()
            self._kill_at = float("inf")
            self.reported_at = now  # it is collected soon, or the kernel does not let it go
            return False
        if now - self.reported_at < HANG_SECONDS or self._hung:
            return False
        self._hung = True
        self.reported_at = now
        # SIGABRT has it write the tracebacks of its threads (faulthandler), if it still can.
        self.send_signal(signal.SIGABRT, kill_at=now + DUMP_SECONDS)
        return True

    def reap(self) -> int | None:
        """None while it runs; then its status as `subprocess` has it, negative for a signal."""
        code = self._child.poll()
        if code is not None and self.report >= 0:
            os.close(self.report)
            self.report = -1
        return code


def cause_of(code: int) -> dict[str, object]:
    """How a process ended, for the log."""
    if code < 0:
        try:
            return {"signal": signal.Signals(-code).name}
        except ValueError:  # a real-time signal
            return {"signal": -code}
    return {"status": code}
