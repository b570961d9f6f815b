"""Reactor: events are handled for the time of a turn; the others are neither lost nor late."""

import itertools
import os

import pytest
import trio
from tests.clock import Clock

from imapvm.commands.turns import TURN_SECONDS, Turns
from imapvm.server.net.reactor import READABLE, Reactor

COUNT = 100


class Slow:
    """Pipe whose events take some seconds of the clock to handle."""

    def __init__(self, reactor: Reactor, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds
        self.handled: list[tuple[int, int]] = []
        """Turn and events of each call."""
        self.reactor = reactor
        self.source, self.sink = os.pipe()
        reactor.register(self.source, self)

    def ready(self, events: int) -> None:
        self.handled.append((self.reactor.turns.number, events))
        self.clock.now += self.seconds

    def write(self) -> None:
        os.write(self.sink, b"x")

    def close(self) -> None:
        self.reactor.forget(self.source)
        os.close(self.source)
        os.close(self.sink)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reactor(clock):
    return Reactor(Turns(clock))


@pytest.fixture
def watched(reactor, clock):
    watched = [Slow(reactor, clock, 0.4 * TURN_SECONDS) for _ in range(COUNT)]
    for one in watched:
        one.write()
    yield watched
    for one in watched:
        one.close()


async def steps(count: int) -> None:
    for _ in range(count):
        await trio.lowlevel.checkpoint()


async def test_a_turn_ends_by_time_with_events_left(reactor, watched, nursery):
    await nursery.start(reactor.run)
    await steps(2 * COUNT)
    turns = [turn for one in watched for turn, _ in one.handled]
    assert len(turns) == COUNT  # none is lost, none is handled twice
    assert max(turns.count(turn) for turn in turns) == 3
    nursery.cancel_scope.cancel()


async def test_other_tasks_run_between_turns(reactor, watched, nursery):
    """A step of the event loop runs both tasks in any order: two turns may follow each other."""
    seen = []

    async def count_handled() -> None:
        while not seen or seen[-1] < COUNT:
            seen.append(sum(len(one.handled) for one in watched))
            await trio.lowlevel.checkpoint()

    await nursery.start(reactor.run)
    await count_handled()
    assert max(after - before for before, after in itertools.pairwise(seen)) <= 6
    nursery.cancel_scope.cancel()


async def test_one_event_is_handled_in_a_turn_whose_time_one_event_takes(reactor, clock, nursery):
    slow = [Slow(reactor, clock, 10 * TURN_SECONDS) for _ in range(3)]
    for one in slow:
        one.write()
    await nursery.start(reactor.run)
    await steps(20)
    assert len({one.handled[0][0] for one in slow}) == 3
    nursery.cancel_scope.cancel()
    for one in slow:
        one.close()


async def test_events_that_are_left_and_new_ones_are_joined(reactor, watched, nursery):
    await nursery.start(reactor.run)
    last = watched[-1]
    while not watched[0].handled:
        await steps(1)
    assert not last.handled
    last.write()
    await steps(2 * COUNT)
    assert len(last.handled) == 1
    assert last.handled[0][1] & READABLE
    nursery.cancel_scope.cancel()


async def test_an_event_that_is_left_is_not_given_to_the_next_owner_of_the_descriptor(
    reactor, watched, nursery, clock
):
    await nursery.start(reactor.run)
    while not watched[0].handled:
        await steps(1)
    last = watched.pop()
    number = last.source
    last.close()
    new = Slow(reactor, clock, 0)
    watched.append(new)
    assert new.source == number
    await steps(2 * COUNT)
    assert not last.handled
    assert not any(events & READABLE for _, events in new.handled)
    nursery.cancel_scope.cancel()
