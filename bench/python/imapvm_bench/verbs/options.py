"""Options of several verbs: server, users, threads, output."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from imapvm_bench.errors import BenchError, ExitStatus
from imapvm_bench.load.plan import ANSWER_SECONDS
from imapvm_bench.server.target import PORTS, Address, Target, Tls, parse_address
from imapvm_bench.server.users import User, parse_users

Verbs = Any
"""Result of argparse's `add_subparsers`; its type has no public name."""

PASSWORD_VARIABLE: Final = "IMAPVM_BENCH_PASSWORD"


def add_server(verb: argparse.ArgumentParser) -> None:
    """Add the options for TLS, source addresses and users."""
    server = verb.add_argument_group("server")
    how = server.add_mutually_exclusive_group()
    how.add_argument("--tls", action="store_true", help="TLS from the start (port 993)")
    how.add_argument("--starttls", action="store_true", help="TLS by STARTTLS")
    server.add_argument("--verify", action="store_true", help="verify the certificate")
    server.add_argument(
        "--ca",
        type=Path,
        metavar="FILE",
        help="verify the certificate with the authorities in this PEM file",
    )
    server.add_argument(
        "--tls-resumption", action="store_true", help="resume TLS sessions, as phones do"
    )
    server.add_argument(
        "--server-name", metavar="NAME", help="name in the certificate, if not HOST"
    )
    server.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="source address; may be repeated, used in turn",
    )
    users = verb.add_argument_group("users")
    users.add_argument(
        "--users",
        action="append",
        required=True,
        metavar="PATTERN",
        help="NAME, NAME:PASSWORD, user{1..500}:secret, or @FILE with one a line; may be repeated",
    )
    secret = users.add_mutually_exclusive_group()
    secret.add_argument("--password", metavar="TEXT", help="password of users without one")
    secret.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="file with the password in its first line",
    )


def add_lmtp(verb: argparse.ArgumentParser, why: str) -> None:
    """Add --lmtp."""
    verb.add_argument("--lmtp", metavar="HOST:PORT", help=why)


def add_output(verb: argparse.ArgumentParser) -> None:
    """Add the options for reports."""
    output = verb.add_argument_group("output")
    output.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    output.add_argument("--html", type=Path, metavar="FILE", help="write a report as an HTML page")


def add_threads(verb: argparse.ArgumentParser) -> None:
    """Add the options of the engine."""
    verb.add_argument(
        "--threads",
        type=integer(1, 256),
        default=1,
        metavar="N",
        help="threads of the engine (default: %(default)s)",
    )
    verb.add_argument(
        "--answer-seconds",
        type=seconds,
        default=ANSWER_SECONDS,
        metavar="S",
        help="time after which a command without an answer has failed (default: %(default)g)",
    )
    verb.add_argument(
        "--at-once",
        type=integer(1, 100_000),
        default=64,
        metavar="N",
        help="concurrent log-ins while connections are opened (default: %(default)s)",
    )


def target_of(arguments: argparse.Namespace, server: str, name: str | None = None) -> Target:
    """Return the target of an address and the options of `add_server`.

    Raises:
        BenchError: status USAGE.
    """
    tls: Tls = "tls" if arguments.tls else "starttls" if arguments.starttls else "none"
    lmtp: str | None = getattr(arguments, "lmtp", None)
    return Target(
        name=name or server,
        imap=parse_address(server, PORTS[tls]),
        users=users_of(arguments),
        tls=tls,
        verify=arguments.verify or arguments.ca is not None,
        ca=arguments.ca,
        tls_resumption=arguments.tls_resumption,
        server_name=arguments.server_name,
        lmtp=lmtp_of(lmtp),
        sources=tuple(arguments.source),
        pid=getattr(arguments, "server_pid", None),
    )


def lmtp_of(text: str | None) -> Address | None:
    """Parse --lmtp."""
    return parse_address(text, PORTS["lmtp"]) if text else None


def users_of(arguments: argparse.Namespace) -> tuple[User, ...]:
    """Return the users; their password may also be in the environment.

    Raises:
        BenchError: status USAGE.
    """
    password: str | None = arguments.password
    if arguments.password_file is not None:
        try:
            password = arguments.password_file.read_text().splitlines()[0]
        except (OSError, UnicodeDecodeError, IndexError) as error:
            reason = str(error) if not isinstance(error, IndexError) else "empty file"
            raise BenchError(
                f"--password-file {arguments.password_file}: {reason}", ExitStatus.USAGE
            ) from None
    if password is None:
        password = os.environ.get(PASSWORD_VARIABLE)
    return parse_users(arguments.users, password)


def check_output(arguments: argparse.Namespace) -> None:
    """Check before a long run that the reports can be written.

    Raises:
        BenchError: status USAGE.
    """
    for path in (arguments.json, arguments.html):
        if path is not None and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
            raise BenchError(
                f"cannot write {path}: no such directory, or not writable", ExitStatus.USAGE
            )


def write_output(
    arguments: argparse.Namespace, *, values: Callable[[], Any], page: Callable[[], str]
) -> None:
    """Write the reports of --json and --html."""
    if arguments.json is not None:
        text = json.dumps(values(), indent=1, ensure_ascii=False)
        _write(arguments.json, text + "\n")
    if arguments.html is not None:
        _write(arguments.html, page())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror}", ExitStatus.ERRORS) from None
    print(f"written: {path}", file=sys.stderr)


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of integers in a range."""

    def read(text: str) -> int:
        digits = text.replace(",", "").replace("_", "")
        if not digits.isdecimal() or not low <= int(digits) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer from {low:,} to {high:,}")
        return int(digits)

    return read


def seconds(text: str) -> float:
    """Parse a time: `10`, `0.5`, `10s`, `2m`."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if not 0 < value <= 7 * 24 * 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time, such as 10, 0.5, 30s, 2m")
    return value


def rate(text: str) -> float:
    """Parse a rate per second."""
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        value = -1.0
    if not 0 < value <= 1e8:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate: a number above 0")
    return value


def size(text: str) -> int:
    """Parse a size in bytes: `4096`, `4k`, `2M` (powers of 1,024)."""
    units = {"k": 1024, "m": 1024**2}
    digits, unit = (
        (text[:-1], units[text[-1:].lower()]) if text[-1:].lower() in units else (text, 1)
    )
    if not digits.isdecimal() or not 1 <= int(digits) * unit <= 64 * 1024**2:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, such as 4096, 4k, 2M, up to 64M")
    return int(digits) * unit
