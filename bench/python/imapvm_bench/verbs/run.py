"""`imapvm-bench run`: one scenario on one server."""

import argparse
from datetime import UTC, datetime
from typing import Any

import msgspec

from imapvm_bench.display.live import progress_display
from imapvm_bench.display.run_page import run_page
from imapvm_bench.display.tables import console, run_table
from imapvm_bench.errors import BenchError, ExitStatus
from imapvm_bench.load.plan import LoadSpec
from imapvm_bench.load.run import Outcome, run
from imapvm_bench.scenario import file as scenario_file
from imapvm_bench.verbs import options
from imapvm_bench.verbs.options import Verbs


def add_to(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    verb = verbs.add_parser(
        "run",
        help="run a scenario",
        description="Runs a scenario on a server and prints throughput and latencies. Without"
        " --rate every connection sends its next command when the last one is answered (closed"
        " loop). With --rate entries start at their due time, and latency counts from then (open"
        " loop).",
    )
    verb.add_argument("server", metavar="HOST[:PORT]")
    verb.add_argument(
        "--scenario",
        required=True,
        metavar="NAME|FILE",
        help="a name of `imapvm-bench scenarios`, or a TOML file",
    )
    verb.add_argument(
        "--connections",
        type=options.integer(1, 1_000_000),
        metavar="N",
        help="default: that of the scenario",
    )
    verb.add_argument(
        "--duration",
        type=options.seconds,
        default=10.0,
        metavar="S",
        help="measured time (default: %(default)g seconds; 2m is possible)",
    )
    verb.add_argument(
        "--warmup",
        type=options.seconds,
        default=1.0,
        metavar="S",
        help="time before the measured time (default: %(default)g)",
    )
    verb.add_argument(
        "--rate",
        type=options.rate,
        metavar="R",
        help="open loop: entries of the mix a second, over all connections",
    )
    verb.add_argument(
        "--poisson",
        action="store_true",
        help="with --rate: at random, as independent users, and not evenly",
    )
    verb.add_argument(
        "--pipeline",
        type=options.integer(1, 1000),
        metavar="N",
        help="commands in flight on a connection (default: that of the scenario)",
    )
    verb.add_argument(
        "--limit",
        type=options.integer(1, 10**12),
        metavar="N",
        help="stop after this many entries of the mix",
    )
    verb.add_argument(
        "--seed",
        type=options.integer(0, 2**63 - 1),
        default=1,
        metavar="N",
        help="seed of random choices (default: %(default)s)",
    )
    options.add_threads(verb)
    options.add_lmtp(verb, "LMTP address, for scenarios that deliver")
    options.add_server(verb)
    options.add_output(verb)
    verb.set_defaults(run=run_verb)


def run_verb(arguments: argparse.Namespace) -> ExitStatus:
    """Run, print the table, and write the reports."""
    options.check_output(arguments)
    scenario = scenario_file.load(arguments.scenario)
    if arguments.pipeline and arguments.pipeline > 1:
        holds = any(command.answer == "idle" for command in scenario.commands())
        if holds or scenario.reconnect:
            raise BenchError(
                f"--pipeline: cannot pipeline {scenario.name}:"
                f" {'it uses IDLE' if holds else 'every entry is a connection'}",
                ExitStatus.USAGE,
            )
    target = options.target_of(arguments, arguments.server)
    load = LoadSpec(
        target,
        scenario,
        connections=arguments.connections,
        seconds=arguments.duration,
        warmup=arguments.warmup,
        rate=arguments.rate,
        poisson=arguments.poisson,
        threads=arguments.threads,
        limit=arguments.limit,
        pipeline=arguments.pipeline,
        answer_seconds=arguments.answer_seconds,
        connects_at_once=arguments.at_once,
        seed=arguments.seed,
    )
    began = datetime.now(UTC)
    screen = console()
    with progress_display(load, screen) as handler:
        outcome = run(load, on_snapshot=handler)
    screen.print(run_table(outcome))
    options.write_output(
        arguments,
        values=lambda: values_of(outcome, began),
        page=lambda: run_page(outcome, began),
    )
    return status_of(outcome)


def status_of(outcome: Outcome) -> ExitStatus:
    """Return the exit status."""
    if outcome.interrupted:
        return ExitStatus.INTERRUPTED
    if outcome.report.server_stopped:
        return ExitStatus.SERVER_STOPPED
    if outcome.report.never_began:
        return ExitStatus.NOT_STARTED
    return ExitStatus.ERRORS if outcome.report.failures else ExitStatus.OK


def values_of(outcome: Outcome, began: datetime) -> dict[str, Any]:
    """Return report, server and parameters for JSON."""
    load = outcome.load
    return {
        "began": began.isoformat(timespec="seconds"),
        "server": {
            "address": str(load.target.imap),
            "name": outcome.probe.name,
            "greeting": outcome.probe.greeting,
            "capabilities": sorted(outcome.probe.capabilities),
        },
        "scenario": load.scenario.name,
        "connections": load.connections_wanted,
        "rate": load.rate,
        "pipeline": load.pipeline or load.scenario.pipeline,
        "tls": load.target.tls,
        "users": len(load.target.users),
        "interrupted": outcome.interrupted,
        "per_second": {
            "commands": outcome.report.commands_per_second,
            "entries": outcome.report.entries_per_second,
            "bytes_in": outcome.report.bytes_in_per_second,
        },
        "percentiles_us": {
            label: dict(
                zip(
                    ("p50", "p90", "p99", "p99.9"),
                    measured.latency.percentiles((50, 90, 99, 99.9)),
                    strict=True,
                ),
                max=measured.latency.max,
            )
            for label, measured in outcome.report.labels.items()
        },
        "report": msgspec.to_builtins(outcome.report),
    }
