"""What a load measured: the engine's report as values, and arithmetic on it."""

from typing import Final

import msgspec

from imapvm_bench.load.histogram import Histogram

ENDED_STOPPED: Final = "server stopped answering"
"""`Report.ended` begins so where the server gave up, or was given up."""
ENDED_UNOPENED: Final = "no connection could be set up"
"""And so where nothing could be measured at all."""


class Totals(msgspec.Struct, frozen=True):
    """Counters of the measured time."""

    commands: int = 0
    entries: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    errors: int = 0


class LabelStats(msgspec.Struct, frozen=True):
    """One label, or one entry of the mix."""

    count: int = 0
    errors: int = 0
    bytes_in: int = 0
    histogram: list[tuple[int, int]] = []

    @property
    def latency(self) -> Histogram:
        """Microseconds."""
        return Histogram.of(self.histogram)


class ErrorCount(msgspec.Struct, frozen=True):
    """A kind of error."""

    count: int
    example: str = ""
    """What was said, and what came back, once. The server's words: not to be trusted."""


class Series(msgspec.Struct, frozen=True):
    """What happened when: one value each `step_ms`, from the start of the measured time."""

    step_ms: int = 100
    commands: list[int] = []
    bytes_in: list[int] = []
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
    labels: dict[str, LabelStats] = {}
    entries: dict[str, LabelStats] = {}
    setup: dict[str, LabelStats] = {}
    series: Series = msgspec.field(default_factory=Series)
    errors: dict[str, ErrorCount] = {}
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
    def bytes_in_per_second(self) -> float:
        return self.totals.bytes_in / self.seconds if self.seconds else 0.0

    @property
    def has_entries_of_their_own(self) -> bool:
        """Whether an entry of the mix is more than a command."""
        return len(self.entries) > 1 or len(self.labels) > 1

    @property
    def failures(self) -> int:
        """Errors of every kind: while measuring, and before, when connections were opened."""
        return max(self.totals.errors, sum(error.count for error in self.errors.values()))

    @property
    def server_stopped(self) -> bool:
        return self.ended.startswith(ENDED_STOPPED)

    @property
    def never_began(self) -> bool:
        return self.ended.startswith(ENDED_UNOPENED)


class Recent(msgspec.Struct, frozen=True):
    """The last moment or so."""

    commands_per_second: float = 0.0
    bytes_in_per_second: float = 0.0
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
