"""Client processes of an idle pool: distribution of sessions, messages to the parent."""

import io
import json
import os

import pytest

from imapvm_bench.idle import pool_process
from imapvm_bench.idle.pool import rotated, shares


@pytest.mark.parametrize(
    ("whole", "parts", "expected"),
    [(10, 3, [4, 3, 3]), (9, 3, [3, 3, 3]), (2, 3, [1, 1]), (5, 1, [5])],
)
def test_sessions_are_distributed_evenly(whole, parts, expected):
    assert shares(whole, parts) == expected


def test_sessions_keep_their_users_over_several_processes():
    """Session n is user n % 3 in every process."""
    users = ("a", "b", "c")
    dealt = []
    for size in shares(10, 3):
        mine = rotated(users, len(dealt))
        dealt += [mine[n % 3] for n in range(size)]
    assert dealt == [users[n % 3] for n in range(10)]
    assert rotated((), 5) == ()


class FakeIdle:
    """Returns two states and one arrival, then closes the input of the parent."""

    def __init__(self, orders):
        self.orders = orders
        self.states = [{"idling": 0, "opening": 2}, {"idling": 2, "opening": 0}]
        self.news = [[], [(1, 1000, 5)], []]
        self.stopped = False

    def start(self):
        raise AssertionError("started by the process before `serve`")

    def arrivals(self):
        return self.news.pop(0) if self.news else []

    def state(self):
        if len(self.states) == 1 and self.orders is not None:
            os.close(self.orders)
            self.orders = None
        return json.dumps(self.states.pop(0) if len(self.states) > 1 else self.states[0])

    def stop(self):
        self.stopped = True


def test_a_process_passes_on_changed_states_and_arrivals_and_ends_with_its_input():
    reading, writing = os.pipe()
    engine, out = FakeIdle(writing), io.StringIO()
    with open(reading) as orders:
        pool_process.serve(engine, orders, out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert lines == [
        {"arrivals": [[1, 1000, 5]]},
        {"state": {"idling": 0, "opening": 2}},
        {"state": {"idling": 2, "opening": 0}},
    ]
    assert engine.stopped
