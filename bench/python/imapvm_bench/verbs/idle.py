"""`imapvm-bench idle`: sessions that wait, and how soon they hear of new mail."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from imapvm_bench.display.idle_page import idle_page, kibibytes
from imapvm_bench.display.live import LINE_SECONDS
from imapvm_bench.display.tables import console, errors_table
from imapvm_bench.errors import Status
from imapvm_bench.format import (
    format_latency,
    format_size,
    printable,
)
from imapvm_bench.idle.measure import IdleLoad, IdleReport, OnIdle, histogram_of, measure_idle
from imapvm_bench.verbs import options
from imapvm_bench.verbs.options import Verbs


def add_to(verbs: Verbs) -> None:
    """Describe the verb."""
    verb = verbs.add_parser(
        "idle",
        help="hold thousands of sessions in IDLE: memory a session, time from delivery to EXISTS",
        description="Opens sessions that log in, select INBOX and IDLE. With --server-pid, tells"
        " what each costs in memory; with --lmtp, delivers to users chosen at random and tells how"
        " soon their sessions hear of it. As many client processes as descriptors make necessary.",
    )
    verb.add_argument("server", metavar="HOST[:PORT]")
    verb.add_argument(
        "--connections",
        type=options.whole(1, 1_000_000),
        required=True,
        metavar="N",
        help="sessions",
    )
    verb.add_argument(
        "--server-pid",
        type=options.whole(1, 2**31 - 1),
        metavar="PID",
        help="of the server, on this machine; its descendants are counted, too",
    )
    options.add_lmtp(verb, "deliver here, and time how soon sessions are told")
    verb.add_argument(
        "--deliveries",
        type=options.whole(0, 10_000_000),
        default=200,
        metavar="N",
        help="default: %(default)s",
    )
    verb.add_argument(
        "--hold",
        type=options.seconds,
        default=0.0,
        metavar="S",
        help="stay idle so long before memory is read (default: not at all)",
    )
    verb.add_argument(
        "--processes",
        type=options.whole(1, 1000),
        metavar="N",
        help="client processes (default: as many as descriptors make necessary)",
    )
    verb.add_argument(
        "--at-once",
        type=options.whole(1, 100_000),
        default=64,
        metavar="N",
        help="log-ins under way while sessions are opened (default: %(default)s)",
    )
    verb.add_argument(
        "--answer-seconds",
        type=options.seconds,
        default=30.0,
        metavar="S",
        help="a log-in unanswered so long has failed (default: %(default)g)",
    )
    verb.add_argument(
        "--seed",
        type=options.whole(0, 2**63 - 1),
        default=1,
        metavar="N",
        help="of whom deliveries go to (default: %(default)s)",
    )
    options.add_server(verb)
    options.add_output(verb)
    verb.set_defaults(run=run_verb)


def run_verb(arguments: argparse.Namespace) -> Status:
    """Measure, show, write."""
    options.check_output(arguments)
    load = IdleLoad(
        options.target_of(arguments, arguments.server),
        arguments.connections,
        deliveries=arguments.deliveries,
        processes=arguments.processes,
        at_once=arguments.at_once,
        answer_seconds=arguments.answer_seconds,
        hold_seconds=arguments.hold,
        seed=arguments.seed,
    )
    began = datetime.now(UTC)
    screen = console()
    with _progress_display(screen) as handler:
        report = measure_idle(load, on_progress=handler)
    screen.print(idle_table(report))
    options.write_output(arguments, values=report.to_json, page=lambda: idle_page(report, began))
    if report.interrupted:
        return Status.INTERRUPTED
    if report.server_stopped:
        return Status.SERVER_STOPPED
    failed = report.state.failed or report.news.missed or report.ended_early
    return Status.ERRORS if failed else Status.OK


@contextmanager
def _progress_display(screen: Console) -> Iterator[OnIdle]:
    if not screen.is_terminal:
        last_phase, last = "", 0.0

        def write(phase: str, done: int, of: int, report: IdleReport) -> None:
            nonlocal last_phase, last
            now = time.monotonic()
            if phase != last_phase or now - last >= LINE_SECONDS:
                last_phase, last = phase, now
                print(f"{phase}: {done:,} of {of:,}" if of > 1 else phase, file=sys.stderr)

        yield write
        return
    with Progress(
        TextColumn("{task.description:14}"), BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"), TextColumn("{task.fields[more]}"),
        console=screen, transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task("", total=1, more="")

        def draw(phase: str, done: int, of: int, report: IdleReport) -> None:
            bar.update(task, description=phase, completed=done, total=of, more=_more(report))

        yield draw


def _more(report: IdleReport) -> str:
    more = []
    if report.state.failed:
        more.append(f"[red]{report.state.failed:,} failed[/red]")
    if report.news.from_dot:
        p50, p99 = histogram_of(report.news.from_dot).percentiles((50, 99))
        more.append(f"p50 {format_latency(p50)}, p99 {format_latency(p99)}")
    return "  ".join(more)


def idle_table(report: IdleReport) -> RenderableType:
    """Return what was measured, for a terminal."""
    state = report.state
    head = Text()
    head.append(f"{report.idled:,} sessions idle", style="bold green")
    head.append(f" on {report.load.target.name}", style="cyan")
    if report.probe.name:
        head.append(f" ({report.probe.name})", style="cyan")
    head.append(f", opened in {report.opened_seconds:.1f} s", style="dim")
    if state.failed:
        head.append(f"   {state.failed:,} failed", style="bold red")
    parts: list[RenderableType] = [head]
    if report.before is not None:
        parts += [_memory_table(report)]
    if report.news.deliveries:
        parts += [_news_table(report)]
    if state.errors:
        parts += [errors_table(state.errors)]
    if report.ended_early:
        stopped = printable(f"{report.ended_early}. This is what was measured until then.")
        parts += [Text(), Text(stopped, style="bold red")]
    elif report.interrupted:
        parts += [Text(), Text("Interrupted: this is what was measured until then.", "yellow")]
    return Group(*parts)


def _memory_table(report: IdleReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("memory")
    for title in ("PSS", "anonymous", "processes", "PSS a session", "anonymous a session"):
        table.add_column(title, justify="right")
    for name, memory in (
        ("before", report.before),
        ("idle", report.after),
        ("after news", report.after_news),
    ):
        if memory is None:
            continue
        each = report.a_session(memory) if name != "before" else None
        table.add_row(
            name,
            format_size(memory.pss),
            format_size(memory.anonymous),
            f"{memory.processes:,}",
            Text(kibibytes(each[0]), style="bold green") if each else "",
            kibibytes(each[1]) if each else "",
        )
    return table


def _news_table(report: IdleReport) -> Table:
    news = report.news
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column(f"news of {news.deliveries:,} deliveries")
    for title in ("count", "p50", "p99", "max"):
        table.add_column(title, justify="right")
    rows = [("final dot → EXISTS", news.from_dot), ("reply → EXISTS", news.from_reply)]
    if len(news.last_from_dot) < len(news.from_dot):
        rows.append(("final dot → last session told", news.last_from_dot))
    for name, values in rows:
        if values:
            p50, p99 = histogram_of(values).percentiles((50, 99))
            cells = [format_latency(value) for value in (p50, p99, max(values))]
            table.add_row(name, f"{len(values):,}", *cells)
    if news.missed:
        table.add_row(Text("not told", style="red"), Text(f"{news.missed:,}", style="red"))
    return table
