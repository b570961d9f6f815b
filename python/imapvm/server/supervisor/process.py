"""Process: a child of the master, its reports and its end."""

import contextlib
import os
import signal
import subprocess
from typing import Final, final

HANG_SECONDS: Final = 30.0
"""Without a heartbeat, after which a process counts as hung; it sends one every five seconds."""
DUMP_SECONDS: Final = 2.0
"""Time of a hung process to write its tracebacks before it is killed."""


@final
class Process:
    """Child process, and our end of the pipe on which it reports.

    Args:
        child: just started.
        report: readable, non-blocking; closed by `reap`.
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

    def __init__(self, child: subprocess.Popen[bytes], report: int, *, now: float) -> None:
        self.report = report
        self.started_at = self.reported_at = now
        self.ready = False
        """The process has reported that it serves."""
        self.closed = False
        """The process has closed its end of the pipe: it is ending, or was killed."""
        self._hung = False
        self._child = child
        self._kill_at = float("inf")

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def deadline(self) -> float:
        """Time at which `check` has to be called at the latest."""
        return min(self._kill_at, self.reported_at + HANG_SECONDS)

    def read_report(self, now: float) -> None:
        """Read what the process has reported."""
        with contextlib.suppress(BlockingIOError):
            if self.closed:
                return
            if report := os.read(self.report, 4096):
                self.reported_at = now
                self.ready = self.ready or b"r" in report
            else:
                self.closed = True

    def send_signal(self, what: signal.Signals, *, kill_at: float = float("inf")) -> None:
        """Send a signal.

        Args:
            what: the signal.
            kill_at: time at which a process that still runs is killed; an earlier one stays.
        """
        self._kill_at = min(self._kill_at, kill_at)
        self._child.send_signal(what)

    def check(self, now: float) -> bool:
        """Kill the process if it is time to; return True if it was just found to hang."""
        if now >= self._kill_at:
            self._child.kill()
            self._kill_at = float("inf")
            self.reported_at = now  # it is reaped soon, unless the kernel cannot end it
            return False
        if now - self.reported_at < HANG_SECONDS or self._hung:
            return False
        self._hung = True
        self.reported_at = now
        # On SIGABRT faulthandler writes the tracebacks of all threads, if it still can.
        self.send_signal(signal.SIGABRT, kill_at=now + DUMP_SECONDS)
        return True

    def reap(self) -> int | None:
        """Return None while it runs; then `subprocess`'s status, negative for a signal."""
        code = self._child.poll()
        if code is not None and self.report >= 0:
            os.close(self.report)
            self.report = -1
        return code


def cause_of(code: int) -> dict[str, object]:
    """Return the log fields for a process's status."""
    if code < 0:
        try:
            return {"signal": signal.Signals(-code).name}
        except ValueError:  # a real-time signal
            return {"signal": -code}
    return {"status": code}
