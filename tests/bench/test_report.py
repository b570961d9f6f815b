"""Reports: reading the engine's JSON, and several engines' reports put together."""

import json

from imapvm_bench.histogram import Histogram
from imapvm_bench.report import merged, read_report, read_snapshot

NOOPS = {"count": 3, "errors": 1, "octets_in": 9, "histogram": [[5, 2], [9, 1]]}


def report(**changes):
    values = {
        "seconds": 2.0,
        "connections": 4,
        "opened_seconds": 0.5,
        "opened": 4,
        "totals": {
            "commands": 10,
            "entries": 5,
            "octets_in": 1000,
            "octets_out": 100,
            "errors": 1,
        },
        "labels": {"NOOP": NOOPS},
        "entries": {"NOOP": {"count": 3, "errors": 1, "histogram": [[5, 3]]}},
        "setup": {},
        "series": {
            "step_ms": 100,
            "commands": [1, 2],
            "octets_in": [3, 4],
            "errors": [0, 1],
            "p99_us": [5, 9],
        },
        "errors": {"NO": {"count": 1, "example": "NOOP → NO no"}},
        "unfinished": {"in_flight": 1, "oldest_us": 20, "backlog": 0},
        "ended": "time",
    }
    return read_report(json.dumps(values | changes))


def test_rates_are_of_the_measured_time():
    one = report()
    assert (one.commands_per_second, one.entries_per_second) == (5.0, 2.5)
    assert one.octets_in_per_second == 500.0
    assert report(seconds=0.0).commands_per_second == 0.0


def test_fields_of_a_newer_engine_do_no_harm():
    assert report(weather="fine").connections == 4
    snapshot = read_snapshot('{"phase": "opening", "open": 3, "weather": "fine"}')
    assert (snapshot.phase, snapshot.open) == ("opening", 3)


def test_errors_before_the_measured_time_count_as_failures():
    early = {"count": 7, "example": "LOGIN → NO no"}
    assert report(errors={"NO": early}).failures == 7
    assert report(errors={}).failures == 1


def test_two_reports_add_up():
    first = report()
    second = report(
        seconds=2.5,
        labels={"NOOP": {"count": 1, "errors": 0, "octets_in": 3, "histogram": [[5, 1]]}},
        series={
            "step_ms": 100,
            "commands": [10, 20, 30],
            "octets_in": [1, 1, 1],
            "errors": [0, 0, 0],
            "p99_us": [7, 1, 1],
        },
        errors={"NO": {"count": 2, "example": "other"}, "timeout": {"count": 1}},
    )
    both = merged([first, second])
    assert (both.seconds, both.connections, both.totals.commands) == (2.5, 8, 20)
    assert both.labels["NOOP"].count == 4
    assert both.labels["NOOP"].latency == Histogram(((5, 3), (9, 1)))
    assert both.series.commands == [11, 22, 30]
    assert both.series.p99_us == [7, 9, 1]
    assert both.errors["NO"].count == 3
    assert both.errors["NO"].example == "NOOP → NO no"
    assert both.unfinished.in_flight == 2
    assert merged([first]) is first


def test_a_server_that_stopped_shows_in_the_sum():
    stopped = report(ended="server stopped answering: silent for 30 s")
    both = merged([report(), stopped])
    assert both.server_stopped
    assert not both.never_began
    assert merged([report(), report(ended="no connection could be set up: refused")]).never_began
