"""Command line of `imapvm-bench`."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from imapvm_bench.errors import BenchError, ExitStatus
from imapvm_bench.verbs import compare, fill, idle, run, scenarios

VERBS = (run, idle, fill, compare, scenarios)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status (`errors.Status`)."""
    arguments = parser().parse_args(argv)
    try:
        status: ExitStatus = arguments.run(arguments)
        sys.stdout.flush()
    except BenchError as error:
        for line in str(error).splitlines():
            print(f"imapvm-bench: {line}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("imapvm-bench: interrupted", file=sys.stderr)
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has closed the pipe (`| head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.OK
    return status


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="imapvm-bench",
        description="Load for IMAP servers: run a scenario, hold thousands of idle sessions,"
        " fill mailboxes, compare servers.",
        epilog="Exit status: 0 measured without errors; 1 some commands failed; 2 wrong command"
        " line or scenario; 3 cannot start; 4 the server stopped answering; 130 interrupted.",
    )
    made.add_argument("--version", action="version", version=f"imapvm-bench {_version()}")
    verbs = made.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_to(verbs)
    return made


def _version() -> str:
    try:
        return version("imapvm-bench")
    except PackageNotFoundError:
        return "(not installed)"
