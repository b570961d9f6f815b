"""Rows run on servers in turn; a failed run is recorded, and the others go on."""

import pytest
from bench.table.results import RowResult
from bench.table.rounds import RowRun, measure, value_of
from bench.table.rows import ROWS, TableRow
from bench.tests.table.builders import LoadTool, report, server

from imapvm_bench.errors import BenchError
from imapvm_bench.load.report import ErrorCount

NOOP = next(row for row in ROWS if row.name == "NOOP, 1 connection")
BODIES = next(row for row in ROWS if row.unit == "MB/s")
LMTP = next(row for row in ROWS if row.unit == "messages/s")


def measured(servers, tool, *, rows=(NOOP,), rounds=1, steps=None):
    made = [RowResult(row.name, row.unit, row.connections) for row in rows]
    measure(
        servers, rows, made, rounds=rounds, seconds=1.0, load_tool=tool,
        on_run=(steps if steps is not None else []).append,
    )  # fmt: skip
    return made


def test_every_second_round_takes_the_servers_in_reverse_order():
    steps: list[RowRun] = []
    tool = LoadTool(imapvm=report(2000), dovecot=report(1000))
    measured([server("imapvm"), server("dovecot")], tool, rows=(NOOP, LMTP), rounds=2, steps=steps)
    assert [(step.round, step.row.unit, step.server) for step in steps] == [
        (0, "commands/s", "imapvm"),
        (0, "commands/s", "dovecot"),
        (0, "messages/s", "imapvm"),
        (0, "messages/s", "dovecot"),
        (1, "commands/s", "dovecot"),
        (1, "commands/s", "imapvm"),
        (1, "messages/s", "dovecot"),
        (1, "messages/s", "imapvm"),
    ]


def test_an_unreachable_server_is_recorded_and_the_other_goes_on():
    tool = LoadTool(imapvm=report(2000), dovecot=BenchError("it is gone"))
    [row] = measured([server("imapvm"), server("dovecot")], tool, rounds=2)
    assert row.values == {"imapvm": [2000, 2000], "dovecot": [None, None]}
    assert row.errors == {"dovecot": ["it is gone"]}


def test_an_error_in_one_round_keeps_the_values_of_the_others():
    broken = report(
        500, errors={"timeout": ErrorCount(3, "NOOP")}, ended="server stopped answering: x"
    )
    tool = LoadTool(imapvm=[report(2000), broken])
    [row] = measured([server("imapvm")], tool, rounds=2)
    assert row.values == {"imapvm": [2000, 500]}
    assert row.errors == {"imapvm": ["timeout: NOOP", "server stopped answering: x"]}


def test_a_run_without_answers_has_no_value():
    [row] = measured([server("imapvm")], LoadTool(imapvm=report(0)))
    assert row.values == {"imapvm": [None]}
    assert row.errors == {"imapvm": ["no answer in 1 s"]}


def test_a_server_is_left_out_of_later_rounds_and_other_rows():
    tool = LoadTool(imapvm=report(2000), cyrus=report(1000))
    servers = [server("imapvm"), server("cyrus", rounds=1, only=frozenset({NOOP.name}))]
    noop, lmtp = measured(servers, tool, rows=(NOOP, LMTP), rounds=2)
    assert noop.values == {"imapvm": [2000, 2000], "cyrus": [1000]}
    assert lmtp.values == {"imapvm": [2000, 2000]}


def test_an_unfit_server_does_not_run_the_row():
    tool = LoadTool(pymap=report(1))
    [row] = measured([server("pymap", unfit={NOOP.name: "too slow to be filled"})], tool)
    assert row.errors == {"pymap": ["too slow to be filled"]}
    assert tool.loads == []


@pytest.mark.parametrize(
    ("row", "given", "value"),
    [
        (NOOP, report(5000, seconds=2.0), 2500.0),
        (
            NOOP,
            report(4, seconds=2.0, latency_us=400_000),
            2.5,
        ),  # few answers: computed from their latencies
        (BODIES, report(1000, size=4_000_000_000), 4000.0),
        (BODIES, report(4, seconds=2.0, latency_us=400_000, size=4_000_000), 2.5),
        (LMTP, report(900, seconds=2.0), 450.0),
    ],
)
def test_the_value_of_a_row(row: TableRow, given, value):
    assert value_of(given, row) == pytest.approx(value)
