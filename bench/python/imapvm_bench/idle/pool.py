"""Pool of sessions in IDLE, in as many client processes as the limit of descriptors requires."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self, TypeVar

from imapvm_bench.errors import BenchError
from imapvm_bench.load.descriptors import raise_limit
from imapvm_bench.load.plan import idle_plan
from imapvm_bench.load.report import ErrorCount
from imapvm_bench.server.target import Target, loopback_sources

T = TypeVar("T")

STOP_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """EXISTS on one session."""

    session: int
    """Number of the session from 0, over all processes."""
    at_ns: int
    """CLOCK_MONOTONIC."""
    exists: int


@dataclass(frozen=True, slots=True)
class IdlePoolState:
    """Numbers of sessions by state."""

    idling: int = 0
    opening: int = 0
    failed: int = 0
    errors: dict[str, ErrorCount] = field(default_factory=dict)


class IdlePool:
    """Sessions in IDLE, closed at the end of a `with`. Session n is user n % len(users)."""

    def __init__(
        self,
        target: Target,
        sessions: int,
        *,
        processes: int | None = None,
        at_once: int = 64,
        answer_seconds: float = 30.0,
    ) -> None:
        """Start to open the sessions.

        Args:
            target: the server.
            sessions: number of sessions.
            processes: None: as many as the limit of descriptors requires.
            at_once: concurrent log-ins, over all processes.
            answer_seconds: a log-in without an answer for this long has failed.
        """
        self.target = target
        self.sessions = sessions
        self.processes = processes or -(-sessions // raise_limit())
        self._changed = threading.Condition()
        self._arrivals: list[Arrival] = []
        self._processes: list[_PoolProcess] = []
        sources = target.sources or _sources(target, sessions)
        try:
            for number, size in enumerate(shares(sessions, self.processes)):
                first = sum(process.size for process in self._processes)
                part = replace(
                    target,
                    users=rotated(target.users, first),
                    sources=rotated(sources, number),
                )
                share = max(1, at_once // self.processes)
                plan = idle_plan(part, size, at_once=share, answer_seconds=answer_seconds)
                self._processes.append(_PoolProcess(plan, first, size, self._received))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all sessions, and wait for the processes to end."""
        for process in self._processes:
            process.close()
        for process in self._processes:
            process.join()

    def state(self) -> IdlePoolState:
        """Return the numbers of sessions by state.

        Raises:
            BenchError: a client process has ended, or could not start.
        """
        for process in self._processes:
            process.check()
        states = [process.state for process in self._processes]
        errors: dict[str, ErrorCount] = {}
        for state in states:
            for kind, (count, example) in state.get("errors", {}).items():
                before = errors.get(kind, ErrorCount(0, example))
                errors[kind] = ErrorCount(before.count + count, before.example)
        return IdlePoolState(
            idling=sum(state.get("idling", 0) for state in states),
            opening=sum(
                state.get("opening", process.size)
                for state, process in zip(states, self._processes, strict=True)
            ),
            failed=sum(state.get("failed", 0) for state in states),
            errors=errors,
        )

    def wait_opened(
        self, on_state: Callable[[IdlePoolState], None] = lambda _: None, every_seconds: float = 0.1
    ) -> IdlePoolState:
        """Wait until every session has been opened or has failed.

        No deadline: every log-in has its own, `answer_seconds`.

        Raises:
            BenchError: a client process has ended, or could not start.
        """
        while True:
            state = self.state()
            on_state(state)
            if not state.opening:
                return state
            with self._changed:
                self._changed.wait(every_seconds)

    def forget_arrivals(self) -> None:
        """Drop the arrivals so far."""
        with self._changed:
            self._arrivals.clear()

    def wait_arrivals(
        self, enough: Callable[[Sequence[Arrival]], bool], seconds: float
    ) -> list[Arrival]:
        """Wait until `enough` is true or the time is over; return all arrivals."""
        until = time.monotonic() + seconds
        with self._changed:
            while not enough(self._arrivals) and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            return list(self._arrivals)

    def _received(self, arrivals: list[Arrival]) -> None:
        with self._changed:
            self._arrivals += arrivals
            self._changed.notify_all()


class _PoolProcess:
    """One client process, and the thread that reads its output."""

    def __init__(
        self, plan: str, first: int, size: int, on_arrivals: Callable[[list[Arrival]], None]
    ) -> None:
        self.size = size
        self.state: dict[str, Any] = {}
        self._first = first
        self._on_arrivals = on_arrivals
        self._refused = ""
        self._closing = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "imapvm_bench.idle.pool_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: PT018  # both are pipes
        self._input, self._output = stdin, stdout
        self._input.write(plan + "\n")
        self._input.flush()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._output:
            message = json.loads(line)
            if "state" in message:
                self.state = message["state"]
                self._on_arrivals([])
            elif "arrivals" in message:
                arrivals = message["arrivals"]
                self._on_arrivals([Arrival(self._first + n, at, e) for n, at, e in arrivals])
            else:
                self._refused = message.get("refused", "")

    def check(self) -> None:
        if self._process.poll() is not None and not self._closing:
            self._reader.join(1)
            reason = self._refused or f"exit status {self._process.returncode}"
            raise BenchError(f"a client process ended: {reason}")

    def close(self) -> None:
        self._closing = True
        with contextlib.suppress(BrokenPipeError):  # the process has ended
            self._input.close()

    def join(self) -> None:
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1)
        self._output.close()


def shares(whole: int, parts: int) -> list[int]:
    """Divide a number into parts of equal size; the first ones may be larger by one."""
    low, rest = divmod(whole, parts)
    return [low + (n < rest) for n in range(parts) if low + (n < rest)]


def rotated(values: tuple[T, ...], places: int) -> tuple[T, ...]:
    """Return the values rotated left by `places`."""
    at = places % len(values) if values else 0
    return values[at:] + values[:at]


def _sources(target: Target, sessions: int) -> tuple[str, ...]:
    """Return source addresses for many sessions over loopback: one has 28,000 ephemeral ports."""
    if not target.imap.host.startswith("127.") and target.imap.host != "localhost":
        return ()
    return loopback_sources(sessions) if sessions > 20_000 else ()
