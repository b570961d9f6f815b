"""What a load measured: the engine's report as values, and arithmetic on it.

Several engine processes' reports are put together by `merged`.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from imapvm_bench.histogram import Histogram

ENDED_STOPPED: Final = "server stopped answering"
"""`Report.ended` begins so where the server gave up, or was given up."""
ENDED_UNOPENED: Final = "no connection could be set up"
"""And so where nothing could be measured at all."""


class Totals(msgspec.Struct, frozen=True):
    """Counters of the measured time."""

    commands: int = 0
    entries: int = 0
    octets_in: int = 0
    octets_out: int = 0
    errors: int = 0


class Measured(msgspec.Struct, frozen=True):
    """One label, or one entry of the mix."""

    count: int = 0
    errors: int = 0
    octets_in: int = 0
    histogram: list[tuple[int, int]] = []

    @property
    def latency(self) -> Histogram:
        """Microseconds."""
        return Histogram.of(self.histogram)


class Fault(msgspec.Struct, frozen=True):
    """A kind of error."""

    count: int
    example: str = ""
    """What was said, and what came back, once. The server's words: not to be trusted."""


class Series(msgspec.Struct, frozen=True):
    """What happened when: one value each `step_ms`, from the start of the measured time."""

    step_ms: int = 100
    commands: list[int] = []
    octets_in: list[int] = []
    errors: list[int] = []
    p99_us: list[int] = []


class Unfinished(msgspec.Struct, frozen=True):
    """What was under way when the measured time was over."""

    in_flight: int = 0
    oldest_us: int = 0
    backlog: int = 0
    """Open loop: entries that were due and not begun, since no connection was free."""


class Report(msgspec.Struct, frozen=True):
    """One load."""

    seconds: float
    connections: int
    totals: Totals
    opened_seconds: float = 0.0
    labels: dict[str, Measured] = {}
    entries: dict[str, Measured] = {}
    setup: dict[str, Measured] = {}
    series: Series = msgspec.field(default_factory=Series)
    errors: dict[str, Fault] = {}
    unfinished: Unfinished = msgspec.field(default_factory=Unfinished)
    ended: str = "time"

    @property
    def latency(self) -> Histogram:
        """All commands, in microseconds."""
        return Histogram.merged(measured.latency for measured in self.labels.values())

    @property
    def commands_per_second(self) -> float:
        return self.totals.commands / self.seconds if self.seconds else 0.0

    @property
    def entries_per_second(self) -> float:
        return self.totals.entries / self.seconds if self.seconds else 0.0

    @property
    def octets_in_per_second(self) -> float:
        return self.totals.octets_in / self.seconds if self.seconds else 0.0

    @property
    def has_entries_of_their_own(self) -> bool:
        """Whether an entry of the mix is more than a command."""
        return len(self.entries) > 1 or len(self.labels) > 1

    @property
    def failures(self) -> int:
        """Errors of every kind: while measuring, and before, when connections were opened."""
        return max(self.totals.errors, sum(fault.count for fault in self.errors.values()))

    @property
    def server_stopped(self) -> bool:
        return self.ended.startswith(ENDED_STOPPED)

    @property
    def never_began(self) -> bool:
        return self.ended.startswith(ENDED_UNOPENED)


class Recent(msgspec.Struct, frozen=True):
    """The last moment or so."""

    commands_per_second: float = 0.0
    octets_in_per_second: float = 0.0
    p50_us: int = 0
    p99_us: int = 0


class Snapshot(msgspec.Struct, frozen=True):
    """A load while it runs."""

    phase: str
    elapsed: float = 0.0
    open: int = 0
    totals: Totals = msgspec.field(default_factory=Totals)
    recent: Recent = msgspec.field(default_factory=Recent)
    errors: dict[str, int] = {}


def read_report(text: str) -> Report:
    """Read the engine's report."""
    return msgspec.json.decode(text, type=Report)


def read_snapshot(text: str) -> Snapshot:
    """Read the engine's snapshot."""
    return msgspec.json.decode(text, type=Snapshot)


def merged(reports: Sequence[Report]) -> Report:
    """What several engines measured at the same time, as one report.

    Counts and histograms are added, series are added step by step (of p99 the largest is kept:
    percentiles cannot be added), the longest time counts.
    """
    if len(reports) == 1:
        return reports[0]
    worst = next((r.ended for r in reports if r.server_stopped or r.never_began), reports[0].ended)
    return Report(
        seconds=max(r.seconds for r in reports),
        connections=sum(r.connections for r in reports),
        opened_seconds=max(r.opened_seconds for r in reports),
        totals=Totals(
            *(sum(getattr(r.totals, f) for r in reports) for f in Totals.__struct_fields__)
        ),
        labels=_merged_rows(r.labels for r in reports),
        entries=_merged_rows(r.entries for r in reports),
        setup=_merged_rows(r.setup for r in reports),
        series=Series(
            step_ms=reports[0].series.step_ms,
            commands=_added([r.series.commands for r in reports]),
            octets_in=_added([r.series.octets_in for r in reports]),
            errors=_added([r.series.errors for r in reports]),
            p99_us=_greatest([r.series.p99_us for r in reports]),
        ),
        errors=_merged_faults(r.errors for r in reports),
        unfinished=Unfinished(
            in_flight=sum(r.unfinished.in_flight for r in reports),
            oldest_us=max(r.unfinished.oldest_us for r in reports),
            backlog=sum(r.unfinished.backlog for r in reports),
        ),
        ended=worst,
    )


def _merged_rows(rows: Iterable[dict[str, Measured]]) -> dict[str, Measured]:
    gathered: dict[str, list[Measured]] = {}
    for row in rows:
        for label, measured in row.items():
            gathered.setdefault(label, []).append(measured)
    return {
        label: Measured(
            count=sum(m.count for m in several),
            errors=sum(m.errors for m in several),
            octets_in=sum(m.octets_in for m in several),
            histogram=list(Histogram.merged(m.latency for m in several).pairs),
        )
        for label, several in gathered.items()
    }


def _merged_faults(faults: Iterable[dict[str, Fault]]) -> dict[str, Fault]:
    gathered: dict[str, Fault] = {}
    for one in faults:
        for kind, fault in one.items():
            before = gathered.get(kind, Fault(0, fault.example))
            gathered[kind] = Fault(before.count + fault.count, before.example)
    return gathered


def _columns(series: Sequence[Sequence[int]]) -> list[list[int]]:
    longest = max(map(len, series), default=0)
    return [[one[n] for one in series if n < len(one)] for n in range(longest)]


def _added(series: Sequence[Sequence[int]]) -> list[int]:
    return [sum(column) for column in _columns(series)]


def _greatest(series: Sequence[Sequence[int]]) -> list[int]:
    return [max(column) for column in _columns(series)]
