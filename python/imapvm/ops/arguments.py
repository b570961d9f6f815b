"""Arguments that several verbs share."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from imapvm.model.quota import ANNOTATION_STORAGE, MAILBOX, MESSAGE, STORAGE
from imapvm.ops.errors import USAGE, OperatorError

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""Verbs of one level of the command line, as `add_subparsers` returns them."""

DEFAULT_CONFIG: Final = Path("/etc/imapvm/imapvm.toml")

QUOTA_OPTIONS: Final = {
    "storage": STORAGE,
    "messages": MESSAGE,
    "mailboxes": MAILBOX,
    "annotation-storage": ANNOTATION_STORAGE,
}
"""Options of quotas, with their resources."""


def add_filepool_options(command: argparse.ArgumentParser) -> None:
    """Add `--filepool DIR` and `--config FILE`."""
    group = command.add_mutually_exclusive_group()
    group.add_argument("--filepool", metavar="DIR", type=Path, help="filepool directory")
    group.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help=f"configuration file that names the filepool (default: {DEFAULT_CONFIG})",
    )


def add_action(
    verbs: Verbs, name: str, action: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Add a verb that works on a filepool.

    Args:
        verbs: verbs of the group.
        name: word on the command line.
        action: value of `action` in the arguments, by which `run` tells verbs apart.
        text: what it does, beginning with a verb in lower case, without a full stop.
        run: does it, and returns the exit code.
    """
    verb = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    add_filepool_options(verb)
    verb.set_defaults(run=run, action=action)
    return verb


def filepool_path(arguments: argparse.Namespace) -> Path:
    """Return the filepool directory that the options select.

    Raises:
        ConfigError: the configuration is wrong.
        OperatorError: neither option is given, and there is no default configuration.
    """
    if arguments.filepool is not None:
        return Path(arguments.filepool)
    if arguments.config is None and not DEFAULT_CONFIG.exists():
        raise OperatorError(
            f"no filepool selected: use --filepool DIR or --config FILE ({DEFAULT_CONFIG} does"
            " not exist)",
            USAGE,
        )
    from imapvm.ops.config.file import read_config

    file = read_config(arguments.config or DEFAULT_CONFIG)
    return file.path_of(file.config.filepool)


def utf8(text: str) -> str:
    """Return an argument that is stored in the filepool.

    Raises:
        argparse.ArgumentTypeError: the bytes on the command line were not UTF-8.
    """
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise argparse.ArgumentTypeError("not UTF-8")
    return text
