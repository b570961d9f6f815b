"""Comparison of servers: the same loads in turn, with medians, spread, and ratios by round.

    rows = [ComparisonRow("NOOP, 20", scenario, connections=20)]
    comparison = compare(targets, rows, rounds=5)
    print(comparison.cell("NOOP, 20", "imapvm").median)
    print(comparison.ratio("NOOP, 20", "imapvm", "dovecot").median)

Runs are interleaved: in each round every row runs on all servers before the next row starts, and
every second round takes the servers in reverse order. Other load on the machine therefore affects
all servers, and a ratio is taken between two adjacent runs.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from imapvm_bench.errors import BenchError
from imapvm_bench.load.plan import LoadSpec
from imapvm_bench.load.probe import Probe, probe_server
from imapvm_bench.load.report import LoadReport, LoadSnapshot
from imapvm_bench.load.run import Outcome, run
from imapvm_bench.scenario.model import Metric, Scenario
from imapvm_bench.server.target import Target


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """Row of a comparison: a load and a metric."""

    name: str
    scenario: Scenario
    connections: int | None = None
    """None: the default of the scenario."""
    metric: Metric | None = None
    """None: that of the scenario, or p99 with a rate."""
    rate: float | None = None
    """Mix entries a second over all connections (open loop); None: closed loop."""
    seconds: float | None = None
    """Measured time; None: that of the comparison."""
    threads: int = 1

    @property
    def unit(self) -> Metric:
        return self.metric or ("p99 ms" if self.rate else self.scenario.measure)

    @property
    def higher_is_better(self) -> bool:
        return not self.unit.endswith("ms")


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of several values."""

    median: float
    low: float
    high: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values), tuple(values))

    @property
    def side(self) -> int:
        """Return 1 where all ratios are above 1, -1 where all are below 1, else 0."""
        return (self.low > 1) - (self.high < 1)

    @property
    def relative(self) -> float:
        """Return (highest - lowest) / median; 0 where the median is 0."""
        return (self.high - self.low) / self.median if self.median else 0.0


@dataclass(slots=True)
class Comparison:
    """Result of a comparison. Rows and targets are in the given order."""

    rows: tuple[ComparisonRow, ...]
    targets: tuple[Target, ...]
    rounds: int
    seconds: float
    values: dict[tuple[str, str], list[float | None]] = field(default_factory=dict)
    """(row, target) → one value for each round; None for a run without a value, see `errors`."""
    errors: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """(row, target) → error messages; absent without errors."""
    interrupted: bool = False

    def cell(self, row: str, target: str) -> Spread | None:
        """Return the values of one server in one row; None if no round gave a value."""
        values = [v for v in self.values.get((row, target), []) if v is not None]
        return Spread.of(values) if values else None

    def ratio(self, row: str, a: str, b: str) -> Spread | None:
        """Return a ÷ b for each round that has both values; None without such a round.

        For latencies it is b ÷ a, so that a number above 1 always means that `a` is faster.
        """
        higher = next(r for r in self.rows if r.name == row).higher_is_better
        pairs = zip(self.values.get((row, a), []), self.values.get((row, b), []), strict=False)
        ratios = [
            (first / second) if higher else (second / first)
            for first, second in pairs
            if first and second
        ]
        return Spread.of(ratios) if ratios else None

    def to_json(self) -> dict[str, Any]:
        """Return everything for JSON, with every value of every round."""
        names = [target.name for target in self.targets]
        return {
            "rounds": self.rounds,
            "seconds": self.seconds,
            "interrupted": self.interrupted,
            "targets": [{"name": t.name, "address": str(t.imap)} for t in self.targets],
            "rows": [
                {
                    "name": row.name,
                    "scenario": row.scenario.name,
                    "connections": row.connections or row.scenario.connections,
                    "metric": row.unit,
                    "values": {name: self.values.get((row.name, name), []) for name in names},
                    "median": {
                        name: cell.median if (cell := self.cell(row.name, name)) else None
                        for name in names
                    },
                    "ratio": {
                        f"{names[0]} / {other}": ratio.median
                        if (ratio := self.ratio(row.name, names[0], other))
                        else None
                        for other in names[1:]
                    },
                    "faults": {
                        name: self.errors[row.name, name]
                        for name in names
                        if (row.name, name) in self.errors
                    },
                }
                for row in self.rows
            ],
        }


@dataclass(frozen=True, slots=True)
class ComparisonStep:
    """Progress of a comparison: one run."""

    number: int
    steps: int
    round: int
    row: ComparisonRow
    target: Target
    snapshot: LoadSnapshot | None = None
    """State of the run, while it runs."""
    value: float | None = None
    """Value of the run, when it has ended with one."""
    done: bool = False


def compare(
    targets: Sequence[Target],
    rows: Sequence[ComparisonRow],
    *,
    rounds: int = 3,
    seconds: float = 5.0,
    warmup: float = 1.0,
    on_step: Callable[[ComparisonStep], None] = lambda _: None,
    runner: Callable[..., Outcome] = run,
) -> Comparison:
    """Run every row on every target, `rounds` times, interleaved.

    A run that fails (no connection, the server stops answering, or refuses commands) adds to
    `errors`, and the others go on. KeyboardInterrupt ends the comparison; the results so far are
    returned with `interrupted` set.

    Args:
        targets: two or more, with different names.
        rows: one or more, with different names.
        rounds: runs of each row on each target.
        seconds: measured time of a run, unless the row has its own.
        warmup: seconds before the measured time.
        on_step: called on the calling thread when a run starts, about five times a second while
            it runs, and when it has ended.
        runner: runs one load; replaced in tests.
    """
    runs = _Runs(Comparison(tuple(rows), tuple(targets), rounds, seconds), warmup, on_step, runner)
    steps = rounds * len(rows) * len(targets)
    number = 0
    try:
        for index in range(rounds):
            for row in rows:
                for target in targets if index % 2 == 0 else reversed(targets):
                    number += 1
                    runs.measure(ComparisonStep(number, steps, index + 1, row, target))
    except KeyboardInterrupt:
        runs.comparison.interrupted = True
    return runs.comparison


class _Runs:
    """State of a running comparison."""

    def __init__(
        self,
        comparison: Comparison,
        warmup: float,
        on_step: Callable[[ComparisonStep], None],
        runner: Callable[..., Outcome],
    ) -> None:
        self.comparison = comparison
        self._warmup = warmup
        self._on_step = on_step
        self._runner = runner
        self._probes: dict[tuple[str, str], Probe] = {}

    def measure(self, step: ComparisonStep) -> None:
        """Run a row on a target once, and record value and errors."""
        key = (step.row.name, step.target.name)
        self._on_step(step)
        value: float | None = None
        errors: list[str] = []
        try:
            outcome = self._runner(
                self._load(step),
                on_snapshot=lambda snapshot: self._on_step(replace(step, snapshot=snapshot)),
                probe=lambda load: self._probe(key, load),
            )
        except BenchError as error:
            errors = [str(error)]
        else:
            if outcome.interrupted:
                raise KeyboardInterrupt
            errors = errors_of(outcome.report)
            if not outcome.report.server_stopped and outcome.report.totals.commands:
                value = value_of(outcome.report, step.row.unit)
        if errors:
            self.comparison.errors.setdefault(key, []).extend(errors)
        self.comparison.values.setdefault(key, []).append(value)
        self._on_step(replace(step, value=value, done=True))

    def _load(self, step: ComparisonStep) -> LoadSpec:
        row = step.row
        return LoadSpec(
            step.target,
            row.scenario,
            connections=row.connections,
            seconds=row.seconds or self.comparison.seconds,
            warmup=self._warmup,
            rate=row.rate,
            threads=row.threads,
        )

    def _probe(self, key: tuple[str, str], load: LoadSpec) -> Probe:
        """Probe a server once for each row: a log-in may cost 0.1 s."""
        if key not in self._probes:
            self._probes[key] = probe_server(load.target, load.scenario)
        return self._probes[key]


def value_of(report: LoadReport, metric: Metric) -> float:
    """Return the value of a metric."""
    match metric:
        case "commands/s":
            return report.commands_per_second
        case "entries/s":
            return report.entries_per_second
        case "MB/s":
            return report.bytes_in_per_second / 1e6
        case "p50 ms":
            return report.latency.percentile(50) / 1000
        case "p99 ms":
            return report.latency.percentile(99) / 1000


def errors_of(report: LoadReport) -> list[str]:
    """Return one error message for each kind of error in a run."""
    messages = [
        f"{kind} ({error.count:,} times): {error.example}" for kind, error in report.errors.items()
    ]
    bad = report.server_stopped or report.never_began
    return [*messages, report.ended] if bad else messages
