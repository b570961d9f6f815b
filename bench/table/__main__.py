"""Measure imapvm and other servers in one run, and write bench/RESULTS.md: `make compare`.

python -m bench.table                                   everything: one to two hours
python -m bench.table --out var/try --rounds 1 --seconds 1 --only noop --parts rows
python -m bench.table --page bench/results/DATE.json    write the page again, from its JSON
"""

import argparse
import datetime
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.disk import FixedLatency, NoCompilerError, fixed_latency
from bench.peers import PEERS, Peer, PeerFailedError, peer
from bench.peers.scratch import scratch
from bench.table.flush import FLUSH_MS, FLUSH_SERVERS, WRITING, flush_rows, measure_flush
from bench.table.idle import IdleRow, measure_idling
from bench.table.large import LARGE_SERVERS, LargePart
from bench.table.machine import this_machine
from bench.table.mailboxes import fill_mailboxes
from bench.table.page import page
from bench.table.results import LargeRow, Results, RowResult, Server
from bench.table.rounds import MeasuredServer, RowRun, measure
from bench.table.rows import ROWS, TableRow
from bench.table.scale import SHORT, Sizes, measure_scale
from bench.table.users import PASSWORD, fresh_names, light, users_in
from imapvm_bench.errors import BenchError
from imapvm_bench.load.descriptors import raise_limit

PARTS: Final = ("rows", "flush", "large", "idle", "scale")
SERVERS: Final = (
    "imapvm", "imapvm-1", "imapvm-2", "dovecot", "dovecot-always", "cyrus", "courier", "pymap",
)  # fmt: skip
IDLING: Final = ("imapvm", "imapvm-2", "dovecot", "dovecot-hibernate", "cyrus", "courier")
ALL_ROUNDS: Final = ("imapvm", "dovecot")
"""Prefixes of servers that run in every round; the others run in two."""


def main() -> int:
    """Run the command line; return the exit code."""
    chosen = _options().parse_args()
    raise_limit()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the servers, too
    if chosen.page:
        results = Results.read(chosen.page)
        results.note = chosen.note or results.note
        _write(results, chosen.page.parent.parent, json=bool(chosen.note))
        return 0
    run = Run(chosen)
    try:
        run.all()
    except KeyboardInterrupt:
        print("\nended early; results until then are kept", file=sys.stderr)
    run.write()
    return 0


def _latencies(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m bench.table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--rounds", type=int, default=5, metavar="N", help="default: %(default)s")
    options.add_argument(
        "--others-rounds",
        type=int,
        default=2,
        metavar="N",
        help="rounds with Cyrus, Courier and pymap (default: %(default)s)",
    )
    options.add_argument(
        "--seconds",
        type=float,
        default=3.0,
        metavar="S",
        help="measured time of a run (default: %(default)g)",
    )
    options.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="ROW",
        help="rows whose name contains this; may be repeated",
    )
    options.add_argument(
        "--peers",
        metavar="NAME,…",
        default=",".join(SERVERS),
        type=str,
        help="servers for the rows (default: %(default)s)",
    )
    options.add_argument(
        "--idle-peers",
        metavar="NAME,…",
        default=",".join(IDLING),
        help="servers for idle sessions (default: %(default)s)",
    )
    options.add_argument(
        "--parts",
        default=",".join(PARTS),
        metavar="PART,…",
        help="of %(default)s; the others are kept from the existing JSON",
    )
    options.add_argument(
        "--flush-ms",
        type=_latencies,
        default=FLUSH_MS,
        metavar="MS,…",
        help="times of a flush, for the part `flush` (default: 0.2,1,5)",
    )
    options.add_argument(
        "--flush-queue",
        action="store_true",
        help="one flush at a time, and waiting calls share the next (default: flushes overlap)",
    )
    options.add_argument(
        "--flush-peers",
        metavar="NAME,…",
        default=",".join(FLUSH_SERVERS),
        help="servers for the part `flush` (default: %(default)s)",
    )
    options.add_argument(
        "--large-messages",
        type=int,
        default=100_000,
        metavar="N",
        help="messages in the mailbox of the part `large` (default: %(default)s)",
    )
    options.add_argument(
        "--large-peers",
        metavar="NAME,…",
        default=",".join(LARGE_SERVERS),
        help="servers for the part `large` (default: %(default)s)",
    )
    options.add_argument(
        "--compressed-sessions",
        type=int,
        default=200,
        metavar="N",
        help="sessions with COMPRESS in the part `large` (default: %(default)s)",
    )
    options.add_argument(
        "--sessions",
        type=int,
        default=5000,
        metavar="N",
        help="idle sessions on imapvm (default: %(default)s)",
    )
    options.add_argument(
        "--others-sessions",
        type=int,
        default=100,
        metavar="N",
        help="idle sessions on the others (default: %(default)s: one process each, and a user has"
        " 128 inotify instances; without one Dovecot polls every 30 seconds)",
    )
    options.add_argument(
        "--deliveries",
        type=int,
        default=200,
        metavar="N",
        help="deliveries to idle sessions on imapvm (default: %(default)s)",
    )
    options.add_argument(
        "--others-deliveries",
        type=int,
        default=20,
        metavar="N",
        help="the same on the others, which are slower (default: %(default)s)",
    )
    options.add_argument(
        "--scale-messages",
        type=_numbers,
        default=Sizes().filepool,
        metavar="N,…",
        help="sizes of the filepool (default: up to 10,000,000, which needs 40 GB of disk)",
    )
    options.add_argument(
        "--scale-sessions",
        type=int,
        default=Sizes().sessions,
        metavar="N",
        help="idle sessions over several workers (default: %(default)s)",
    )
    options.add_argument("--short", action="store_true", help="scale: small sizes, as a trial")
    options.add_argument("--dir", type=Path, help="directory for the mail of the servers")
    options.add_argument(
        "--out",
        type=Path,
        default=Path("bench"),
        metavar="DIR",
        help="directory for RESULTS.md and results/DATE.json (default: %(default)s)",
    )
    options.add_argument("--note", default="", metavar="TEXT", help="note above the tables")
    options.add_argument(
        "--page",
        type=Path,
        metavar="JSON",
        help="write the page from this file, and measure nothing",
    )
    return options  # fmt: skip


@dataclass
class Run:
    """One run of the selected parts."""

    chosen: argparse.Namespace

    def __post_init__(self) -> None:
        chosen = self.chosen
        self.parts = self._names(chosen.parts, PARTS)
        self.rows = [row for row in ROWS if _wanted(row, chosen.only)]
        self.flush_rows = [row for row in flush_rows() if _wanted(row, chosen.only)]
        if not self.rows:
            raise SystemExit(f"--only: no such row: use {', '.join(r.slug for r in ROWS)}")
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        self.path = chosen.out / "results" / f"{date}.json"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        command = " ".join(("python -m bench.table", *sys.argv[1:]))
        machine = this_machine(chosen.dir or Path("/tmp"))
        self.results = Results(date, command, machine, chosen.rounds, chosen.seconds)
        if set(self.parts) != set(PARTS) and self.path.exists():
            before = Results.read(self.path)
            self.results = before
            before.machine, before.command = machine, f"{before.command}; {command}"

    def _names(self, text: str, known: Sequence[str]) -> list[str]:
        names = [name for name in text.split(",") if name]
        for name in names:
            if name not in known:
                raise SystemExit(f"unknown part {name!r}: use {', '.join(known)}")
        return names

    def write(self) -> None:
        """Write results and page."""
        _write(self.results, self.chosen.out)

    def all(self) -> None:
        """Measure the selected parts, and write results and page."""
        if "rows" in self.parts:
            self._measure_rows()
        if "flush" in self.parts:
            self._measure_flush()
        if "large" in self.parts:
            self._measure_large()
        if "idle" in self.parts:
            self._measure_idle()
        if "scale" in self.parts:
            sizes = (
                SHORT
                if self.chosen.short
                else Sizes(self.chosen.scale_sessions, filepool=self.chosen.scale_messages)
            )
            measure_scale(self.results, sizes=sizes, base=self.chosen.dir, print_line=_print)
        self.write()

    def _measure_rows(self) -> None:
        chosen, results = self.chosen, self.results
        results.rounds, results.seconds = chosen.rounds, chosen.seconds
        results.note = chosen.note
        results.rows = [
            RowResult(row.name, row.unit, row.connections, dict(row.goals)) for row in self.rows
        ]
        results.servers.clear()
        with scratch(chosen.dir and chosen.dir / "rows") as base, ExitStack() as stack:
            servers = [
                server
                for each in self._here(chosen.peers.split(","))
                if (server := self._start(each, self.rows, base, stack)) is not None
            ]

            def on_run(step: RowRun) -> None:
                shown = "failed" if step.value is None else f"{step.value:,.1f}"
                error = f"  {step.error[:100]}" if step.error else ""
                _print(f"  {step.round + 1} {step.row.name:40} {step.server:15} {shown:>12}{error}")

            measure(
                servers,
                self.rows,
                results.rows,
                rounds=chosen.rounds,
                seconds=chosen.seconds,
                on_run=on_run,
            )
        self.write()

    def _measure_flush(self) -> None:
        chosen = self.chosen
        with scratch(chosen.dir and chosen.dir / "flush") as base, ExitStack() as stack:
            servers: list[MeasuredServer] = []
            disks: dict[str, FixedLatency] = {}
            for each in self._here(chosen.flush_peers.split(",")):
                disk = self._disk(each, base, stack)
                server = disk and self._start(each, self.flush_rows, base, stack, disk=disk)
                if disk and server:
                    servers.append(server)
                    disks[each.name] = disk

            def on_run(latency: float, step: RowRun, syncs: float | None) -> None:
                shown = "failed" if step.value is None else f"{step.value:,.1f}"
                count = "" if syncs is None else f"{syncs:5.2f} syncs"
                name = f"{step.row.name}, {latency:g} ms"
                _print(f"  {step.round + 1} {name:48} {step.server:15} {shown:>12} {count}")

            self.results.flush = measure_flush(
                servers,
                disks,
                self.flush_rows,
                chosen.flush_ms,
                rounds=chosen.rounds,
                seconds=chosen.seconds,
                on_run=on_run,
            )
        self.write()

    def _disk(self, each: Peer, base: Path, stack: ExitStack) -> FixedLatency | None:
        """Return a disk for a server; return None, and record the error, where that fails."""
        try:
            disk = stack.enter_context(fixed_latency(base / f"{each.name}-disk"))
        except NoCompilerError as error:
            self.results.failed[each.name] = str(error)
            _print(f"  {error}")
            return None
        disk.queued = self.chosen.flush_queue
        return disk

    def _start(
        self,
        each: Peer,
        rows: Sequence[TableRow],
        base: Path,
        stack: ExitStack,
        *,
        disk: FixedLatency | None = None,
    ) -> MeasuredServer | None:
        """Start and fill a server for some rows; return None, and record the error, if it fails."""
        names = {user.name: user.password for users in ("readers", "posts", "known")
                 for user in users_in(users)}  # fmt: skip
        if any(row.needs_fresh_users for row in rows):
            rounds = self._rounds(each.name)
            names |= dict.fromkeys(fresh_names(rounds, self.chosen.seconds + 2), PASSWORD)
        _print(f"starting and filling {each.name} …")
        try:
            service = stack.enter_context(
                each.running(base / each.name, names, light=light, disk=disk)
            )
            only = None
            if each.name == "dovecot-always":
                only = frozenset(row.name for row in rows if row.name.startswith(WRITING))
            server = MeasuredServer(service, self._rounds(each.name), only)
            fill_mailboxes(
                server,
                readers=max([row.connections for row in rows if row.users == "readers"] or [1]),
                big=any(row.heavy for row in rows),
                large=any("25 MB" in row.name for row in rows),
            )
        except (PeerFailedError, BenchError) as error:
            self.results.failed[each.name] = str(error)
            _print(f"  {error}")
            return None
        self.results.failed.pop(each.name, None)
        if each.name not in {known.name for known in self.results.servers}:
            self.results.servers.append(
                Server(
                    each.name, service.version, service.fsync, service.passwords, service.settings
                )
            )
        for reason in dict.fromkeys(server.unfit.values()):
            _print(f"  {reason}")
        return server

    def _rounds(self, name: str) -> int:
        if name.startswith(ALL_ROUNDS):
            return int(self.chosen.rounds)
        return int(min(self.chosen.rounds, self.chosen.others_rounds))

    def _measure_large(self) -> None:
        chosen, found = self.chosen, dict[str, LargeRow]()
        for each in self._here(chosen.large_peers.split(",")):
            _print(f"large mailbox on {each.name} …")
            with scratch(chosen.dir and chosen.dir / "large") as base:
                part = LargePart(
                    each,
                    base / each.name,
                    chosen.large_messages,
                    chosen.compressed_sessions,
                    chosen.sessions,
                )
                try:
                    for row in part.rows():
                        known = found.setdefault(row.name, row)
                        known.values |= row.values
                        known.errors |= row.errors
                        shown = ", ".join(
                            f"{value:,.1f}" for value in row.values.get(each.name, [])
                        )
                        _print(f"  {row.name:60} {each.name:18} {shown} {row.unit}")
                except (PeerFailedError, BenchError) as error:
                    self.results.failed[each.name] = str(error)
                    _print(f"  {error}")
            self.results.large = list(found.values())
            self.write()

    def _measure_idle(self) -> None:
        chosen, results = self.chosen, self.results
        results.idle.clear()
        for each in self._here(chosen.idle_peers.split(",")):
            ours = each.name.startswith("imapvm")
            sessions = chosen.sessions if ours else chosen.others_sessions
            deliveries = chosen.deliveries if ours else chosen.others_deliveries
            for tls in (False, True):
                row = IdleRow(each, sessions, tls, deliveries)
                _print(f"{sessions:,} idle sessions on {each.name}{' with TLS' if tls else ''} …")
                with scratch() as base:
                    result = measure_idling(row, base / each.name)
                results.idle.append(result)
                cost = f"{result.anonymous / 1024:.1f} KiB" if result.anonymous else "no value"
                _print(f"  {cost} {result.push_ms} {result.error[:100]}")
                self.write()

    def _here(self, names: Sequence[str]) -> Iterator[Peer]:
        for name in names:
            try:
                each = peer(name)
            except KeyError:
                raise SystemExit(f"unknown server {name!r}: use {', '.join(PEERS)}") from None
            command = each.missing()
            if command is None:
                self.results.missing.pop(name, None)
                yield each
            else:
                self.results.missing[name] = command
                _print(f"{name} is not installed and left out: {command}")


def _wanted(row: TableRow, only: Sequence[str]) -> bool:
    return not only or any(part.lower() in row.name.lower() or part in row.slug for part in only)


def _write(results: Results, out: Path, *, json: bool = True) -> None:
    if json:
        results.write(out / "results" / f"{results.date}.json")
    (out / "RESULTS.md").write_text(page(results))


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
