"""The `imapvm` command: parse the command line, run the verb, report errors in one line each.

A verb family is a module in `imapvm.ops.verbs` with `add_to(verbs)`, which declares its arguments
and sets `run` to the function that carries the verb out.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from imapvm.filepool.errors import CorruptDataError, FilepoolError, StoreUnavailableError
from imapvm.intake.spool.layout import SpoolError
from imapvm.ops.errors import CONFIGURATION, CORRUPT, FAILED, TRY_AGAIN, OperatorError
from imapvm.ops.verbs import acl, demo, filepool, quota, role, serve, user
from imapvm.server.settings import SettingsError

INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (without the program's name) and return the exit code."""
    arguments = parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except (
        KeyboardInterrupt,
        BaseExceptionGroup,
        OperatorError,
        SettingsError,
        FilepoolError,
        SpoolError,
        ValueError,  # only CorruptError has a message; the extension is imported late
        OSError,
    ) as error:
        leaves = list(_leaves(error))
        if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
            return INTERRUPTED
        if any(isinstance(leaf, BrokenPipeError) for leaf in leaves):
            # The reader of standard output closed it: keep the interpreter from flushing again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        reports = [report for leaf in leaves if (report := _report(leaf)) is not None]
        if len(reports) < len(leaves):
            raise
        for message, _ in reports:
            print(f"imapvm: {message}", file=sys.stderr)
        return max(code for _, code in reports)
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="imapvm",
        description="IMAP server with transactional storage; receives mail by LMTP and a spool"
        " directory.",
        epilog="Run 'imapvm VERB --help' for the options of a verb. Manual: docs/operations.md.",
    )
    top.add_argument("--version", action="version", version=f"imapvm {version('imapvm')}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    for family in (demo, serve, user, quota, acl, filepool, role):
        family.add_to(verbs)
    return top


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions of nested groups in order."""
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseExceptionGroup):
            waiting.extend(reversed(each.exceptions))
        else:
            yield each


def _report(error: BaseException) -> tuple[str, int] | None:
    """Return the message for the operator and the exit code; None for a bug."""
    from imapvm._core import CorruptError

    match error:
        case SettingsError():
            return str(error), CONFIGURATION
        case OperatorError():
            return str(error), error.code
        case StoreUnavailableError():
            return str(error), TRY_AGAIN
        case CorruptDataError() | CorruptError():
            return str(error), CORRUPT
        case FilepoolError() | SpoolError():
            return str(error), FAILED
        case OSError():
            reason = (error.strerror or str(error)).lower()
            return (f"{error.filename}: {reason}" if error.filename else reason), FAILED
        case _:
            return None
