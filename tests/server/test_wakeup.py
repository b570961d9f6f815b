"""Doorbells between processes: rung where somebody waits, once, and never in vain for long."""

import os
import select

import pytest
import trio
from tests.server.test_notifier import FakePool, idler

from imapvm.commands.services import Services
from imapvm.server.imap.connections import Connections
from imapvm.server.imap.notifier import POLL_SECONDS, WAKEUP_INTERVAL_SECONDS, Notifier
from imapvm.server.shared.wakeup import ARMED, QUIET, SENT, Wakeup, new_eventfd


class Wakeups:
    """The wakeup of three processes."""

    def __init__(self) -> None:
        self.fds = [new_eventfd() for _ in range(3)]
        self.states = memoryview(bytearray(3))
        self.processes = [Wakeup(self.fds, self.states, own) for own in range(3)]
        self.intake = Wakeup(self.fds, self.states, None)

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


def test_who_commits_rings_at_the_others_whose_clients_wait(wakeups):
    wakeups.processes[0].watch()
    wakeups.processes[1].watch()
    wakeups.processes[0].wake()
    assert wakeups.signalled() == [False, True, False]
    wakeups.intake.wake()
    assert wakeups.signalled() == [True, True, False]


def test_where_nobody_waits_only_what_concerns_everybody_rings(wakeups):
    wakeups.processes[0].wake()
    assert wakeups.signalled() == [False, False, False]
    wakeups.processes[0].wake(unconditional=True)
    assert wakeups.signalled() == [False, True, True]


def test_a_thousand_commits_ring_once_until_it_is_answered(wakeups):
    wakeups.processes[1].watch()
    for _ in range(1000):
        wakeups.intake.wake()
    assert os.eventfd_read(wakeups.fds[1]) == 1
    wakeups.intake.wake()
    assert wakeups.signalled() == [False, False, False]  # it has been told, and did not answer yet
    wakeups.processes[1].rearm(waiting=True)
    wakeups.intake.wake()
    assert wakeups.signalled() == [False, True, False]


def test_an_answer_says_whether_it_is_to_be_rung_again(wakeups):
    wakeup = wakeups.processes[2]
    wakeup.watch()
    wakeups.intake.wake()
    wakeup.rearm(waiting=False)
    wakeups.intake.wake()
    assert wakeups.signalled() == [False, False, False]
    wakeup.watch()
    wakeups.intake.wake()
    assert wakeups.signalled() == [False, False, True]
    wakeup.watch()  # one more waits, before the bell was answered
    assert wakeups.states[2] == SENT


def test_a_ringer_that_died_before_it_rang_is_made_up_for_by_the_next_answer(wakeups):
    wakeups.processes[0].watch()
    wakeups.states[0] = SENT  # and no ring followed
    wakeups.intake.wake()
    assert wakeups.signalled()[0] is False
    wakeups.processes[0].rearm(waiting=True)  # once a second, rung or not
    wakeups.intake.wake()
    assert wakeups.signalled()[0] is True


# --- and who listens to them --------------------------------------------------------------------


@pytest.fixture
def services() -> Services:
    return Services(pool=FakePool(), authenticator=None, clock=lambda: 0.0)


@pytest.fixture
def notifier(services, wakeups) -> Notifier:
    return Notifier(services, Connections(), wakeups.processes[0])


async def told(context, count: int) -> None:
    with trio.fail_after(5):
        while context.told < count:
            await trio.lowlevel.checkpoint()


async def test_a_ring_is_answered_at_once_and_who_waits_is_told(
    services, notifier, wakeups, nursery
):
    assert wakeups.states[0] == QUIET
    context = idler(services, 7)
    assert wakeups.states[0] == ARMED
    nursery.start_soon(notifier.watch_wakeups)
    services.pool.foreign = {7}
    wakeups.intake.wake()
    began = trio.current_time()
    await told(context, 1)
    assert trio.current_time() - began < POLL_SECONDS / 2
    assert wakeups.signalled()[0] is False
    assert wakeups.states[0] == ARMED


async def test_while_commits_pour_in_answers_are_a_few_hundred_a_second(
    services, notifier, wakeups, nursery, monkeypatch
):
    context = idler(services, 7)
    nursery.start_soon(notifier.watch_wakeups)
    rings = 0
    end = trio.current_time() + 50 * WAKEUP_INTERVAL_SECONDS
    while trio.current_time() < end:
        services.pool.foreign = {7}
        wakeups.intake.wake()
        rings += 1
        await trio.lowlevel.checkpoint()
    assert 1 <= context.told <= 52
    assert rings > context.told
    await told(context, context.told)


async def test_the_last_of_many_commits_is_told_too(services, notifier, wakeups, nursery):
    context = idler(services, 7)
    nursery.start_soon(notifier.watch_wakeups)
    for number in range(1, 20):
        services.pool.foreign = {7}
        wakeups.intake.wake()
        await told(context, number)


async def test_a_disk_that_fails_does_not_end_the_answers(
    services, notifier, wakeups, nursery, caplog
):
    context = idler(services, 7)
    nursery.start_soon(notifier.watch_wakeups)
    services.pool.faults = 1
    services.pool.foreign = {7}
    wakeups.intake.wake()
    with trio.fail_after(5):
        while services.pool.faults:
            await trio.lowlevel.checkpoint()
    while wakeups.states[0] == SENT:
        await trio.lowlevel.checkpoint()
    wakeups.intake.wake()
    await told(context, 1)


async def test_the_look_once_a_second_answers_too(services, notifier, wakeups):
    context = idler(services, 7)
    wakeups.states[0] = SENT  # by somebody who died over it
    services.pool.foreign = {7}
    await notifier.poll()
    assert context.told == 1
    assert wakeups.states[0] == ARMED
    services.idlers.leave(context)
    await notifier.poll()
    assert wakeups.states[0] == QUIET
