"""Idle sessions on each server: memory of each, and time from a delivery to EXISTS.

Each server is started for this measurement only, so that its memory is that of the sessions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.peers import Peer, PeerFailedError, Service
from bench.table.results import IdleResult
from bench.table.users import PASSWORD, light
from imapvm_bench.errors import BenchError
from imapvm_bench.idle.measure import measure_idle
from imapvm_bench.idle.report import WARM_SESSIONS, IdleReport, IdleSpec
from imapvm_bench.server.target import Address, Target
from imapvm_bench.server.users import User

HIBERNATION_SECONDS: Final = 10.0
"""Idle time before memory is read: Dovecot hibernates connections after 5 s."""

WARM_SESSIONS_OTHERS: Final = 2
"""Few: processes that remain from warm-up sessions would serve measured sessions for free."""

SESSIONS_PER_USER: Final = 5


@dataclass(frozen=True, slots=True)
class IdleRow:
    """Idle sessions of one server."""

    peer: Peer
    sessions: int
    tls: bool
    deliveries: int


def users_of(sessions: int) -> tuple[User, ...]:
    """Return the users of some sessions: several sessions for each, as with real users."""
    count = max(1, sessions // SESSIONS_PER_USER)
    return tuple(User(f"idler{n}", PASSWORD) for n in range(1, count + 1))


def measure_idling(row: IdleRow, base: Path) -> IdleResult:
    """Start the server, open the sessions, deliver, and return the result."""
    result = IdleResult(row.peer.name, row.tls, 0)
    users = users_of(row.sessions)
    names = {user.name: user.password for user in users}
    ours = row.peer.name.startswith("imapvm")
    try:
        with row.peer.running(base, names, light=light) as service:
            if row.tls and service.imaps is None:
                result.error = "no TLS"
                return result
            load = IdleSpec(
                target_for(service, users, tls=row.tls),
                row.sessions,
                deliveries=row.deliveries if service.lmtp else 0,
                hold_seconds=HIBERNATION_SECONDS,
                warm_sessions=WARM_SESSIONS if ours else WARM_SESSIONS_OTHERS,
            )
            _note(result, measure_idle(load))
    except (BenchError, PeerFailedError) as error:
        result.error = str(error)
    return result


def target_for(service: Service, users: Sequence[User], *, tls: bool) -> Target:
    """Return the target of a service, with its process id."""
    at = service.imaps if tls else service.imap
    assert at is not None, "checked by the caller"
    return Target(
        service.name,
        Address(*at),
        tuple(users),
        tls="tls" if tls else "none",
        lmtp=Address(*service.lmtp) if service.lmtp else None,
        pid=service.pid,
    )


def _note(result: IdleResult, report: IdleReport) -> None:
    if report.interrupted:
        raise KeyboardInterrupt
    if cost := report.per_session(report.after):
        result.pss, result.anonymous = cost
    result.sessions = report.state.idling
    result.deliveries, result.missed = report.push.deliveries, report.push.missed
    values = sorted(report.push.from_dot)
    if values:
        result.push_ms = {
            "p50": values[len(values) // 2] / 1000,
            "p99": values[min(len(values) - 1, len(values) * 99 // 100)] / 1000,
            "max": values[-1] / 1000,
        }
    errors = [
        f"{each.count} times {kind}: {each.example}" for kind, each in report.state.errors.items()
    ]
    if report.server_stopped:
        errors.append("the server stopped answering")
    if report.push.missed:
        errors.append(f"{report.push.missed} sessions without EXISTS after ten seconds")
    result.error = "; ".join(errors)
