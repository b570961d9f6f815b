"""`imapvm quota`: show, set and unset the limits of users, and count their usage again."""

import argparse
import re
from typing import Final

from imapvm.model.quota import LIMIT_MAX
from imapvm.ops.arguments import (
    QUOTA_OPTIONS,
    Verbs,
    add_action,
    filepool_path,
    utf8,
)

SUFFIXES: Final = {"K": 1, "M": 1 << 10, "G": 1 << 20, "T": 1 << 30}
"""KiB of each suffix."""


def add_to(verbs: Verbs) -> None:
    """Declare the verbs; `action` is a key of `imapvm.ops.quotas.ACTIONS`."""
    text = "show and set the quota of users; count their usage again"
    family = verbs.add_parser(
        "quota",
        help=text,
        description=f"{text.capitalize()}. The server may be running.",
    )
    inner = family.add_subparsers(title="verbs", metavar="VERB", required=True)

    show = _verb(inner, "show", "show usage and limits of one user or of all users")
    _add_optional_name(show)
    show.add_argument("--json", action="store_true", help="print a JSON array of objects")

    change = _verb(inner, "set", "set limits of a user, in place of the defaults")
    _add_name(change)
    for word, kind, unit, text in (
        ("storage", size, "SIZE", "all messages, each copy counted, as 500M or 10G, or none"),
        ("messages", count, "N", "number of messages, or none"),
        ("mailboxes", count, "N", "number of mailboxes, or none"),
        ("annotation-storage", size, "SIZE", "all annotations, or none"),
    ):
        # Absent if it is not given: None is no limit.
        change.add_argument(
            f"--{word}", type=kind, metavar=unit, default=argparse.SUPPRESS, help=text
        )

    unset = _verb(inner, "unset", "return to the default limits of the configuration")
    _add_name(unset)
    unset.add_argument(
        "resources",
        nargs="*",
        metavar="RESOURCE",
        type=resource,
        help=f"{', '.join(QUOTA_OPTIONS)} (default: all)",
    )

    recalculate = _verb(
        inner,
        "recalculate",
        "count the usage of one user or of all users again, and correct the counters",
    )
    _add_optional_name(recalculate)
    recalculate.add_argument("--json", action="store_true", help="print a JSON array of objects")


def _verb(verbs: Verbs, name: str, text: str) -> argparse.ArgumentParser:
    return add_action(verbs, name, name, text, _run)


def _add_name(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", type=utf8, metavar="NAME", help="login name")


def _add_optional_name(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "name", type=utf8, metavar="NAME", nargs="?", help="login name (default: all users)"
    )


def resource(text: str) -> str:
    """Return a word of QUOTA_OPTIONS.

    Raises:
        argparse.ArgumentTypeError: it is something else.
    """
    if text not in QUOTA_OPTIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(QUOTA_OPTIONS)}")
    return text


def size(text: str) -> int | None:
    """Return the KiB of a size such as 10G; None for "none".

    Raises:
        argparse.ArgumentTypeError: it is no size.
    """
    if text == "none":
        return None
    found = re.fullmatch(r"([0-9]{1,19})([KMGT])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number with K, M, G or T, or none")
    return _limited(text, int(found[1]) * SUFFIXES[found[2]])


def count(text: str) -> int | None:
    """Return a number; None for "none".

    Raises:
        argparse.ArgumentTypeError: it is no number.
    """
    if text == "none":
        return None
    if not re.fullmatch(r"[0-9]{1,19}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, or none")
    return _limited(text, int(text))


def _limited(text: str, limit: int) -> int:
    if limit > LIMIT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is too large")
    return limit


def _run(arguments: argparse.Namespace) -> int:
    from imapvm.ops.quotas import run_action

    path, default = filepool_path(arguments), default_limits(arguments)
    return run_action(path, default, arguments)


def default_limits(arguments: argparse.Namespace) -> dict[str, int] | None:
    """Return the default limits of the configuration; None with `--filepool`."""
    if arguments.filepool is not None:
        return None
    from imapvm.ops.arguments import DEFAULT_CONFIG
    from imapvm.ops.config.file import read_config

    return read_config(arguments.config or DEFAULT_CONFIG).config.quota.limits()
