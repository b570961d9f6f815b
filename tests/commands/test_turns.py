"""Turns: a connection's work ends after TURN_SECONDS; then others run."""

import pytest
import trio
from tests.clock import Clock
from tests.commands.fakes import FakeChannel

from imapvm.commands.context import Context
from imapvm.commands.services import Services
from imapvm.commands.turns import TURN_SECONDS, Turns
from imapvm.model.stepping import Suspended, start
from imapvm.server.imap import connection as module
from imapvm.server.imap.connection import Connection
from imapvm.session.session import Session


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def turns(clock):
    return Turns(clock)


@pytest.fixture
def connection(turns, clock, monkeypatch):
    """Connection whose commands each take the number of milliseconds that is their tag."""

    def run(context, event):
        clock.now += int(event.tag) / 1000
        context.out.tagged(event.tag, "OK", "done")

    monkeypatch.setattr(module, "run", run)
    services = Services(pool=None, authenticator=None, clock=lambda: 0.0, turns=turns)
    session = Session(peer="192.0.2.1", tls=True, plain_allowed=False)
    channel = FakeChannel()
    connection = Connection(channel, Context(channel, services, session))
    connection.context.channel = channel
    return connection


def ran(connection) -> int:
    return connection.transport.sent.count(b"OK") + connection.context.out.take().count(b"OK")


def take(connection, *milliseconds: int) -> bool:
    return connection._take(b"".join(b"%d NOOP\r\n" % each for each in milliseconds))


async def test_a_pipeline_that_takes_less_than_a_turn_is_not_interrupted(connection, turns):
    turns.begin()
    assert take(connection, *[0] * 1000)
    assert ran(connection) == 1000


async def test_a_turn_ends_by_time_and_not_by_the_number_of_commands(connection, turns):
    turns.begin()
    assert not take(connection, 1, 1, 1, 1)
    await connection._suspended
    assert connection.transport.sent.count(b"OK") == 3  # the third ends at the deadline
    assert ran(connection) == 4


async def test_the_rest_of_a_pipeline_runs_in_further_turns(connection, turns):
    turns.begin()
    assert not take(connection, *[6] * 5)
    steps = 0
    suspended = connection._suspended
    while suspended is not None:
        assert isinstance(suspended, Suspended)
        await suspended
        suspended = connection._work()
        steps += 1
    assert steps == 4  # one command in each turn
    assert ran(connection) == 5


async def test_a_connection_runs_one_command_in_a_turn_that_others_have_used_up(
    connection, turns, clock
):
    turns.begin()
    clock.now += TURN_SECONDS
    assert take(connection, 0)
    assert ran(connection) == 1


async def test_responses_are_sent_before_other_tasks_run(connection, turns):
    turns.begin()
    take(connection, 5, 5, 5)
    assert not connection.transport.sent
    await connection._suspended
    assert connection.transport.sent.count(b"OK") == 1


async def test_one_waiting_task_continues_in_a_step_of_the_loop(turns):
    order = []

    async def work(name: str) -> None:
        for _ in range(3):
            await turns.next()
            order.append(name)

    async def step() -> None:
        for _ in range(20):
            await trio.lowlevel.checkpoint()
            order.append(".")

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(work, name)
        nursery.start_soon(step)
    text = "".join(order)
    assert sorted(text.replace(".", "")) == list("aaabbbccc")
    for part in text.split("."):
        assert len(part) <= 2, text  # two where tasks of a step run in another order
    rounds = text.replace(".", "")
    assert [set(rounds[at : at + 3]) for at in (0, 3, 6)] == [{"a", "b", "c"}] * 3


async def test_a_cancelled_task_does_not_stop_the_others(turns):
    done = []

    async def work(name: str, scope: trio.CancelScope) -> None:
        with scope:
            await turns.next()
            done.append(name)

    scopes = [trio.CancelScope() for _ in range(5)]
    async with trio.open_nursery() as nursery:
        for number, scope in enumerate(scopes):
            nursery.start_soon(work, str(number), scope)
        await trio.lowlevel.checkpoint()
        for scope in scopes[1::2]:
            scope.cancel()
    await turns.next()  # nothing is left that would have to wake it
    assert set(done) >= {"0", "2", "4"}


async def test_a_turn_starts_when_a_task_continues(turns, clock):
    turns.begin()
    clock.now += TURN_SECONDS
    assert turns.is_over()
    await turns.next()
    assert not turns.is_over()
    clock.now += TURN_SECONDS
    assert turns.is_over()


def test_waiting_for_a_turn_moves_a_command_to_its_task(turns):
    assert isinstance(start(turns.next()), Suspended)
