"""Which filepool a command is about."""

import argparse
from pathlib import Path
from typing import Final

from imapvm.ops.errors import USAGE, OperatorError

DEFAULT_CONFIG: Final = Path("/etc/imapvm/imapvm.toml")


def add_filepool_options(command: argparse.ArgumentParser) -> None:
    """Add `--filepool DIR` and `--config FILE`."""
    which = command.add_mutually_exclusive_group()
    which.add_argument("--filepool", metavar="DIR", type=Path, help="the filepool's directory")
    which.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help=f"the configuration that names it (default: {DEFAULT_CONFIG}, where there is one)",
    )


def filepool_path(arguments: argparse.Namespace) -> Path:
    """The filepool's directory.

    Raises:
        ConfigError: there is a mistake in the configuration.
        OperatorError: none is named, and there is no configuration in its usual place.
    """
    if arguments.filepool is not None:
        return Path(arguments.filepool)
    if arguments.config is None and not DEFAULT_CONFIG.exists():
        raise OperatorError("say which filepool: --filepool DIR, or --config FILE", USAGE)
    from imapvm.ops.config.file import read_config

    file = read_config(arguments.config or DEFAULT_CONFIG)
    return file.path_of(file.config.filepool)
