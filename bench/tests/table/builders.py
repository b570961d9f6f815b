"""Builders of servers, reports and results."""

from bench.peers import Service
from bench.table.results import Machine, Results, RowResult, Server
from bench.table.rounds import MeasuredServer

from imapvm_bench.load.histogram import Histogram
from imapvm_bench.load.plan import LoadSpec
from imapvm_bench.load.probe import Probe
from imapvm_bench.load.report import ErrorCount, LabelStats, LoadReport, Totals
from imapvm_bench.load.run import Outcome

MACHINE = Machine("a processor", 2, 8 * 2**30, "Linux 6.1", "Debian 12", "ext4", "3.11.7")


def service(name: str, *, prefix: str = "", lmtp: bool = True) -> Service:
    return Service(
        name=name,
        version=f"{name} 1.0",
        pid=1,
        imap=("127.0.0.1", 1143),
        imaps=None,
        lmtp=("127.0.0.1", 1024) if lmtp else None,
        fsync="all",
        passwords="argon2id",
        settings="none",
        prefix=prefix,
    )


def server(name: str, *, rounds: int = 9, **more: object) -> MeasuredServer:
    return MeasuredServer(service(name), rounds, **more)


def report(
    commands: int,
    *,
    seconds: float = 1.0,
    latency_us: int = 100,
    size: int = 0,
    errors: dict[str, ErrorCount] | None = None,
    ended: str = "time",
) -> LoadReport:
    totals = Totals(commands, commands, size, 0, len(errors or {}))
    label = LabelStats(commands, 0, size, Histogram.of([(latency_us, commands)]).pairs)
    return LoadReport(seconds, 1, totals, labels={"X": label}, errors=errors or {}, ended=ended)


class LoadTool:
    """Records the loads, and returns scripted results for each server."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.loads: list[LoadSpec] = []

    def __call__(self, load: LoadSpec) -> Outcome:
        self.loads.append(load)
        answer = self.answers[load.target.name.replace("-", "_")]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, list):
            answer = answer.pop(0)
        assert isinstance(answer, LoadReport)
        return Outcome(load, Probe(""), answer)


def results(*rows: RowResult, servers: tuple[str, ...] = ("imapvm", "dovecot")) -> Results:
    return Results(
        "2026-06-01",
        "python -m bench.table",
        MACHINE,
        2,
        3.0,
        servers=[Server(name, f"{name} 1.0", "all", "argon2id", "none") for name in servers],
        rows=list(rows),
    )
