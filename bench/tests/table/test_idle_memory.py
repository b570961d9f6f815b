"""An idle session costs a few KiB, and is notified of a commit at once."""

import pytest
from bench.peers import imapvm
from bench.table.idle import target_for, users_of

from imapvm_bench.idle.measure import measure_idle
from imapvm_bench.idle.report import IdleReport, IdleSpec

pytestmark = pytest.mark.slow


def idled(directory, sessions: int, deliveries: int, *, tls: bool) -> IdleReport:
    users = users_of(sessions)
    names = {user.name: user.password for user in users}
    with imapvm.running(directory, names, light=lambda _: True) as service:
        target = target_for(service, users, tls=tls)
        report = measure_idle(IdleSpec(target, sessions, deliveries=deliveries))
    assert report.state.idling == sessions
    return report


def test_idle_session_takes_less_than_twelve_kib_and_is_notified_at_once(tmp_path):
    report = idled(tmp_path, 1000, 40, tls=False)
    for memory in (report.after, report.after_push):
        _, anonymous = report.per_session(memory)
        assert anonymous < 12 * 1024
    assert report.push.missed == 0
    assert sorted(report.push.from_reply)[len(report.push.from_reply) // 2] < 10_000


def test_idle_session_with_tls_takes_less_than_thirty_kib(tmp_path):
    report = idled(tmp_path, 1000, 5, tls=True)
    _, anonymous = report.per_session(report.after)
    assert anonymous < 30 * 1024
