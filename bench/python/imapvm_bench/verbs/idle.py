"""`imapvm-bench idle`: memory of idle sessions, and time from a delivery to EXISTS."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from imapvm_bench.display.idle_page import idle_page
from imapvm_bench.display.idle_table import idle_table
from imapvm_bench.display.live import LINE_SECONDS
from imapvm_bench.display.tables import console
from imapvm_bench.errors import ExitStatus
from imapvm_bench.format import (
    format_latency,
)
from imapvm_bench.idle.measure import OnIdle, measure_idle
from imapvm_bench.idle.report import IdleReport, IdleSpec, histogram_of
from imapvm_bench.verbs import options
from imapvm_bench.verbs.options import Verbs


def add_to(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    verb = verbs.add_parser(
        "idle",
        help="hold thousands of sessions in IDLE: memory per session, time from delivery to EXISTS",
        description="Opens sessions that log in, select INBOX and send IDLE. With --server-pid,"
        " measures the memory of each; with --lmtp, delivers to random users and measures the time"
        " to EXISTS. Starts as many client processes as the limit of descriptors requires.",
    )
    verb.add_argument("server", metavar="HOST[:PORT]")
    verb.add_argument(
        "--connections",
        type=options.integer(1, 1_000_000),
        required=True,
        metavar="N",
        help="number of sessions",
    )
    verb.add_argument(
        "--server-pid",
        type=options.integer(1, 2**31 - 1),
        metavar="PID",
        help="process id of the server on this machine; its descendants are included",
    )
    options.add_lmtp(verb, "deliver here, and measure the time to EXISTS")
    verb.add_argument(
        "--deliveries",
        type=options.integer(0, 10_000_000),
        default=200,
        metavar="N",
        help="default: %(default)s",
    )
    verb.add_argument(
        "--hold",
        type=options.seconds,
        default=0.0,
        metavar="S",
        help="idle time before memory is read (default: none)",
    )
    verb.add_argument(
        "--processes",
        type=options.integer(1, 1000),
        metavar="N",
        help="client processes (default: as many as the limit of descriptors requires)",
    )
    verb.add_argument(
        "--at-once",
        type=options.integer(1, 100_000),
        default=64,
        metavar="N",
        help="concurrent log-ins while sessions are opened (default: %(default)s)",
    )
    verb.add_argument(
        "--answer-seconds",
        type=options.seconds,
        default=30.0,
        metavar="S",
        help="time after which a log-in without an answer has failed (default: %(default)g)",
    )
    verb.add_argument(
        "--seed",
        type=options.integer(0, 2**63 - 1),
        default=1,
        metavar="N",
        help="seed of the choice of recipients (default: %(default)s)",
    )
    options.add_server(verb)
    options.add_output(verb)
    verb.set_defaults(run=run_verb)


def run_verb(arguments: argparse.Namespace) -> ExitStatus:
    """Measure, print the table, and write the reports."""
    options.check_output(arguments)
    load = IdleSpec(
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
        return ExitStatus.INTERRUPTED
    if report.server_stopped:
        return ExitStatus.SERVER_STOPPED
    failed = report.state.failed or report.push.missed or report.ended_early
    return ExitStatus.ERRORS if failed else ExitStatus.OK


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
    if report.push.from_dot:
        p50, p99 = histogram_of(report.push.from_dot).percentiles((50, 99))
        more.append(f"p50 {format_latency(p50)}, p99 {format_latency(p99)}")
    return "  ".join(more)
