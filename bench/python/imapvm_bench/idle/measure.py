"""Measurement of idle sessions: memory of the server, and time from a delivery to EXISTS."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Final

from imapvm_bench.errors import BenchError
from imapvm_bench.idle.memory import settled_memory
from imapvm_bench.idle.pool import Arrival, IdlePool, IdlePoolState
from imapvm_bench.idle.report import IdleReport, IdleSpec, PushLatency
from imapvm_bench.load.probe import probe_server
from imapvm_bench.scenario.model import Entry, Scenario, ScenarioCommand
from imapvm_bench.server.lines import Refused
from imapvm_bench.server.lmtp_client import Lmtp
from imapvm_bench.server.target import Address

PUSH_SECONDS: Final = 10.0
"""A session without EXISTS after this time has missed the delivery."""

MESSAGE: Final = (
    b"From: Bench <sender@bench.example>\r\nTo: reader@bench.example\r\nSubject: news %d\r\n"
    b"Message-ID: <news.%d.%d@bench.example>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain\r\n\r\nSomething has happened.\r\n"
)

IDLE: Final = Scenario("idle", "", mix=(Entry("idle", (ScenarioCommand.of("IDLE"),)),))
"""Scenario for the probe: the server needs IDLE."""

OnIdle = Callable[[str, int, int, IdleReport], None]
"""Progress: phase, number done, total, and the report so far."""


def measure_idle(load: IdleSpec, *, on_progress: OnIdle = lambda *_: None) -> IdleReport:
    """Open the sessions, read memory before and after, deliver, and close them.

    Ctrl-C ends it; the report has the measurements until then.

    Args:
        load: the parameters.
        on_progress: called about ten times a second, on the calling thread.

    Raises:
        BenchError: no connection, the log-in is refused, or no session reached IDLE.
    """
    target = load.target
    report = IdleReport(load, probe_server(target, IDLE))
    if target.lmtp is not None and load.deliveries:
        Lmtp(target.lmtp).close()  # fail now and not after all sessions are open
    try:
        if target.pid is not None:
            on_progress("warming up", 0, 1, report)
            _warm_up(load)
            report.before = settled_memory(target.pid)
        _measure(load, report, on_progress)
    except KeyboardInterrupt:
        report.interrupted = True
    return report


def _warm_up(load: IdleSpec) -> None:
    with IdlePool(load.target, min(load.warm_sessions, load.sessions), processes=1) as pool:
        pool.wait_opened()


def _measure(load: IdleSpec, report: IdleReport, on_progress: OnIdle) -> None:
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
            errors = [f"{kind}: {error.example}" for kind, error in report.state.errors.items()]
            raise BenchError("cannot open sessions: " + "; ".join(errors))
        held_from = time.monotonic()
        while (held := time.monotonic() - held_from) < load.hold_seconds:
            on_progress("idling", int(held), int(load.hold_seconds), report)
            time.sleep(0.1)
        if load.target.pid is not None:
            on_progress("reading memory", 0, 1, report)
            report.after = settled_memory(load.target.pid)
        if (lmtp := load.target.lmtp) is not None and load.deliveries:
            try:
                _deliver(load, lmtp, pool, report, on_progress)
            except Refused as error:
                report.ended_early = f"Delivery refused: {error}"
            except BenchError as error:
                report.server_stopped = True
                report.ended_early = f"The server stopped answering: {error}"
            report.state = pool.state()
            if load.target.pid is not None and not report.ended_early:
                report.after_push = settled_memory(load.target.pid)


def _deliver(
    load: IdleSpec, address: Address, pool: IdlePool, report: IdleReport, on_progress: OnIdle
) -> None:
    rng = random.Random(load.seed)
    users = load.target.users
    used = min(len(users), load.sessions)
    # It is not known which sessions failed: after failures, do not wait long for an EXISTS.
    timeout = PUSH_SECONDS if not report.state.failed else 1.0
    with Lmtp(address) as lmtp:
        for number in range(load.deliveries):
            on_progress("delivering", number, load.deliveries, report)
            user = rng.randrange(used)
            sessions = set(range(user, load.sessions, len(users)))
            pool.forget_arrivals()
            message = MESSAGE % (number, load.seed, time.monotonic_ns())
            delivered = lmtp.deliver(users[user].name, message)

            def is_complete(
                arrivals: Sequence[Arrival],
                sessions: set[int] = sessions,
                sent: int = delivered.sent_ns,
            ) -> bool:
                return sessions <= {a.session for a in arrivals if a.at_ns >= sent}

            first: dict[int, int] = {}
            for arrival in pool.wait_arrivals(is_complete, timeout):
                if arrival.session in sessions and arrival.at_ns >= delivered.sent_ns:
                    first.setdefault(arrival.session, arrival.at_ns)
            _count(report.push, sessions, first, delivered.sent_ns, delivered.answered_ns)
            if not first and not pool.state().idling:
                raise BenchError("all sessions are closed")


def _count(
    push: PushLatency, sessions: set[int], first: dict[int, int], sent_ns: int, answered_ns: int
) -> None:
    push.deliveries += 1
    push.expected += len(sessions)
    push.missed += len(sessions) - len(first)
    if first:
        push.from_dot += [(at - sent_ns) // 1000 for at in first.values()]
        push.from_reply += [max(0, at - answered_ns) // 1000 for at in first.values()]
        push.last_from_dot.append((max(first.values()) - sent_ns) // 1000)
