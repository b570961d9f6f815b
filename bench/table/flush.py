"""Rows of durable operations, on a disk with a fixed flush latency, with syncs per operation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.disk import FixedLatency
from bench.table.results import FlushRow
from bench.table.rounds import MeasuredServer, RowRun, measure
from bench.table.rows import ROWS, TableRow
from imapvm_bench.load.plan import LoadSpec
from imapvm_bench.load.report import LoadSnapshot
from imapvm_bench.load.run import Outcome, run

FLUSH_MS: Final = (0.2, 1.0, 5.0)
"""Latencies: a drive with power-loss protection, a common solid-state drive, network storage."""

FLUSH_SERVERS: Final = ("imapvm", "dovecot", "dovecot-always")

WRITING: Final = ("STORE", "APPEND", "LMTP")
"""First words of the rows that depend on when a server syncs."""

MEASURING: Final = "measuring"
"""Phase of the engine after the warm-up."""


def flush_rows() -> list[TableRow]:
    """Return the rows that depend on the latency of a flush."""
    return [row for row in ROWS if row.name.startswith(WRITING) and not row.heavy]


@dataclass(slots=True)
class SyncCounter:
    """Syncs per operation of one load, from snapshots in the measured time."""

    disk: FixedLatency
    _first: tuple[int, int] | None = None
    _last: tuple[int, int] = (0, 0)

    def note(self, snapshot: LoadSnapshot, *, entries: bool) -> None:
        """Record the counts at a snapshot."""
        if snapshot.phase == MEASURING:
            totals = snapshot.totals
            operations = totals.entries if entries else totals.commands
            self._last = (operations, self.disk.syncs().total)
            self._first = self._first or self._last

    @property
    def value(self) -> float | None:
        """Syncs per operation; None without operations."""
        if self._first is None or self._first[0] == self._last[0]:
            return None
        return (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])


@dataclass(slots=True)
class CountingLoad:
    """Load tool that counts the syncs of the server."""

    disks: Mapping[str, FixedLatency]
    """Disks by the name of the server."""
    entries: bool = False
    """The operations are entries of the mix, not commands."""
    load_tool: Callable[..., Outcome] = run
    last: float | None = field(default=None, init=False)
    """Syncs per operation of the last run."""

    def __call__(self, load: LoadSpec) -> Outcome:
        counter = SyncCounter(self.disks[load.target.name])
        self.last = None
        outcome = self.load_tool(
            load, on_snapshot=lambda each: counter.note(each, entries=self.entries)
        )
        self.last = counter.value
        return outcome


def measure_flush(
    servers: Sequence[MeasuredServer],
    disks: Mapping[str, FixedLatency],
    rows: Sequence[TableRow],
    latencies: Sequence[float],
    *,
    rounds: int,
    seconds: float,
    on_run: Callable[[float, RowRun, float | None], None] = lambda *_: None,
    load_tool: Callable[..., Outcome] = run,
) -> list[FlushRow]:
    """Return the results of the rows at each latency; the servers run all the time."""
    found: list[FlushRow] = []
    for latency in latencies:
        for disk in disks.values():
            disk.latency_ms = latency
        for row in rows:
            tool = CountingLoad(disks, entries=row.unit != "commands/s", load_tool=load_tool)
            result = FlushRow(row.name, row.unit, row.connections, latency_ms=latency)

            def note(step: RowRun, result: FlushRow = result, tool: CountingLoad = tool) -> None:
                result.syncs.setdefault(step.server, []).append(tool.last)
                on_run(result.latency_ms, step, tool.last)

            measure(
                servers, [row], [result],
                rounds=rounds, seconds=seconds, load_tool=tool, on_run=note,
            )  # fmt: skip
            found.append(result)
    for disk in disks.values():
        disk.latency_ms = 0
    return found
