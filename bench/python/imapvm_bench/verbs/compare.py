"""`imapvm-bench compare`: the same scenarios on several servers."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from imapvm_bench.display.compare_page import compare_page
from imapvm_bench.display.tables import compare_table, console, value
from imapvm_bench.errors import BenchError, ExitStatus
from imapvm_bench.format import (
    format_latency,
    format_rate,
)
from imapvm_bench.load.compare import Comparison, ComparisonRow, ComparisonStep, compare
from imapvm_bench.scenario import file as scenario_file
from imapvm_bench.scenario.model import METRICS
from imapvm_bench.server.target import Target, parse_named
from imapvm_bench.verbs import options
from imapvm_bench.verbs.options import Verbs

DEFAULT_SCENARIOS = "noop,webmail,bulk-fetch,search,append,login-storm"


def add_to(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    verb = verbs.add_parser(
        "compare",
        help="run the same scenarios on several servers, interleaved",
        description="Runs the same scenarios on several servers in turn, in several rounds, and"
        " prints medians, spread, and the ratio of the first server to each other one. All servers"
        " need the same users, and should have the same mail: see `fill`.",
    )
    verb.add_argument(
        "servers",
        nargs="+",
        metavar="NAME=HOST:PORT[,lmtp=HOST:PORT]",
        help="two or more servers",
    )
    verb.add_argument(
        "--scenarios", default=DEFAULT_SCENARIOS, metavar="NAME|FILE,…", help="default: %(default)s"
    )
    verb.add_argument(
        "--rounds",
        type=options.integer(1, 1000),
        default=3,
        metavar="N",
        help="default: %(default)s",
    )
    verb.add_argument(
        "--duration",
        type=options.seconds,
        default=5.0,
        metavar="S",
        help="measured time of each run (default: %(default)g seconds)",
    )
    verb.add_argument(
        "--warmup",
        type=options.seconds,
        default=0.5,
        metavar="S",
        help="time before the measured time (default: %(default)g)",
    )
    verb.add_argument(
        "--connections",
        type=_connections,
        metavar="N,N,…",
        help="one row for each number (default: that of the scenario)",
    )
    verb.add_argument(
        "--rate",
        type=options.rate,
        metavar="R",
        help="open loop: entries of the mix a second; compares p99 latency",
    )
    verb.add_argument(
        "--measure",
        choices=METRICS,
        metavar="WHAT",
        help=f"metric: {', '.join(METRICS)} (default: that of the scenario)",
    )
    options.add_threads(verb)
    options.add_server(verb)
    options.add_output(verb)
    verb.set_defaults(run=run_verb)


def run_verb(arguments: argparse.Namespace) -> ExitStatus:
    """Compare, print the table, and write the reports."""
    options.check_output(arguments)
    targets = [_target(arguments, text) for text in arguments.servers]
    if len(targets) < 2:
        raise BenchError("compare needs two or more servers; use `run` for one", ExitStatus.USAGE)
    if len({target.name for target in targets}) < len(targets):
        raise BenchError("duplicate server name: use NAME=HOST:PORT", ExitStatus.USAGE)
    rows = list(_rows(arguments))
    for row in rows:
        for target in targets:
            if row.scenario.protocol == "lmtp" and target.lmtp is None:
                raise BenchError(
                    f"the scenario {row.scenario.name!r} needs an LMTP address: use"
                    f" {target.name}={target.imap},lmtp=HOST:PORT",
                    ExitStatus.USAGE,
                )
    began = datetime.now(UTC)
    screen = console()
    with _progress_display(screen) as handler:
        comparison = compare(
            targets,
            rows,
            rounds=arguments.rounds,
            seconds=arguments.duration,
            warmup=arguments.warmup,
            on_step=handler,
        )
    screen.print(compare_table(comparison))
    options.write_output(
        arguments,
        values=lambda: {"began": began.isoformat(timespec="seconds"), **comparison.to_json()},
        page=lambda: compare_page(comparison, began),
    )
    return status_of(comparison)


def status_of(comparison: Comparison) -> ExitStatus:
    """Return the exit status."""
    if comparison.interrupted:
        return ExitStatus.INTERRUPTED
    return ExitStatus.ERRORS if comparison.errors else ExitStatus.OK


def _target(arguments: argparse.Namespace, text: str) -> Target:
    server, *more = text.split(",")
    name, address = parse_named(server)
    target = options.target_of(arguments, address, name)
    for option in more:
        key, _, value = option.partition("=")
        if key != "lmtp" or not value:
            raise BenchError(f"{text!r}: expected lmtp=HOST:PORT after the comma", ExitStatus.USAGE)
        target = replace(target, lmtp=options.lmtp_of(value))
    return target


def _rows(arguments: argparse.Namespace) -> Iterator[ComparisonRow]:
    taken: set[str] = set()
    for text in arguments.scenarios.split(","):
        scenario = scenario_file.load(text)
        for connections in arguments.connections or (scenario.connections,):
            name = f"{scenario.name}, {connections}"
            if name in taken:
                raise BenchError(
                    f"--scenarios: duplicate scenario {scenario.name}", ExitStatus.USAGE
                )
            taken.add(name)
            yield ComparisonRow(
                name,
                scenario,
                connections=connections,
                metric=arguments.measure,
                rate=arguments.rate,
                threads=arguments.threads,
            )


def _connections(text: str) -> tuple[int, ...]:
    read = options.integer(1, 1_000_000)
    return tuple(dict.fromkeys(read(one) for one in text.split(",")))


@contextmanager
def _progress_display(screen: Console) -> Iterator[Callable[[ComparisonStep], None]]:
    if not screen.is_terminal:

        def write(step: ComparisonStep) -> None:
            if step.done:
                unit = step.row.unit
                shown = "failed" if step.value is None else f"{value(step.value, unit)} {unit}"
                print(
                    f"{step.number}/{step.steps} round {step.round}: {step.row.name} on"
                    f" {step.target.name}: {shown}",
                    file=sys.stderr,
                )

        yield write
        return
    with Progress(
        TextColumn("round {task.fields[round]}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[what]}"), console=screen, transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task("", round=1, what="")

        def draw(step: ComparisonStep) -> None:
            what = (
                f"[bold]{escape(step.row.name)}[/bold] on [cyan]{escape(step.target.name)}[/cyan]"
            )
            if step.snapshot is not None:
                recent = step.snapshot.recent
                what += (
                    f"  {format_rate(recent.commands_per_second)}/s"
                    f"  p99 {format_latency(recent.p99_us)}"
                )
            done = step.number if step.done else step.number - 1
            bar.update(task, completed=done, total=step.steps, round=step.round, what=what)

        yield draw
