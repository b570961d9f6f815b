"""What an idle session costs the server, and how soon it hears of new mail."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from imapvm_bench.errors import BenchError
from imapvm_bench.idle.memory import Memory, settled_memory
from imapvm_bench.idle.pool import Arrival, IdlePool, IdlePoolState
from imapvm_bench.load.histogram import Histogram
from imapvm_bench.load.probe import Probe, probe_server
from imapvm_bench.scenario.model import Command, Entry, Scenario
from imapvm_bench.server.imap_client import Refused
from imapvm_bench.server.lmtp_client import Lmtp
from imapvm_bench.server.target import Target

WARM_SESSIONS: Final = 50
"""Sessions that come and go before anything is measured: what is loaded once is no session's."""
PUSH_SECONDS: Final = 10.0
"""A session that was not told within this time is counted as not told."""

MESSAGE: Final = (
    b"From: Bench <sender@bench.example>\r\nTo: reader@bench.example\r\nSubject: news %d\r\n"
    b"Message-ID: <news.%d.%d@bench.example>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain\r\n\r\nSomething has happened.\r\n"
)

IDLE: Final = Scenario("idle", "", mix=(Entry("idle", (Command.of("IDLE"),)),))
"""What the look at the server before it all has to find possible."""


@dataclass(frozen=True, slots=True)
class IdleLoad:
    """How many sessions, and what is done meanwhile."""

    target: Target
    """With `pid`, memory is measured; with `lmtp`, news."""
    sessions: int
    deliveries: int = 200
    processes: int | None = None
    at_once: int = 64
    answer_seconds: float = 30.0
    hold_seconds: float = 0.0
    """Idle so long before anything else: what a server gives back in time is then given back."""
    seed: int = 1
    warm_sessions: int = WARM_SESSIONS
    """Come and go before memory is read first. Few for a server that keeps a process of each."""


@dataclass(slots=True)
class PushLatency:
    """How long deliveries took to be told, in microseconds, a value a session that was told."""

    deliveries: int = 0
    expected: int = 0
    """Sessions that should have been told, over all deliveries."""
    missed: int = 0
    from_dot: list[int] = field(default_factory=list)
    """From just before the final dot was sent."""
    from_reply: list[int] = field(default_factory=list)
    """From the reply to it; 0 where the session knew before."""
    last_from_dot: list[int] = field(default_factory=list)
    """Of each delivery, the session that was told last."""


@dataclass(slots=True)
class IdleReport:
    """What was measured; None and empty where it was not asked for, or not reached."""

    load: IdleLoad
    probe: Probe
    processes: int = 0
    state: IdlePoolState = field(default_factory=IdlePoolState)
    """At the end; sessions that broke meanwhile are among the failed."""
    idled: int = 0
    """Sessions that were idle when all had been opened."""
    opened_seconds: float = 0.0
    before: Memory | None = None
    after: Memory | None = None
    after_news: Memory | None = None
    news: PushLatency = field(default_factory=PushLatency)
    ended_early: str = ""
    """Why deliveries ended before their time: a sentence."""
    server_stopped: bool = False
    interrupted: bool = False

    def a_session(self, later: Memory | None) -> tuple[float, float] | None:
        """Return octets a session at one of the times: PSS, and the anonymous part."""
        if self.before is None or later is None or not self.idled:
            return None
        return (
            (later.pss - self.before.pss) / self.idled,
            (later.anonymous - self.before.anonymous) / self.idled,
        )

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON would have it."""
        a_session, later = self.a_session(self.after), self.a_session(self.after_news)
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
                "after_news": _memory(self.after_news),
                "bytes_a_session": a_session and round(a_session[0]),
                "anonymous_bytes_a_session": a_session and round(a_session[1]),
                "bytes_a_session_after_news": later and round(later[0]),
                "anonymous_bytes_a_session_after_news": later and round(later[1]),
            },
            "news": {
                "deliveries": self.news.deliveries,
                "expected": self.news.expected,
                "missed": self.news.missed,
                "from_dot_us": percentiles(self.news.from_dot),
                "from_reply_us": percentiles(self.news.from_reply),
                "last_from_dot_us": percentiles(self.news.last_from_dot),
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
    """Count single values."""
    return Histogram.of((value, 1) for value in values)


def percentiles(values: Sequence[int]) -> dict[str, int] | None:
    """Return p50, p99 and max in microseconds; None of nothing."""
    if not values:
        return None
    p50, p99 = histogram_of(values).percentiles((50, 99))
    return {"p50": p50, "p99": p99, "max": max(values)}


OnIdle = Callable[[str, int, int, IdleReport], None]
"""Is told what is being done, how far it is, of how much, and what is known."""


def measure_idle(load: IdleLoad, *, on_progress: OnIdle = lambda *_: None) -> IdleReport:
    """Open the sessions, read memory before and after, deliver, and close them.

    Ctrl-C ends it; the report has what was measured until then.

    Args:
        load: what to do.
        on_progress: called some ten times a second, on the calling thread.

    Raises:
        BenchError: it could not begin: nobody answers, the users are refused, no session idles.
    """
    target = load.target
    report = IdleReport(load, probe_server(target, IDLE))
    if target.lmtp is not None and load.deliveries:
        Lmtp(target.lmtp).close()  # better now than after an hour of opening sessions
    try:
        if target.pid is not None:
            on_progress("warming up", 0, 1, report)
            _warm_up(load)
            report.before = settled_memory(target.pid)
        _measure(load, report, on_progress)
    except KeyboardInterrupt:
        report.interrupted = True
    return report


def _warm_up(load: IdleLoad) -> None:
    with IdlePool(load.target, min(load.warm_sessions, load.sessions), processes=1) as pool:
        pool.wait_opened()


def _measure(load: IdleLoad, report: IdleReport, on_progress: OnIdle) -> None:
    began = time.monotonic()

    def opening(state: IdlePoolState) -> None:
        report.state = state
        report.opened_seconds = time.monotonic() - began
        on_progress("opening", state.idling, load.sessions, report)

    with IdlePool(
        load.target,
        load.sessions,
        processes=load.processes,
        at_once=load.at_once,
        answer_seconds=load.answer_seconds,
    ) as pool:
        report.processes = pool.processes
        report.state = pool.wait_opened(opening)
        report.idled = report.state.idling
        report.opened_seconds = time.monotonic() - began
        if not report.idled:
            said = [f"{kind}: {error.example}" for kind, error in report.state.errors.items()]
            raise BenchError("no session could be opened; " + "; ".join(said))
        held_from = time.monotonic()
        while (held := time.monotonic() - held_from) < load.hold_seconds:
            on_progress("idling", int(held), int(load.hold_seconds), report)
            time.sleep(0.1)
        if load.target.pid is not None:
            on_progress("reading memory", 0, 1, report)
            report.after = settled_memory(load.target.pid)
        if load.target.lmtp is not None and load.deliveries:
            try:
                _deliver(load, pool, report, on_progress)
            except Refused as error:
                report.ended_early = f"A delivery was refused: {error}"
            except BenchError as error:
                report.server_stopped = True
                report.ended_early = f"The server stopped answering: {error}"
            report.state = pool.state()
            if load.target.pid is not None and not report.ended_early:
                report.after_news = settled_memory(load.target.pid)


def _deliver(load: IdleLoad, pool: IdlePool, report: IdleReport, on_progress: OnIdle) -> None:
    assert load.target.lmtp is not None, "the caller has looked"
    rng = random.Random(load.seed)
    users = load.target.users
    here = min(len(users), load.sessions)
    # Which of the sessions failed is not known: where some did, nobody waits long for them.
    patience = PUSH_SECONDS if not report.state.failed else 1.0
    with Lmtp(load.target.lmtp) as lmtp:
        for number in range(load.deliveries):
            on_progress("delivering", number, load.deliveries, report)
            user = rng.randrange(here)
            sessions = set(range(user, load.sessions, len(users)))
            pool.forget_arrivals()
            message = MESSAGE % (number, load.seed, time.monotonic_ns())
            delivered = lmtp.deliver(users[user].name, message)

            def told(
                arrivals: Sequence[Arrival],
                sessions: set[int] = sessions,
                sent: int = delivered.sent_ns,
            ) -> bool:
                return sessions <= {a.session for a in arrivals if a.at_ns >= sent}

            first: dict[int, int] = {}
            for arrival in pool.wait_arrivals(told, patience):
                if arrival.session in sessions and arrival.at_ns >= delivered.sent_ns:
                    first.setdefault(arrival.session, arrival.at_ns)
            _count(report.news, sessions, first, delivered.sent_ns, delivered.answered_ns)
            if not first and not pool.state().idling:
                raise BenchError("no session idles any more")


def _count(
    news: PushLatency, sessions: set[int], first: dict[int, int], sent_ns: int, answered_ns: int
) -> None:
    news.deliveries += 1
    news.expected += len(sessions)
    news.missed += len(sessions) - len(first)
    if first:
        news.from_dot += [(at - sent_ns) // 1000 for at in first.values()]
        news.from_reply += [max(0, at - answered_ns) // 1000 for at in first.values()]
        news.last_from_dot.append((max(first.values()) - sent_ns) // 1000)
