"""Report and snapshot of the engine."""

from typing import Final

import msgspec

from imapvm_bench.load.histogram import Histogram

ENDED_STOPPED: Final = "server stopped answering"
"""Start of `Report.ended` where the server stopped answering."""
ENDED_UNOPENED: Final = "no connection could be set up"
"""Start of `Report.ended` where nothing was measured."""


class Totals(msgspec.Struct, frozen=True):
    """Sums of the measured time."""

    commands: int = 0
    entries: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    errors: int = 0


class LabelStats(msgspec.Struct, frozen=True):
    """Measurements of one label, or of one entry of the mix."""

    count: int = 0
    errors: int = 0
    bytes_in: int = 0
    histogram: list[tuple[int, int]] = []

    @property
    def latency(self) -> Histogram:
        """Return the latencies in microseconds."""
        return Histogram.of(self.histogram)


class ErrorCount(msgspec.Struct, frozen=True):
    """Number of errors of one kind, with an example."""

    count: int
    example: str = ""
    """One command and its answer. Untrusted text of the server."""


class Series(msgspec.Struct, frozen=True):
    """Measurements over time: one value for each `step_ms` of the measured time."""

    step_ms: int = 100
    commands: list[int] = []
    bytes_in: list[int] = []
    errors: list[int] = []
    p99_us: list[int] = []


class Unfinished(msgspec.Struct, frozen=True):
    """Unfinished work at the end of the measured time."""

    in_flight: int = 0
    oldest_us: int = 0
    backlog: int = 0
    """Open loop: entries that were due, and not started because no connection was free."""


class LoadReport(msgspec.Struct, frozen=True):
    """Report of one load."""

    seconds: float
    connections: int
    totals: Totals
    opened_seconds: float = 0.0
    labels: dict[str, LabelStats] = {}
    entries: dict[str, LabelStats] = {}
    setup: dict[str, LabelStats] = {}
    series: Series = msgspec.field(default_factory=Series)
    errors: dict[str, ErrorCount] = {}
    unfinished: Unfinished = msgspec.field(default_factory=Unfinished)
    ended: str = "time"

    @property
    def latency(self) -> Histogram:
        """Return the latencies of all commands, in microseconds."""
        return Histogram.merged(measured.latency for measured in self.labels.values())

    @property
    def commands_per_second(self) -> float:
        return self.totals.commands / self.seconds if self.seconds else 0.0

    @property
    def entries_per_second(self) -> float:
        return self.totals.entries / self.seconds if self.seconds else 0.0

    @property
    def bytes_in_per_second(self) -> float:
        return self.totals.bytes_in / self.seconds if self.seconds else 0.0

    @property
    def has_several_commands(self) -> bool:
        """Return whether the mix is more than one command."""
        return len(self.entries) > 1 or len(self.labels) > 1

    @property
    def failures(self) -> int:
        """Return the number of errors, also before the measured time."""
        return max(self.totals.errors, sum(error.count for error in self.errors.values()))

    @property
    def server_stopped(self) -> bool:
        return self.ended.startswith(ENDED_STOPPED)

    @property
    def never_began(self) -> bool:
        return self.ended.startswith(ENDED_UNOPENED)


class Recent(msgspec.Struct, frozen=True):
    """Rates and latencies of the last second."""

    commands_per_second: float = 0.0
    bytes_in_per_second: float = 0.0
    p50_us: int = 0
    p99_us: int = 0


class LoadSnapshot(msgspec.Struct, frozen=True):
    """State of a running load."""

    phase: str
    elapsed: float = 0.0
    open: int = 0
    totals: Totals = msgspec.field(default_factory=Totals)
    recent: Recent = msgspec.field(default_factory=Recent)
    errors: dict[str, int] = {}


def read_report(text: str) -> LoadReport:
    """Parse the report of the engine."""
    return msgspec.json.decode(text, type=LoadReport)


def read_snapshot(text: str) -> LoadSnapshot:
    """Parse a snapshot of the engine."""
    return msgspec.json.decode(text, type=LoadSnapshot)
