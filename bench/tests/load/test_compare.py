"""Comparisons: order of runs, medians, spread, and ratios by round."""

import pytest
from bench.tests.builders import outcome, report, scenario, target

from imapvm_bench.errors import BenchError
from imapvm_bench.load.compare import ComparisonRow, Spread, compare
from imapvm_bench.load.report import ErrorCount

NOOP = ComparisonRow("noop", scenario())
SLOW = ComparisonRow("slow", scenario(), metric="p99 ms")


class Runner:
    """Returns scripted results, and records the runs."""

    def __init__(self, script):
        self.script = {key: iter(values) for key, values in script.items()}
        self.ran = []
        self.loads = []

    def __call__(self, load, *, on_snapshot, probe):
        self.ran.append(load.target.name)
        self.loads.append(load)
        given = next(self.script[load.target.name])
        if isinstance(given, BaseException):
            raise given
        made = given if not isinstance(given, int) else report(given)
        return outcome(made, on=load.target)


def test_rounds_are_interleaved_and_every_second_one_is_reversed():
    runner = Runner({"a": [1] * 6, "b": [1] * 6})
    compare([target("a"), target("b")], [NOOP, SLOW], rounds=3, runner=runner)
    assert "".join(runner.ran) == "abab" + "baba" + "abab"


def test_medians_and_spread_are_over_the_rounds():
    runner = Runner({"a": [100, 300, 200], "b": [50, 50, 50]})
    made = compare([target("a"), target("b")], [NOOP], rounds=3, runner=runner)
    cell = made.cell("noop", "a")
    assert (cell.median, cell.low, cell.high) == (200.0, 100.0, 300.0)
    assert cell.values == (100.0, 300.0, 200.0)
    assert cell.relative == 1.0


def test_a_ratio_is_taken_within_a_round():
    """The machine is twice as fast in round 2: the ratio of medians would be 1.33."""
    runner = Runner({"a": [100, 400, 200], "b": [100, 200, 150]})
    made = compare([target("a"), target("b")], [NOOP], rounds=3, runner=runner)
    ratio = made.ratio("noop", "a", "b")
    assert ratio.values == (1.0, 2.0, pytest.approx(200 / 150))
    assert ratio.median == pytest.approx(200 / 150)
    assert made.ratio("noop", "b", "a").values == (1.0, 0.5, 0.75)


def test_ratios_of_latencies_are_inverted():
    fast, slow = report(histogram=((2000, 100),)), report(histogram=((8000, 100),))
    runner = Runner({"a": [fast], "b": [slow]})
    made = compare([target("a"), target("b")], [SLOW], rounds=1, runner=runner)
    assert made.cell("slow", "a").median == 2.0
    assert made.ratio("slow", "a", "b").median == 4.0


def test_a_failed_run_is_recorded_and_the_others_go_on():
    refused = BenchError("cannot connect to b (127.0.0.1:9): connection refused")
    stopped = report(ended="server stopped answering: silent for 30 s")
    runner = Runner({"a": [100, 100, stopped], "b": [50, refused, 50]})
    steps = []
    made = compare(
        [target("a"), target("b")], [NOOP], rounds=3, runner=runner, on_step=steps.append
    )
    assert made.values["noop", "a"] == [100.0, 100.0, None]
    assert made.values["noop", "b"] == [50.0, None, 50.0]
    assert made.ratio("noop", "a", "b").values == (2.0,)
    assert made.errors["noop", "b"] == [str(refused)]
    assert made.errors["noop", "a"] == ["server stopped answering: silent for 30 s"]
    assert [step.value for step in steps if step.done] == [100, 50, None, 100, None, 50]


def test_a_run_with_errors_still_has_a_value():
    bad = report(errors={"NO": ErrorCount(3, "NOOP → NO no")})
    made = compare([target("a")], [NOOP], rounds=1, runner=Runner({"a": [bad]}))
    assert made.errors["noop", "a"] == ["NO (3 times): NOOP → NO no"]
    assert made.cell("noop", "a").median == 100.0


def test_without_values_there_is_no_ratio():
    runner = Runner({"a": [BenchError("x")], "b": [5]})
    made = compare([target("a"), target("b")], [NOOP], rounds=1, runner=runner)
    assert made.cell("noop", "a") is None
    assert made.ratio("noop", "a", "b") is None
    assert made.to_json()["rows"][0]["ratio"] == {"a / b": None}


def test_ctrl_c_keeps_the_results():
    runner = Runner({"a": [100, KeyboardInterrupt()], "b": [50, 50]})
    made = compare([target("a"), target("b")], [NOOP], rounds=2, runner=runner)
    assert made.interrupted
    assert made.cell("noop", "a").values == (100.0,)
    assert made.to_json()["interrupted"] is True


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (ComparisonRow("r", scenario()), 100.0),
        (ComparisonRow("r", scenario(measure="entries/s")), 50.0),
        (ComparisonRow("r", scenario(), metric="MB/s"), 5.0),
        (ComparisonRow("r", scenario(), metric="p50 ms"), 1.0),
        (ComparisonRow("r", scenario(), rate=10.0), 1.0),
    ],
)
def test_the_metric_is_that_of_the_row_or_of_the_scenario(row, value):
    """One of a hundred took 9 ms: p99 is still 1 ms."""
    made = compare([target("a")], [row], rounds=1, runner=Runner({"a": [100]}))
    assert made.cell("r", "a").median == value


def test_a_row_can_have_its_own_time_and_connections():
    runner = Runner({"a": [1]})
    row = ComparisonRow("r", scenario(), connections=7, seconds=0.25, threads=2)
    compare([target("a")], [row], rounds=1, seconds=9.0, warmup=0.5, runner=runner)
    (load,) = runner.loads
    assert (load.connections_wanted, load.seconds, load.threads, load.warmup) == (7, 0.25, 2, 0.5)


def test_a_ratio_has_a_side_only_if_all_rounds_agree():
    sides = [Spread.of(v).side for v in ([1.1, 2.0], [0.5, 0.9], [0.9, 1.2], [1.0, 2.0])]
    assert sides == [1, -1, 0, 0]


def test_a_spread_of_one_value_has_no_width():
    assert Spread.of([4.0]) == Spread(4.0, 4.0, 4.0, (4.0,))
    assert Spread.of([0.0]).relative == 0.0
