"""Wakeups between processes: only where clients wait, and once until rearmed."""

import os
import select

import pytest
import trio
from tests.server.imap.test_notifier import FakePool, idler

from imapvm.commands.services import Services
from imapvm.server.imap.connections import Connections
from imapvm.server.imap.notifier import POLL_SECONDS, WAKEUP_INTERVAL_SECONDS, Notifier
from imapvm.server.shared.wakeup import ARMED, QUIET, SENT, Wakeup, WorkerWakeup, new_eventfd


class Wakeups:
    """Wakeups of three processes, and of one that is never woken."""

    def __init__(self) -> None:
        self.fds = [new_eventfd() for _ in range(3)]
        self.states = memoryview(bytearray(3))
        self.processes = [WorkerWakeup(self.fds, self.states, index) for index in range(3)]
        self.intake = Wakeup(self.fds, self.states)

    def signalled(self) -> list[bool]:
        poll = select.poll()
        for fd in self.fds:
            poll.register(fd, select.POLLIN)
        readable = {fd for fd, _ in poll.poll(0)}
        return [fd in readable for fd in self.fds]


@pytest.fixture
def wakeups():
    wakeups = Wakeups()
    yield wakeups
    for fd in wakeups.fds:
        os.close(fd)


def test_commit_wakes_other_processes_with_waiting_clients(wakeups):
    wakeups.processes[0].watch()
    wakeups.processes[1].watch()
    wakeups.processes[0].wake()
    assert wakeups.signalled() == [False, True, False]
    wakeups.intake.wake()
    assert wakeups.signalled() == [True, True, False]


def test_only_unconditional_wakeups_reach_processes_without_waiting_clients(wakeups):
    wakeups.processes[0].wake()
    assert wakeups.signalled() == [False, False, False]
    wakeups.processes[0].wake(unconditional=True)
    assert wakeups.signalled() == [False, True, True]


def test_a_thousand_commits_wake_once_until_rearmed(wakeups):
    wakeups.processes[1].watch()
    for _ in range(1000):
        wakeups.intake.wake()
    assert os.eventfd_read(wakeups.fds[1]) == 1
    wakeups.intake.wake()
    assert wakeups.signalled() == [False, False, False]  # woken, and not rearmed
    wakeups.processes[1].rearm(waiting=True)
    wakeups.intake.wake()
    assert wakeups.signalled() == [False, True, False]


def test_rearm_without_waiting_clients_stops_wakeups(wakeups):
    wakeup = wakeups.processes[2]
    wakeup.watch()
    wakeups.intake.wake()
    wakeup.rearm(waiting=False)
    wakeups.intake.wake()
    assert wakeups.signalled() == [False, False, False]
    wakeup.watch()
    wakeups.intake.wake()
    assert wakeups.signalled() == [False, False, True]
    wakeup.watch()  # for one more client, before the first wakeup was received
    assert wakeups.states[2] == SENT


def test_wakeup_lost_by_a_killed_process_is_repaired_by_rearm(wakeups):
    wakeups.processes[0].watch()
    wakeups.states[0] = SENT  # and no wakeup followed
    wakeups.intake.wake()
    assert wakeups.signalled()[0] is False
    wakeups.processes[0].rearm(waiting=True)  # once a second, woken or not
    wakeups.intake.wake()
    assert wakeups.signalled()[0] is True


# --- notification of clients after a wakeup -----------------------------------------------------


@pytest.fixture
def services() -> Services:
    return Services(pool=FakePool(), authenticator=None, clock=lambda: 0.0)


@pytest.fixture
def notifier(services, wakeups) -> Notifier:
    return Notifier(services, Connections(), wakeups.processes[0])


async def pushed(context, count: int) -> None:
    with trio.fail_after(5):
        while context.pushed < count:
            await trio.lowlevel.checkpoint()


async def test_wakeup_notifies_waiting_clients_at_once(services, notifier, wakeups, nursery):
    assert wakeups.states[0] == QUIET
    context = idler(services, 7)
    assert wakeups.states[0] == ARMED
    nursery.start_soon(notifier.watch_wakeups)
    services.pool.foreign = {7}
    wakeups.intake.wake()
    began = trio.current_time()
    await pushed(context, 1)
    assert trio.current_time() - began < POLL_SECONDS / 2
    assert wakeups.signalled()[0] is False
    assert wakeups.states[0] == ARMED


async def test_reactions_to_many_commits_are_limited_in_rate(
    services, notifier, wakeups, nursery, monkeypatch
):
    context = idler(services, 7)
    nursery.start_soon(notifier.watch_wakeups)
    commits = 0
    end = trio.current_time() + 50 * WAKEUP_INTERVAL_SECONDS
    while trio.current_time() < end:
        services.pool.foreign = {7}
        wakeups.intake.wake()
        commits += 1
        await trio.lowlevel.checkpoint()
    assert 1 <= context.pushed <= 52
    assert commits > context.pushed
    await pushed(context, context.pushed)


async def test_last_of_many_commits_is_notified(services, notifier, wakeups, nursery):
    context = idler(services, 7)
    nursery.start_soon(notifier.watch_wakeups)
    for number in range(1, 20):
        services.pool.foreign = {7}
        wakeups.intake.wake()
        await pushed(context, number)


async def test_disk_that_fails_does_not_stop_wakeups(services, notifier, wakeups, nursery, caplog):
    context = idler(services, 7)
    nursery.start_soon(notifier.watch_wakeups)
    services.pool.errors = 1
    services.pool.foreign = {7}
    wakeups.intake.wake()
    with trio.fail_after(5):
        while services.pool.errors:
            await trio.lowlevel.checkpoint()
    while wakeups.states[0] == SENT:
        await trio.lowlevel.checkpoint()
    wakeups.intake.wake()
    await pushed(context, 1)


async def test_poll_rearms_too(services, notifier, wakeups):
    context = idler(services, 7)
    wakeups.states[0] = SENT  # by a process that was killed before it wrote
    services.pool.foreign = {7}
    await notifier.poll()
    assert context.pushed == 1
    assert wakeups.states[0] == ARMED
    services.idlers.leave(context)
    await notifier.poll()
    assert wakeups.states[0] == QUIET
