import json
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from bench.tests.engine.plans import command, count, entry, plan, run

from imapvm_bench._engine import ERROR_KINDS, Load, Responder


@pytest.fixture
def port() -> Iterator[int]:
    responder = Responder(literal=100_000)
    yield responder.port
    responder.stop()


def test_counts_of_a_closed_loop_agree(port):
    report = run(port, seconds=0.5, login=[command("LOGIN a b")], setup=[command("SELECT x")])
    noop = report["labels"]["NOOP"]
    assert report["ended"] == "time"
    assert report["errors"] == {}
    assert 0.5 <= report["seconds"] < 0.6
    assert (report["connections"], report["opened"]) == (4, 4)
    assert noop["count"] == count(noop) == report["totals"]["commands"] > 100
    assert report["entries"]["entry"]["count"] == report["totals"]["entries"]
    assert noop["bytes_in"] == sum(report["series"]["bytes_in"]) == report["totals"]["bytes_in"]
    assert sum(report["series"]["commands"]) == noop["count"]
    assert len(report["series"]["commands"]) in (5, 6)
    assert report["setup"]["LOGIN"]["count"] == report["setup"]["SELECT"]["count"] == 4
    assert report["setup"]["CONNECT"]["count"] == 4
    values = [value for value, _ in noop["histogram"]]
    assert values == sorted(values)
    assert report["unfinished"]["in_flight"] <= 4


def test_literals_are_read_completely(port):
    report = run(port, limit=50, mix=[entry(command("FETCH 1 BODY[]"))], seconds=None)
    fetch = report["labels"]["FETCH"]
    assert (fetch["count"], report["ended"]) == (50, "limit")
    assert fetch["bytes_in"] > 50 * 100_000
    assert fetch["bytes_in"] == report["totals"]["bytes_in"]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_limit_is_reached_exactly(port, threads):
    report = run(port, limit=1_000, seconds=None, connections=10, threads=threads, pipeline=3)
    assert report["totals"]["entries"] == report["labels"]["NOOP"]["count"] == 1_000
    assert report["ended"] == "limit"
    assert report["unfinished"] == {"in_flight": 0, "oldest_us": 0, "backlog": 0}


@pytest.mark.parametrize("threads", [1, 3])
def test_a_limit_for_each_connection(port, threads):
    messages = ["SGVsbG8NCg==", "QQ0K"]
    append = {"label": "APPEND", "parts": [{"text": "APPEND x "}, {"message": "literal"}]}
    report = run(
        port, limit_each=7, seconds=None, threads=threads, messages=messages,
        message_order="turn", mix=[entry(append)],
    )  # fmt: skip
    assert report["totals"]["entries"] == 4 * 7
    headers = 4 * (4 * len("APPEND x {7}\r\n\r\n") + 3 * len("APPEND x {3}\r\n\r\n"))
    tags = 4 * sum(len(f"T{tag} ") for tag in range(1, 8))
    assert report["totals"]["bytes_out"] == headers + tags + 4 * (4 * 7 + 3 * 3)


def test_an_open_loop_keeps_its_rate(port):
    for arrivals, spread in [("constant", 5), ("poisson", 120)]:
        report = run(port, rate=800.0, arrivals=arrivals, seconds=0.5, threads=2)
        assert abs(report["totals"]["entries"] - 400) <= spread, arrivals
        assert report["ended"] == "time"


def test_an_open_loop_above_capacity_has_a_backlog(port):
    idle = command("IDLE", answer="idle", hold_ms=50)
    report = run(port, rate=1_000.0, seconds=0.5, connections=1, mix=[entry(idle)])
    assert 400 < report["unfinished"]["backlog"] < 500
    slowest = report["entries"]["entry"]["histogram"][-1][0]
    assert slowest > 300_000, "counted from when it was due"


def test_the_hold_of_idle_is_not_latency(port):
    idle = command("IDLE", answer="idle", hold_ms=100)
    report = run(port, limit=4, seconds=None, mix=[entry(idle)])
    assert report["seconds"] >= 0.1
    assert report["labels"]["IDLE"]["histogram"][-1][0] < 90_000
    assert report["entries"]["entry"]["histogram"][0][0] >= 100_000


def test_the_mix_follows_its_weights_and_is_reproducible(port):
    mix = [entry(command("A"), name="a", weight=3), entry(command("B"), name="b")]
    counts = []
    for _ in range(2):
        report = run(port, connections=1, limit=2_000, seconds=None, mix=mix, seed=5)
        counts.append({name: row["count"] for name, row in report["entries"].items()})
    assert counts[0] == counts[1]
    assert 1_400 < counts[0]["a"] < 1_600


def test_with_reconnect_every_entry_logs_in_and_out(port):
    report = run(port, reconnect=True, login=[command("LOGIN a b")], limit=100, seconds=None)
    for label in ("CONNECT", "LOGIN", "NOOP", "LOGOUT"):
        assert report["labels"][label]["count"] == 100, label
    assert report["totals"]["entries"] == 100
    assert report["errors"] == report["setup"] == {}


def test_connections_use_the_source_addresses_in_turn(port):
    report = run(port, sources=["127.0.0.2", "127.0.0.3"])
    assert (report["opened"], report["errors"]) == (4, {})
    report = run(port, sources=["192.0.2.1"])
    assert report["ended"].startswith("no connection could be set up: ")
    assert report["errors"]["no local address or port"]["count"] == 12


def test_a_snapshot_has_phase_and_counts(port):
    load = Load(json.dumps(plan(port, warmup_seconds=0.3, seconds=60)))
    assert json.loads(load.snapshot())["phase"] == "waiting"
    load.start()
    phases, deadline = [], time.monotonic() + 20
    while time.monotonic() < deadline:
        snapshot = json.loads(load.snapshot())
        if snapshot["phase"] not in phases:
            phases.append(snapshot["phase"])
        if snapshot["totals"]["commands"] and snapshot["recent"]["commands_per_second"]:
            break
        time.sleep(0.01)
    assert phases in (["opening", "warming up", "measuring"], ["warming up", "measuring"])
    assert (snapshot["open"], snapshot["errors"]) == (4, {})
    assert 0 < snapshot["recent"]["p50_us"] <= snapshot["recent"]["p99_us"]
    load.stop()
    report = load.finish()
    assert json.loads(report)["ended"] == "stopped"
    assert json.loads(report)["totals"]["commands"] >= snapshot["totals"]["commands"]
    assert load.finish() == report
    assert json.loads(load.snapshot())["phase"] == "ended"
    with pytest.raises(RuntimeError, match="started before"):
        load.start()


def test_a_load_that_was_not_started_has_no_report(port):
    load = Load(json.dumps(plan(port)))
    load.stop()
    with pytest.raises(RuntimeError, match="not started"):
        load.finish()


def test_a_load_that_is_dropped_ends(port):
    for _ in range(3):
        load = Load(json.dumps(plan(port, seconds=3_600)))
        load.start()
        del load
    assert run(port)["errors"] == {}


def test_a_wrong_plan_names_the_field():
    for change, expected in [
        ({"connections": 0}, r"^connections: "),
        ({"mix": [entry(command("A"), {"label": "B", "parts": [{"text": "x"}, {"what": 1}]})]},
         r"^mix\[0\]\.commands\[1\]\.parts\[1\]"),
        ({"tls": "tls", "server_name": "not a name"}, r"^server_name: "),
        ({"tls": "tls", "verify": True, "ca": "/nonexistent"}, r"^ca: /nonexistent: "),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=expected):
            Load(json.dumps(plan(143, **change)))
    with pytest.raises(OSError, match=r"^host: "):
        Load(json.dumps(plan(143, host="no-such-host.invalid")))


def test_error_kinds_are_a_fixed_set():
    assert len(set(ERROR_KINDS)) == len(ERROR_KINDS)
    assert {"NO", "BAD", "timeout", "connection refused"} <= set(ERROR_KINDS)


def test_think_times_slow_a_connection_down(port):
    mix = [entry(command("NOOP"), think_ms=[20, 40])]
    report = run(port, connections=10, seconds=0.6, mix=mix)
    assert 100 < report["totals"]["entries"] < 320
    commands = report["series"]["commands"]
    assert all(abs(one - other) < 60 for one, other in pairwise(commands[:-1]))
