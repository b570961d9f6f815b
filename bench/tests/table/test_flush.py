"""Durable rows run at each latency, with the syncs of the measured time per operation."""

import pytest
from bench.disk import fixed_latency
from bench.disk.fixed_latency import COUNTERS, LATENCY
from bench.table.flush import CountingLoad, SyncCounter, flush_rows, measure_flush
from bench.table.rows import ROWS, Setting
from bench.tests.table.builders import LoadTool, report, server

from imapvm_bench.load.plan import LoadSpec
from imapvm_bench.load.report import LoadSnapshot, Totals

STORE = next(row for row in ROWS if row.name == "STORE one flag, 1 connection")
LMTP = next(row for row in ROWS if row.unit == "messages/s")


@pytest.fixture
def disk(tmp_path):
    with fixed_latency(tmp_path) as disk:
        yield disk


def synced(disk, count):
    """Count as the servers do."""
    COUNTERS.pack_into(disk.page, LATENCY.size, count, 0, 0)


class SyncingLoad(LoadTool):
    """Load whose server syncs twice per command, and seven times before the measured time."""

    def __init__(self, disk, **answers):
        super().__init__(**answers)
        self.disk = disk
        self.latencies = []

    def __call__(self, load, *, on_snapshot):
        self.latencies.append(self.disk.latency_ms)
        base = self.disk.syncs().files + 7
        for phase, commands in (("warming up", 50), ("measuring", 10), ("measuring", 110)):
            synced(self.disk, base + 2 * commands)
            on_snapshot(
                LoadSnapshot(phase, totals=Totals(commands=commands, entries=commands // 2))
            )
        return super().__call__(load)


def test_the_rows_are_those_that_sync():
    names = [row.name for row in flush_rows()]
    assert len(names) == 6
    assert {name.split()[0] for name in names} == {"STORE", "APPEND", "LMTP"}
    assert {row.connections for row in flush_rows()} == {1, 20}


def test_each_row_runs_at_each_latency(disk):
    tool = SyncingLoad(disk, imapvm=report(1000))
    steps = []
    found = measure_flush(
        [server("imapvm")], {"imapvm": disk}, [STORE, LMTP], (0.2, 5.0),
        rounds=2, seconds=1.0, load_tool=tool,
        on_run=lambda latency, step, syncs: steps.append((latency, step.round, syncs)),
    )  # fmt: skip
    assert tool.latencies == pytest.approx([0.2] * 4 + [5.0] * 4)
    assert [(row.name, row.latency_ms) for row in found] == [
        (STORE.name, 0.2), (LMTP.name, 0.2), (STORE.name, 5.0), (LMTP.name, 5.0),
    ]  # fmt: skip
    assert found[0].values == {"imapvm": [1000, 1000]}
    assert found[0].syncs == {"imapvm": [2.0, 2.0]}
    assert found[1].syncs == {"imapvm": [4.0, 4.0]}  # an entry of LMTP is an operation
    assert steps[:2] == [(0.2, 0, 2.0), (0.2, 1, 2.0)]
    assert disk.latency_ms == 0


def test_without_operations_there_is_no_number_of_syncs(disk):
    counter = SyncCounter(disk)
    assert counter.value is None
    counter.note(LoadSnapshot("measuring", totals=Totals(commands=5)), entries=False)
    assert counter.value is None


def test_a_failed_run_has_no_number_of_syncs(disk):
    def fail(load, *, on_snapshot):
        raise RuntimeError

    tool = CountingLoad({"imapvm": disk}, load_tool=fail)
    tool.last = 3.0
    with pytest.raises(RuntimeError):
        tool(LoadSpec(server("imapvm").target("readers"), STORE.scenario(Setting("", 0))))
    assert tool.last is None
