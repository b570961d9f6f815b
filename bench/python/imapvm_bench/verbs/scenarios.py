"""`imapvm-bench scenarios`: what there is to run."""

import argparse

from rich.table import Table
from rich.text import Text

from imapvm_bench.display.tables import console
from imapvm_bench.errors import Status
from imapvm_bench.scenario import file as scenario_file
from imapvm_bench.verbs.options import Verbs


def add_to(verbs: Verbs) -> None:
    """Describe the verb."""
    verb = verbs.add_parser(
        "scenarios",
        help="list the scenarios, or show one as a starting point for your own",
        description="Lists the scenarios that come with the tool; --show prints the file of one,"
        " as a starting point for your own.",
    )
    what = verb.add_mutually_exclusive_group()
    what.add_argument("--show", metavar="NAME", help="print the file of this one")
    what.add_argument("--check", metavar="FILE", help="say whether a file of yours is right")
    verb.set_defaults(run=run_verb)


def run_verb(arguments: argparse.Namespace) -> Status:
    """Show, check, or list."""
    if arguments.show:
        print(scenario_file.shown(arguments.show), end="")
    elif arguments.check:
        scenario = scenario_file.load(arguments.check)
        print(f"{arguments.check} is right: {scenario.about}")
    else:
        table = Table.grid(padding=(0, 2))
        for name in scenario_file.names():
            scenario = scenario_file.load(name)
            table.add_row(Text(name, style="bold"), Text(scenario.about))
        console().print(table)
    return Status.OK
