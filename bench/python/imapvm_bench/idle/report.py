"""Report of a measurement of idle sessions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from imapvm_bench.idle.memory import Memory
from imapvm_bench.idle.pool import IdlePoolState
from imapvm_bench.load.histogram import Histogram
from imapvm_bench.load.probe import Probe
from imapvm_bench.server.target import Target

WARM_SESSIONS: Final = 50
"""Sessions opened and closed before memory is read: what is loaded once belongs to no session."""


@dataclass(frozen=True, slots=True)
class IdleSpec:
    """Parameters of a measurement."""

    target: Target
    """With `pid`, memory is measured; with `lmtp`, deliveries."""
    sessions: int
    deliveries: int = 200
    processes: int | None = None
    at_once: int = 64
    answer_seconds: float = 30.0
    hold_seconds: float = 0.0
    """Idle time before memory is read, for servers that free memory after a while."""
    seed: int = 1
    warm_sessions: int = WARM_SESSIONS
    """Few for a server that keeps a process of each."""


@dataclass(slots=True)
class PushLatency:
    """Times from a delivery to EXISTS in microseconds, one value for each session."""

    deliveries: int = 0
    expected: int = 0
    """Sessions of the recipients, over all deliveries."""
    missed: int = 0
    """Sessions without an EXISTS in time."""
    from_dot: list[int] = field(default_factory=list)
    """From just before the final dot was sent."""
    from_reply: list[int] = field(default_factory=list)
    """From the reply to the final dot; 0 where EXISTS came first."""
    last_from_dot: list[int] = field(default_factory=list)
    """Of the last session of each delivery."""


@dataclass(slots=True)
class IdleReport:
    """Results; None or empty where something was not requested, or not reached."""

    load: IdleSpec
    probe: Probe
    processes: int = 0
    state: IdlePoolState = field(default_factory=IdlePoolState)
    """State at the end; sessions that broke meanwhile are counted as failed."""
    idled: int = 0
    """Idle sessions after all had been opened."""
    opened_seconds: float = 0.0
    before: Memory | None = None
    after: Memory | None = None
    after_push: Memory | None = None
    push: PushLatency = field(default_factory=PushLatency)
    ended_early: str = ""
    """Reason why deliveries ended early."""
    server_stopped: bool = False
    interrupted: bool = False

    def per_session(self, later: Memory | None) -> tuple[float, float] | None:
        """Return the growth of memory for each session in bytes: PSS, and its anonymous part."""
        if self.before is None or later is None or not self.idled:
            return None
        return (
            (later.pss - self.before.pss) / self.idled,
            (later.anonymous - self.before.anonymous) / self.idled,
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything for JSON."""
        idle, later = self.per_session(self.after), self.per_session(self.after_push)
        return {
            "server": {"address": str(self.load.target.imap), "name": self.probe.name},
            "tls": self.load.target.tls,
            "users": len(self.load.target.users),
            "sessions": self.load.sessions,
            "idling": self.idled,
            "failed": self.state.failed,
            "client_processes": self.processes,
            "errors": {
                kind: {"count": error.count, "example": error.example}
                for kind, error in self.state.errors.items()
            },
            "opened_seconds": self.opened_seconds,
            "memory": {
                "before": _memory(self.before),
                "after": _memory(self.after),
                "after_news": _memory(self.after_push),
                "bytes_a_session": idle and round(idle[0]),
                "anonymous_bytes_a_session": idle and round(idle[1]),
                "bytes_a_session_after_news": later and round(later[0]),
                "anonymous_bytes_a_session_after_news": later and round(later[1]),
            },
            "news": {
                "deliveries": self.push.deliveries,
                "expected": self.push.expected,
                "missed": self.push.missed,
                "from_dot_us": percentiles(self.push.from_dot),
                "from_reply_us": percentiles(self.push.from_reply),
                "last_from_dot_us": percentiles(self.push.last_from_dot),
            },
            "ended_early": self.ended_early,
            "server_stopped": self.server_stopped,
            "interrupted": self.interrupted,
        }


def _memory(memory: Memory | None) -> dict[str, int] | None:
    if memory is None:
        return None
    return {"pss": memory.pss, "anonymous": memory.anonymous, "processes": memory.processes}


def histogram_of(values: Sequence[int]) -> Histogram:
    """Return a histogram of single values."""
    return Histogram.of((value, 1) for value in values)


def percentiles(values: Sequence[int]) -> dict[str, int] | None:
    """Return p50, p99 and max in microseconds; None without values."""
    if not values:
        return None
    p50, p99 = histogram_of(values).percentiles((50, 99))
    return {"p50": p50, "p99": p99, "max": max(values)}
