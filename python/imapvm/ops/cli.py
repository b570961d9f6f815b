"""The `imapvm` command: finds the verb, and says in one sentence what went wrong.

A verb family is a module with `add_to(verbs)`, which describes its arguments and names the function
that carries them out. Those modules import the server only when they run something, so that help
and mistakes are answered at once.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from imapvm.filepool.errors import FilepoolError, StoreUnavailableError
from imapvm.ops.demo import run as demo
from imapvm.ops.errors import CONFIGURATION, FAILED, TRY_AGAIN, OperatorError
from imapvm.ops.serving import run as serve
from imapvm.ops.verbs import filepool, role, user
from imapvm.server.settings import SettingsError

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line (without the program's name); return the exit code."""
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
        OSError,
    ) as error:
        causes = list(_leaves(error))
        if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
            return INTERRUPTED
        if any(isinstance(cause, BrokenPipeError) for cause in causes):
            # Whoever read our output has seen enough; keep the interpreter from flushing again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        told = [words for cause in causes if (words := _sentence(cause)) is not None]
        if len(told) < len(causes):
            raise
        for sentence, _ in told:
            print(f"imapvm: {sentence}", file=sys.stderr)
        return max(code for _, code in told)
    return code


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="imapvm",
        description="An IMAP server: keeps mail in transactions, takes it in by spool and LMTP.",
        epilog="Each verb explains itself: imapvm VERB --help. The handbook is docs/operations.md.",
    )
    top.add_argument("--version", action="version", version=f"imapvm {version('imapvm')}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    demo.add_to(verbs)
    serve.add_to(verbs)
    user.add_to(verbs)
    filepool.add_to(verbs)
    role.add_to(verbs)
    return top


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in groups of groups, in order."""
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseExceptionGroup):
            waiting.extend(reversed(each.exceptions))
        else:
            yield each


def _sentence(error: BaseException) -> tuple[str, int] | None:
    """What to tell the operator, and the exit code; None for a fault of our own."""
    from imapvm.intake.spool.directory import SpoolInUseError

    match error:
        case SettingsError():
            return str(error), CONFIGURATION
        case OperatorError():
            return str(error), error.code
        case StoreUnavailableError():
            return str(error), TRY_AGAIN
        case FilepoolError() | SpoolInUseError():
            return str(error), FAILED
        case OSError():
            what = (error.strerror or str(error)).lower()
            return (f"{error.filename}: {what}" if error.filename else what), FAILED
        case _:
            return None
