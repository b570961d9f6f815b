"""Runs the rows on the servers: interleaved, round by round."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.peers import Service
from bench.table.results import RowResult
from bench.table.rows import Setting, TableRow
from bench.table.users import UserGroup, users_in
from imapvm_bench.errors import BenchError
from imapvm_bench.load.plan import Load
from imapvm_bench.load.report import Report
from imapvm_bench.load.run import Outcome, run
from imapvm_bench.server.target import Address, Target, Tls

FEW: Final = 100
"""Answers. Where a run has fewer, how many fell into the measured time says less than how long
they took: a rate is taken from their latencies then."""

WARMUP_SECONDS: Final = 1.0


@dataclass(slots=True)
class MeasuredServer:
    """A server that runs, and which rows it takes part in."""

    service: Service
    rounds: int
    """It sits out the later ones."""
    only: frozenset[str] | None = None
    """Names of the rows that it takes part in; None for all."""
    unfit: dict[str, str] = field(default_factory=dict)
    """Rows that it cannot be asked, by name, with the reason."""

    def target(self, who: UserGroup, *, tls: Tls = "none") -> Target:
        return target_of(self.service, who, tls=tls)


def target_of(service: Service, who: UserGroup, *, tls: Tls = "none") -> Target:
    """The service as the load tool knows it, with a users_in of users."""
    at = service.imaps if tls == "tls" else service.imap
    assert at is not None, "asked for TLS of a server that has none"
    return Target(
        service.name,
        Address(*at),
        users_in(who),
        tls=tls,
        lmtp=Address(*service.lmtp) if service.lmtp else None,
        pid=service.pid,
    )


@dataclass(frozen=True, slots=True)
class RowRun:
    """One run that has ended."""

    round: int
    row: TableRow
    server: str
    value: float | None
    error: str


def measure(
    servers: Sequence[MeasuredServer],
    rows: Sequence[TableRow],
    results: Sequence[RowResult],
    *,
    rounds: int,
    seconds: float,
    on_step: Callable[[RowRun], None] = lambda _: None,
    load_tool: Callable[[Load], Outcome] = run,
) -> None:
    """Run every row on every server, `rounds` times; fills `results`, a line for each row.

    In every round each row runs on each server before the next row begins, and every other round
    takes the servers in the opposite order: what the machine does besides meets all of them, and a
    ratio is taken between runs that stood next to each other. A run that fails is a error of its
    row, and the others go on.
    """
    for turn in range(rounds):
        for row, result in zip(rows, results, strict=True):
            for server in servers if turn % 2 == 0 else reversed(servers):
                if turn >= server.rounds or (server.only and row.name not in server.only):
                    continue
                value, errors = _one(server, row, turn, seconds, load_tool)
                name = server.service.name
                values = result.values.setdefault(name, [])
                values += [None] * (turn - len(values)) + [value]
                known = result.errors.setdefault(name, [])
                known += [error for error in errors if error not in known]
                if not known:
                    del result.errors[name]
                on_step(RowRun(turn, row, name, value, errors[0] if errors else ""))


def _one(
    server: MeasuredServer,
    row: TableRow,
    turn: int,
    seconds: float,
    load_tool: Callable[[Load], Outcome],
) -> tuple[float | None, list[str]]:
    if row.name in server.unfit:
        return None, [server.unfit[row.name]]
    load = Load(
        server.target(row.who),
        row.scenario(Setting(server.service.prefix, turn)),
        connections=row.connections,
        seconds=seconds,
        warmup=WARMUP_SECONDS,
    )
    try:
        outcome = load_tool(load)
    except BenchError as error:
        return None, [str(error)]
    if outcome.interrupted:
        raise KeyboardInterrupt
    return value_of(outcome.report, row), list(_errors(outcome.report))


def value_of(report: Report, row: TableRow) -> float | None:
    """The row's number out of a report; None if nothing was answered."""
    if not report.totals.entries:
        return None
    if row.unit == "MB/s":
        octets = report.bytes_in_per_second / report.commands_per_second
        return octets * _commands_a_second(report, row) / 1e6
    if row.unit == "commands/s":
        return _commands_a_second(report, row)
    return report.entries_per_second


def _commands_a_second(report: Report, row: TableRow) -> float:
    latency = report.latency
    if report.totals.commands >= FEW * row.connections or not latency.mean:
        return report.commands_per_second
    return row.connections * 1e6 / latency.mean


def _errors(report: Report) -> Iterator[str]:
    for kind, error in report.errors.items():
        yield f"{kind}: {error.example}" if error.example else kind
    if report.ended not in {"time", "limit"}:
        yield report.ended
    elif not report.totals.entries:
        yield f"nothing was answered in {report.seconds:g} s"
