"""`imapvm demo`: run a demonstration server."""

import argparse
from pathlib import Path
from typing import Final

from imapvm.ops.arguments import Verbs
from imapvm.ops.demo.users import parse_user, parse_users

DIRECTORY: Final = Path("var/demo")
PORTS: Final = {"imap": 1143, "imaps": 1993, "lmtp": 1024}
"""The registered ports 143, 993 and 24 plus 1000, so that root is not needed."""
WORKERS_MAX: Final = 256


def add_to(verbs: Verbs) -> None:
    """Declare the verb."""
    demo = verbs.add_parser(
        "demo",
        help="run a demonstration server with a user and sample mail",
        description="Run a demonstration server with a user and sample mail until Ctrl-C. Mail is"
        " kept for the next run.",
    )
    demo.add_argument(
        "--dir",
        type=Path,
        default=DIRECTORY,
        help="directory for all data (default: %(default)s)",
    )
    demo.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    for kind, text in {"imap": "IMAP", "imaps": "IMAP with SSL/TLS", "lmtp": "LMTP"}.items():
        demo.add_argument(
            f"--{kind}-port",
            type=_port,
            default=PORTS[kind],
            metavar="N",
            help=f"port for {text}; 0 selects a free port (default: %(default)s)",
        )
    demo.add_argument(
        "--user",
        action="append",
        type=parse_user,
        metavar="NAME:PASSWORD",
        dest="named",
        help="user to enroll; may be repeated (default: demo:demo)",
    )
    demo.add_argument(
        "--users",
        action="append",
        type=parse_users,
        default=[],
        metavar="PATTERN%d:COUNT:PASSWORD",
        dest="counted",
        help="COUNT more users, numbered from 1, with one password: load%%d:1000:secret",
    )
    demo.add_argument(
        "--workers",
        type=_workers,
        default=0,
        metavar="N",
        help="worker processes; 0 runs the whole server in one process (default: %(default)s)",
    )
    demo.add_argument("--no-samples", action="store_true", help="deliver no sample mail")
    demo.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prepare the directory, the users and the sample mail, and serve."""
    from imapvm.ops.demo.run import run_demo

    return run_demo(arguments)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number (0 to 65535)")
    return int(text)


def _workers(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > WORKERS_MAX:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of workers (0 to {WORKERS_MAX})"
        )
    return int(text)
