"""Doorbells between processes: rung where somebody waits, once, and never in vain for long."""

import os
import select

import pytest
import trio
from tests.server.test_doorbell import FakePool, idler

from imapvm.commands.services import Services
from imapvm.server.imap.connections import Connections
from imapvm.server.imap.notifier import ANSWER_SECONDS, LOOK_SECONDS, Doorbell
from imapvm.server.shared.wakeup import QUIET, RUNG, WAITING, Bells, new_bell


class House:
    """The bells of three processes."""

    def __init__(self) -> None:
        self.fds = [new_bell() for _ in range(3)]
        self.states = memoryview(bytearray(3))
        self.processes = [Bells(self.fds, self.states, own) for own in range(3)]
        self.intake = Bells(self.fds, self.states, None)

    def rung(self) -> list[bool]:
        poll = select.poll()
        for fd in self.fds:
            poll.register(fd, select.POLLIN)
        readable = {fd for fd, _ in poll.poll(0)}
        return [fd in readable for fd in self.fds]


@pytest.fixture
def house():
    house = House()
    yield house
    for fd in house.fds:
        os.close(fd)


def test_who_commits_rings_at_the_others_whose_clients_wait(house):
    house.processes[0].attend()
    house.processes[1].attend()
    house.processes[0].ring()
    assert house.rung() == [False, True, False]
    house.intake.ring()
    assert house.rung() == [True, True, False]


def test_where_nobody_waits_only_what_concerns_everybody_rings(house):
    house.processes[0].ring()
    assert house.rung() == [False, False, False]
    house.processes[0].ring(everybody=True)
    assert house.rung() == [False, True, True]


def test_a_thousand_commits_ring_once_until_it_is_answered(house):
    house.processes[1].attend()
    for _ in range(1000):
        house.intake.ring()
    assert os.eventfd_read(house.fds[1]) == 1
    house.intake.ring()
    assert house.rung() == [False, False, False]  # it has been told, and did not answer yet
    house.processes[1].answer(waiting=True)
    house.intake.ring()
    assert house.rung() == [False, True, False]


def test_an_answer_says_whether_it_is_to_be_rung_again(house):
    bells = house.processes[2]
    bells.attend()
    house.intake.ring()
    bells.answer(waiting=False)
    house.intake.ring()
    assert house.rung() == [False, False, False]
    bells.attend()
    house.intake.ring()
    assert house.rung() == [False, False, True]
    bells.attend()  # one more waits, before the bell was answered
    assert house.states[2] == RUNG


def test_a_ringer_that_died_before_it_rang_is_made_up_for_by_the_next_answer(house):
    house.processes[0].attend()
    house.states[0] = RUNG  # and no ring followed
    house.intake.ring()
    assert house.rung()[0] is False
    house.processes[0].answer(waiting=True)  # once a second, rung or not
    house.intake.ring()
    assert house.rung()[0] is True


# --- and who listens to them --------------------------------------------------------------------


@pytest.fixture
def services() -> Services:
    return Services(pool=FakePool(), authenticator=None, clock=lambda: 0.0)


@pytest.fixture
def doorbell(services, house) -> Doorbell:
    return Doorbell(services, Connections(), house.processes[0])


async def told(context, count: int) -> None:
    with trio.fail_after(5):
        while context.told < count:
            await trio.lowlevel.checkpoint()


async def test_a_ring_is_answered_at_once_and_who_waits_is_told(services, doorbell, house, nursery):
    assert house.states[0] == QUIET
    context = idler(services, 7)
    assert house.states[0] == WAITING
    nursery.start_soon(doorbell.answer_forever)
    services.pool.foreign = {7}
    house.intake.ring()
    began = trio.current_time()
    await told(context, 1)
    assert trio.current_time() - began < LOOK_SECONDS / 2
    assert house.rung()[0] is False
    assert house.states[0] == WAITING


async def test_while_commits_pour_in_answers_are_a_few_hundred_a_second(
    services, doorbell, house, nursery, monkeypatch
):
    context = idler(services, 7)
    nursery.start_soon(doorbell.answer_forever)
    rings = 0
    end = trio.current_time() + 50 * ANSWER_SECONDS
    while trio.current_time() < end:
        services.pool.foreign = {7}
        house.intake.ring()
        rings += 1
        await trio.lowlevel.checkpoint()
    assert 1 <= context.told <= 52
    assert rings > context.told
    await told(context, context.told)


async def test_the_last_of_many_commits_is_told_too(services, doorbell, house, nursery):
    context = idler(services, 7)
    nursery.start_soon(doorbell.answer_forever)
    for number in range(1, 20):
        services.pool.foreign = {7}
        house.intake.ring()
        await told(context, number)


async def test_a_disk_that_fails_does_not_end_the_answers(
    services, doorbell, house, nursery, caplog
):
    context = idler(services, 7)
    nursery.start_soon(doorbell.answer_forever)
    services.pool.faults = 1
    services.pool.foreign = {7}
    house.intake.ring()
    with trio.fail_after(5):
        while services.pool.faults:
            await trio.lowlevel.checkpoint()
    while house.states[0] == RUNG:
        await trio.lowlevel.checkpoint()
    house.intake.ring()
    await told(context, 1)


async def test_the_look_once_a_second_answers_too(services, doorbell, house):
    context = idler(services, 7)
    house.states[0] = RUNG  # by somebody who died over it
    services.pool.foreign = {7}
    await doorbell.look()
    assert context.told == 1
    assert house.states[0] == WAITING
    services.idlers.leave(context)
    await doorbell.look()
    assert house.states[0] == QUIET
