"""`imapvm-bench scenarios`: list, show and check scenarios."""

import argparse

from rich.table import Table
from rich.text import Text

from imapvm_bench.display.tables import console
from imapvm_bench.errors import ExitStatus
from imapvm_bench.scenario import file as scenario_file
from imapvm_bench.verbs.options import Verbs


def add_to(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    verb = verbs.add_parser(
        "scenarios",
        help="list the scenarios, show one, or check a file",
        description="Lists the built-in scenarios; --show prints the file of one, as a start for"
        " your own.",
    )
    what = verb.add_mutually_exclusive_group()
    what.add_argument("--show", metavar="NAME", help="print the file of a scenario")
    what.add_argument("--check", metavar="FILE", help="check a scenario file")
    verb.set_defaults(run=run_verb)


def run_verb(arguments: argparse.Namespace) -> ExitStatus:
    """List, show, or check."""
    if arguments.show:
        print(scenario_file.text_of(arguments.show), end="")
    elif arguments.check:
        scenario = scenario_file.load(arguments.check)
        print(f"{arguments.check}: ok: {scenario.about}")
    else:
        table = Table.grid(padding=(0, 2))
        for name in scenario_file.names():
            scenario = scenario_file.load(name)
            table.add_row(Text(name, style="bold"), Text(scenario.about))
        console().print(table)
    return ExitStatus.OK
