"""What was measured, as values that become JSON, and come back from it."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured."""

    processor: str
    cores: int
    memory_octets: int
    kernel: str
    system: str
    file_system: str
    python: str


class Server(msgspec.Struct, frozen=True):
    """What was measured, in its own words: see `bench.peers.Service`."""

    name: str
    version: str
    fsync: str
    passwords: str
    settings: str


class RowResult(msgspec.Struct):
    """One line of the table."""

    name: str
    unit: str
    connections: int
    goals: dict[str, float] = {}
    values: dict[str, list[float | None]] = {}
    """Server to one value a round; None where that run gave none, or was not made."""
    errors: dict[str, list[str]] = msgspec.field(default_factory=dict, name="faults")
    """Server to what went wrong there."""


class IdleResult(msgspec.Struct):
    """Sessions in IDLE at one server."""

    server: str
    tls: bool
    sessions: int
    anonymous: float | None = None
    """Octets a session of what the server's processes wrote (docs/decisions/0001)."""
    pss: float | None = None
    """Octets a session with its share of program files and of the cache of disk pages."""
    deliveries: int = 0
    missed: int = 0
    """Sessions that were not told within ten seconds."""
    push_ms: dict[str, float] = {}
    """From the final dot at LMTP to EXISTS at the client: p50, p99, max."""
    error: str = msgspec.field(default="", name="fault")


class Point(msgspec.Struct, frozen=True):
    """A size, and what was measured there: one value a repetition."""

    size: int
    values: list[float]


class Curve(msgspec.Struct):
    """How something grows, or does not."""

    name: str
    sizes: str
    """What the sizes count."""
    unit: str
    goal: str
    note: str = ""
    points: list[Point] = []
    error: str = msgspec.field(default="", name="fault")


class Results(msgspec.Struct):
    """A whole run."""

    date: str
    command: str
    machine: Machine
    rounds: int
    seconds: float
    note: str = ""
    """What a reader has to know of this run and would not guess."""
    servers: list[Server] = []
    missing: dict[str, str] = {}
    """A server that was not here to the command that brings it."""
    failed: dict[str, str] = {}
    """A server that did not start, or could not be filled, to what it said."""
    rows: list[RowResult] = []
    idle: list[IdleResult] = []
    scale: list[Curve] = []
    large_idle: list[IdleResult] = msgspec.field(default_factory=list, name="crowds")
    """As many sessions as the machine's limits allow, at imapvm alone."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            msgspec.ValidationError: it is something else.
        """
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def write(self, path: Path) -> None:
        """Write it whole, or not at all."""
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")
        new.replace(path)


def ratios(row: RowResult, ours: str, theirs: str) -> list[float]:
    """Return ours ÷ theirs, round by round, of the rounds that have both."""
    pairs = zip(row.values.get(ours, []), row.values.get(theirs, []), strict=False)
    return [first / second for first, second in pairs if first and second]


def median(values: Sequence[float | None]) -> float | None:
    """The median of what is there; None of nothing."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None
