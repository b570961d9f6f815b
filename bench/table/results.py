"""Results, as written to and read from JSON. Some keys have older names than the fields."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec


class Machine(msgspec.Struct, frozen=True):
    """Machine of the run."""

    processor: str
    cores: int
    memory_bytes: int = msgspec.field(name="memory_octets")
    kernel: str
    system: str
    file_system: str
    python: str


class Server(msgspec.Struct, frozen=True):
    """Description of a server, see `bench.peers.Service`."""

    name: str
    version: str
    fsync: str
    passwords: str
    settings: str


class RowResult(msgspec.Struct):
    """Results of one row."""

    name: str
    unit: str
    connections: int
    goals: dict[str, float] = {}
    values: dict[str, list[float | None]] = {}
    """One value per round for each server; None where the run gave none, or was left out."""
    errors: dict[str, list[str]] = msgspec.field(default_factory=dict, name="faults")
    """Error messages by server."""


class FlushRow(RowResult, kw_only=True):
    """Results of one row on a disk with a fixed flush latency."""

    latency_ms: float
    syncs: dict[str, list[float | None]] = {}
    """Syncs per operation, one value per round for each server."""


class LargeRow(msgspec.Struct):
    """Results of one measurement in a large mailbox, or of COMPRESS."""

    name: str
    unit: str
    goals: tuple[float, ...] = ()
    """Aims: highest first and second value of imapvm."""
    values: dict[str, list[float]] = {}
    """Two values for each server."""
    errors: dict[str, str] = {}


class IdleResult(msgspec.Struct):
    """Results of idle sessions on one server."""

    server: str
    tls: bool
    sessions: int
    anonymous: float | None = None
    """Anonymous memory per session in bytes (docs/decisions/0001-anonymous-resident-memory.md)."""
    pss: float | None = None
    """PSS per session in bytes: with the share of program files and page cache."""
    deliveries: int = 0
    missed: int = 0
    """Sessions without EXISTS after ten seconds."""
    push_ms: dict[str, float] = {}
    """From the final dot at LMTP to EXISTS at the client: p50, p99, max."""
    error: str = msgspec.field(default="", name="fault")


class Point(msgspec.Struct, frozen=True):
    """Values at one size, one for each repetition."""

    size: int
    values: list[float]


class Curve(msgspec.Struct):
    """Measurements over a growing size."""

    name: str
    sizes: str
    """Unit of the sizes."""
    unit: str
    goal: str
    note: str = ""
    points: list[Point] = []
    error: str = msgspec.field(default="", name="fault")


class Results(msgspec.Struct):
    """Results of a run."""

    date: str
    command: str
    machine: Machine
    rounds: int
    seconds: float
    note: str = ""
    """Remarks about this run."""
    servers: list[Server] = []
    missing: dict[str, str] = {}
    """Servers that are not installed, with the command that installs each."""
    failed: dict[str, str] = {}
    """Servers that did not start or could not be filled, with the error."""
    rows: list[RowResult] = []
    flush: list[FlushRow] = []
    large: list[LargeRow] = []
    idle: list[IdleResult] = []
    scale: list[Curve] = []
    large_idle: list[IdleResult] = msgspec.field(default_factory=list, name="crowds")
    """Idle sessions of imapvm over several workers, up to the limits of the machine."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of `write`.

        Raises:
            msgspec.ValidationError: the file has other content.
        """
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def write(self, path: Path) -> None:
        """Write the file atomically."""
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")
        new.replace(path)


def ratios(row: RowResult, ours: str, theirs: str) -> list[float]:
    """Return ours ÷ theirs for each round that has both."""
    pairs = zip(row.values.get(ours, []), row.values.get(theirs, []), strict=False)
    return [first / second for first, second in pairs if first and second]


def median(values: Sequence[float | None]) -> float | None:
    """Return the median of the values that are not None; None without values."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None
