"""One load from its plan to its report, with a fake engine."""

import functools
import json
from datetime import UTC, datetime

import msgspec
import pytest
from bench.tests.builders import outcome, report, scenario, target
from bench.tests.fakes import FakeLoad

from imapvm_bench.errors import BenchError, ExitStatus
from imapvm_bench.load import descriptors
from imapvm_bench.load.plan import LoadSpec
from imapvm_bench.load.probe import Probe
from imapvm_bench.load.report import LoadReport
from imapvm_bench.load.run import run
from imapvm_bench.verbs.run import status_of, values_of

LOAD = LoadSpec(target(), scenario(), seconds=2.0, warmup=0.4)
run_fake = functools.partial(
    run, engine=FakeLoad, probe=lambda load: Probe("* OK"), sleep=lambda seconds: None
)


def test_snapshots_are_in_order_before_the_report():
    phases = []
    made = run_fake(LOAD, on_snapshot=lambda snapshot: phases.append(snapshot.phase))
    assert list(dict.fromkeys(phases)) == ["opening", "warming up", "measuring", "ended"]
    assert made.report.seconds == 2.0
    assert not made.interrupted


def test_ctrl_c_ends_the_load_and_keeps_the_results():
    def interrupt(snapshot):
        if snapshot.phase == "measuring":
            raise KeyboardInterrupt

    made = run_fake(LOAD, on_snapshot=interrupt)
    assert made.interrupted
    assert made.report.ended == "stopped"
    assert made.report.labels["NOOP"].count > 0
    assert status_of(made) is ExitStatus.INTERRUPTED


def test_a_failed_probe_starts_nothing():
    def refuse(load):
        raise BenchError("LOGIN ada → NO no")

    def engine(plan):
        raise AssertionError("the engine was started")

    with pytest.raises(BenchError, match="LOGIN ada"):
        run(LOAD, probe=refuse, engine=engine)


def test_a_plan_that_the_engine_refuses_is_an_error():
    def engine(plan):
        raise ValueError("mix[0].weight: is no number")

    with pytest.raises(BenchError, match=r"cannot start the engine: mix\[0\].weight: is no"):
        run_fake(LOAD, engine=engine)


def test_more_connections_than_descriptors_are_refused_first(monkeypatch):
    monkeypatch.setattr(descriptors, "raise_limit", lambda: 100)
    with pytest.raises(BenchError, match=r"cannot open 101 connections: .* allows 100"):
        run_fake(LoadSpec(target(), scenario(), connections=101))
    assert run_fake(LoadSpec(target(), scenario(), connections=100)).report.connections == 100


def test_a_server_with_literal_plus_gets_non_synchronizing_literals():
    plans = []

    def engine(plan):
        plans.append(plan)
        return FakeLoad(plan)

    fast = Probe("* OK", capabilities=frozenset({"LITERAL+"}))
    load = LoadSpec(target(), scenario("APPEND INBOX {message}"), seconds=0.2)
    run_fake(load, engine=engine, probe=lambda load: fast)
    assert '"literal+"' in plans[0]


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (report(), ExitStatus.OK),
        (report(errors={"NO": {"count": 1}}), ExitStatus.ERRORS),
        (report(ended="server stopped answering: silent for 30 s"), ExitStatus.SERVER_STOPPED),
        (report(ended="no connection could be set up: refused"), ExitStatus.NOT_STARTED),
        (report(ended="limit"), ExitStatus.OK),
    ],
)
def test_the_exit_status_depends_on_the_end_of_the_load(made, status):

    made = msgspec.convert(msgspec.to_builtins(made), LoadReport)
    assert status_of(outcome(made)) is status


def test_json_has_report_server_and_parameters():

    values = values_of(outcome(rate=50.0), datetime(2026, 1, 2, tzinfo=UTC))
    values = json.loads(json.dumps(values))
    assert values["report"]["totals"]["commands"] == 100
    assert values["server"]["name"] == "Fake 1"
    assert values["rate"] == 50.0
    assert values["percentiles_us"]["NOOP"] == {
        "p50": 1000, "p90": 1000, "p99": 1000, "p99.9": 9000, "max": 9000,
    }  # fmt: skip
    assert "secret" not in json.dumps(values)
