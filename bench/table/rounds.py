"""Measurement of the rows on the servers, interleaved round by round."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.peers import Service
from bench.table.results import RowResult
from bench.table.rows import Setting, TableRow
from bench.table.users import UserGroup, users_in
from imapvm_bench.errors import BenchError
from imapvm_bench.load.plan import LoadSpec
from imapvm_bench.load.report import LoadReport
from imapvm_bench.load.run import Outcome, run
from imapvm_bench.server.target import Address, Target, Tls

FEW: Final = 100
"""Answers per connection. With fewer, the rate is computed from their latencies, since their number
in the measured time is too coarse."""

WARMUP_SECONDS: Final = 1.0


@dataclass(slots=True)
class MeasuredServer:
    """Running server, with the rows that it is measured in."""

    service: Service
    rounds: int
    """Number of rounds; it is left out of later ones."""
    only: frozenset[str] | None = None
    """Names of its rows; None for all."""
    unfit: dict[str, str] = field(default_factory=dict)
    """Rows that it cannot run, by name, with the reason."""

    def target(self, users: UserGroup, *, tls: Tls = "none") -> Target:
        return target_of(self.service, users, tls=tls)


def target_of(service: Service, users: UserGroup, *, tls: Tls = "none") -> Target:
    """Return the target of a service, with a group of users."""
    at = service.imaps if tls == "tls" else service.imap
    assert at is not None, "the server has no TLS"
    return Target(
        service.name,
        Address(*at),
        users_in(users),
        tls=tls,
        lmtp=Address(*service.lmtp) if service.lmtp else None,
        pid=service.pid,
    )


@dataclass(frozen=True, slots=True)
class RowRun:
    """Result of one run of a row."""

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
    on_run: Callable[[RowRun], None] = lambda _: None,
    load_tool: Callable[[LoadSpec], Outcome] = run,
) -> None:
    """Run every row on every server, `rounds` times; fill `results`, one for each row.

    In each round every row runs on all servers before the next row starts, and every second round
    takes the servers in reverse order: other load on the machine affects all servers, and a ratio
    is taken between adjacent runs. A run that fails adds an error to its row, and the others go on.
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
                on_run(RowRun(turn, row, name, value, errors[0] if errors else ""))


def _one(
    server: MeasuredServer,
    row: TableRow,
    turn: int,
    seconds: float,
    load_tool: Callable[[LoadSpec], Outcome],
) -> tuple[float | None, list[str]]:
    if row.name in server.unfit:
        return None, [server.unfit[row.name]]
    load = LoadSpec(
        server.target(row.users),
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


def value_of(report: LoadReport, row: TableRow) -> float | None:
    """Return the value of a row from a report; None if nothing was answered."""
    if not report.totals.entries:
        return None
    if row.unit == "MB/s":
        size = report.bytes_in_per_second / report.commands_per_second
        return size * _commands_a_second(report, row) / 1e6
    if row.unit == "commands/s":
        return _commands_a_second(report, row)
    return report.entries_per_second


def _commands_a_second(report: LoadReport, row: TableRow) -> float:
    latency = report.latency
    if report.totals.commands >= FEW * row.connections or not latency.mean:
        return report.commands_per_second
    return row.connections * 1e6 / latency.mean


def _errors(report: LoadReport) -> Iterator[str]:
    for kind, error in report.errors.items():
        yield f"{kind}: {error.example}" if error.example else kind
    if report.ended not in {"time", "limit"}:
        yield report.ended
    elif not report.totals.entries:
        yield f"no answer in {report.seconds:g} s"
