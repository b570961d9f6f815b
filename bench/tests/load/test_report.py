"""Reports: JSON of the engine, and derived values."""

import json

from imapvm_bench.load.histogram import Histogram
from imapvm_bench.load.report import read_report, read_snapshot

NOOPS = {"count": 3, "errors": 1, "bytes_in": 9, "histogram": [[5, 2], [9, 1]]}


def report(**changes):
    values = {
        "seconds": 2.0,
        "connections": 4,
        "opened_seconds": 0.5,
        "opened": 4,
        "totals": {
            "commands": 10,
            "entries": 5,
            "bytes_in": 1000,
            "bytes_out": 100,
            "errors": 1,
        },
        "labels": {"NOOP": NOOPS},
        "entries": {"NOOP": {"count": 3, "errors": 1, "histogram": [[5, 3]]}},
        "setup": {},
        "series": {
            "step_ms": 100,
            "commands": [1, 2],
            "bytes_in": [3, 4],
            "errors": [0, 1],
            "p99_us": [5, 9],
        },
        "errors": {"NO": {"count": 1, "example": "NOOP → NO no"}},
        "unfinished": {"in_flight": 1, "oldest_us": 20, "backlog": 0},
        "ended": "time",
    }
    return read_report(json.dumps(values | changes))


def test_rates_are_per_measured_second():
    one = report()
    assert (one.commands_per_second, one.entries_per_second) == (5.0, 2.5)
    assert one.bytes_in_per_second == 500.0
    assert report(seconds=0.0).commands_per_second == 0.0


def test_unknown_fields_are_ignored():
    assert report(weather="fine").connections == 4
    snapshot = read_snapshot('{"phase": "opening", "open": 3, "weather": "fine"}')
    assert (snapshot.phase, snapshot.open) == ("opening", 3)


def test_errors_before_the_measured_time_count_as_failures():
    early = {"count": 7, "example": "LOGIN → NO no"}
    assert report(errors={"NO": early}).failures == 7
    assert report(errors={}).failures == 1


def test_latency_of_all_commands_is_merged():
    labels = {"NOOP": NOOPS, "LIST": NOOPS | {"histogram": [[5, 1], [7, 1]]}}
    assert report(labels=labels).latency == Histogram(((5, 3), (7, 1), (9, 1)))


def test_entries_matter_if_the_mix_has_more_than_one_command():
    assert not report().has_several_commands
    assert report(labels={"NOOP": NOOPS, "LIST": NOOPS}).has_several_commands


def test_the_end_of_a_load_is_classified():
    stopped = report(ended="server stopped answering: silent for 30 s")
    assert (stopped.server_stopped, stopped.never_began) == (True, False)
    unopened = report(ended="no connection could be set up: refused")
    assert (unopened.server_stopped, unopened.never_began) == (False, True)
    assert not report(ended="limit").server_stopped
