"""Options that several verbs have: the server, the users, the load, where reports go."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from imapvm_bench.errors import BenchError, Status
from imapvm_bench.load.plan import ANSWER_SECONDS
from imapvm_bench.server.target import PORTS, Address, Target, Tls, parse_address
from imapvm_bench.server.users import User, parse_users

Verbs = Any
"""What argparse's `add_subparsers` gives; its type has no public name."""

PASSWORD_VARIABLE: Final = "IMAPVM_BENCH_PASSWORD"


def add_server(verb: argparse.ArgumentParser) -> None:
    """How the server is spoken to, and who signs in."""
    server = verb.add_argument_group("server")
    how = server.add_mutually_exclusive_group()
    how.add_argument("--tls", action="store_true", help="TLS from the start (port 993)")
    how.add_argument("--starttls", action="store_true", help="TLS by STARTTLS")
    server.add_argument(
        "--verify", action="store_true", help="refuse a certificate that is not good"
    )
    server.add_argument(
        "--ca", type=Path, metavar="FILE", help="verify against the authorities in this PEM file"
    )
    server.add_argument(
        "--tls-resumption", action="store_true", help="resume TLS sessions, as phones do"
    )
    server.add_argument("--server-name", metavar="NAME", help="the certificate's, if not HOST")
    server.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="connect from this address; may be repeated, they are used in turn",
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
    secret.add_argument("--password", metavar="TEXT", help="of all users that have none yet")
    secret.add_argument("--password-file", type=Path, metavar="FILE", help="its first line is it")


def add_lmtp(verb: argparse.ArgumentParser, why: str) -> None:
    """Where the server takes mail in."""
    verb.add_argument("--lmtp", metavar="HOST:PORT", help=why)


def add_output(verb: argparse.ArgumentParser) -> None:
    """Where reports go."""
    output = verb.add_argument_group("output")
    output.add_argument("--json", type=Path, metavar="FILE", help="write all of it as JSON")
    output.add_argument("--html", type=Path, metavar="FILE", help="write a report to look at")


def add_threads(verb: argparse.ArgumentParser) -> None:
    """How the engine works."""
    verb.add_argument(
        "--threads",
        type=whole(1, 256),
        default=1,
        metavar="N",
        help="threads of the engine (default: %(default)s)",
    )
    verb.add_argument(
        "--answer-seconds",
        type=seconds,
        default=ANSWER_SECONDS,
        metavar="S",
        help="a command unanswered so long has failed (default: %(default)g)",
    )
    verb.add_argument(
        "--at-once",
        type=whole(1, 100_000),
        default=64,
        metavar="N",
        help="log-ins under way while connections are opened (default: %(default)s)",
    )


def target_of(arguments: argparse.Namespace, server: str, name: str | None = None) -> Target:
    """Return the server that the options of `add_server` and an address describe.

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
    """Read --lmtp."""
    return parse_address(text, PORTS["lmtp"]) if text else None


def users_of(arguments: argparse.Namespace) -> tuple[User, ...]:
    """Return who signs in; the password may also be in the environment.

    Raises:
        BenchError: status USAGE.
    """
    password: str | None = arguments.password
    if arguments.password_file is not None:
        try:
            password = arguments.password_file.read_text().splitlines()[0]
        except (OSError, UnicodeDecodeError, IndexError) as error:
            reason = str(error) if not isinstance(error, IndexError) else "it is empty"
            raise BenchError(
                f"--password-file {arguments.password_file}: {reason}", Status.USAGE
            ) from None
    if password is None:
        password = os.environ.get(PASSWORD_VARIABLE)
    return parse_users(arguments.users, password)


def check_output(arguments: argparse.Namespace) -> None:
    """Find out before a long run that its report could not be written.

    Raises:
        BenchError: status USAGE.
    """
    for path in (arguments.json, arguments.html):
        if path is not None and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
            raise BenchError(
                f"{path} cannot be written: no such directory, or not yours", Status.USAGE
            )


def write_output(
    arguments: argparse.Namespace, *, values: Callable[[], Any], page: Callable[[], str]
) -> None:
    """Write what --json and --html ask for."""
    if arguments.json is not None:
        text = json.dumps(values(), indent=1, ensure_ascii=False)
        _write(arguments.json, text + "\n")
    if arguments.html is not None:
        _write(arguments.html, page())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BenchError(f"{path} cannot be written: {error.strerror}", Status.ERRORS) from None
    print(f"written to {path}", file=sys.stderr)


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers within bounds."""

    def read(text: str) -> int:
        digits = text.replace(",", "").replace("_", "")
        if not digits.isdecimal() or not least <= int(digits) <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no whole number from {least:,} to {most:,}"
            )
        return int(digits)

    return read


def seconds(text: str) -> float:
    """Read a time: `10`, `0.5`, `10s`, `2m`."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if not 0 < value <= 7 * 24 * 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: such as 10, 0.5, 30s, 2m")
    return value


def rate(text: str) -> float:
    """Read a number a second."""
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        value = -1.0
    if not 0 < value <= 1e8:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: a number above 0, a second")
    return value


def size(text: str) -> int:
    """Read an amount of octets: `4096`, `4k`, `2M` (of 1,024)."""
    units = {"k": 1024, "m": 1024**2}
    digits, unit = (
        (text[:-1], units[text[-1:].lower()]) if text[-1:].lower() in units else (text, 1)
    )
    if not digits.isdecimal() or not 1 <= int(digits) * unit <= 64 * 1024**2:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: such as 4096, 4k, 2M, up to 64M")
    return int(digits) * unit
