"""`imapvm-bench fill`: mailboxes from a seed."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from imapvm_bench.corpus.fill import FillProgress, FillSpec, fill
from imapvm_bench.corpus.mail import SIZES, Recipe
from imapvm_bench.corpus.shapes import SHAPES
from imapvm_bench.display.live import LINE_SECONDS
from imapvm_bench.display.tables import console
from imapvm_bench.errors import BenchError, Status
from imapvm_bench.format import (
    format_rate,
    format_size,
)
from imapvm_bench.verbs import options
from imapvm_bench.verbs.options import Verbs


def add_to(verbs: Verbs) -> None:
    """Describe the verb."""
    verb = verbs.add_parser(
        "fill",
        help="make mailboxes with mail in them, from a seed",
        description="Makes mailboxes. The same seed makes the same messages, octet for octet, on"
        " every server. By APPEND (the default) each mailbox is brought to --messages; what is"
        " there already is counted, so doing it again does nothing. By LMTP and through the spool"
        " that many are delivered to INBOX.",
    )
    verb.add_argument(
        "server",
        metavar="HOST[:PORT]",
        nargs="?",
        help="not needed with --spool, or with --lmtp HOST:PORT",
    )
    way = verb.add_mutually_exclusive_group()
    options.add_lmtp(way, "deliver by LMTP instead of APPEND")
    way.add_argument(
        "--spool",
        type=Path,
        metavar="DIR",
        help="drop batch SMTP files into a spool directory instead",
    )
    what = verb.add_argument_group("messages")
    what.add_argument(
        "--messages",
        type=options.whole(1, 100_000_000),
        default=1000,
        metavar="N",
        help="in each mailbox (default: %(default)s)",
    )
    what.add_argument(
        "--mailbox",
        action="append",
        metavar="NAME",
        help="may be repeated; made if missing (default: INBOX)",
    )
    what.add_argument(
        "--sizes",
        metavar="N,N,…",
        type=_sizes,
        default=SIZES,
        help="octets, each as likely: 4k or 1k,4k,4k,2M (default: as mail is, half"
        " of it below 4 kB and a tenth above 100 kB)",
    )
    what.add_argument(
        "--shapes",
        metavar="NAME,…",
        type=_shapes,
        default=tuple(SHAPES),
        help=f"each as likely, of {', '.join(SHAPES)} (default: all)",
    )
    what.add_argument(
        "--replies",
        type=_share,
        default=Recipe().replies,
        metavar="SHARE",
        help="share of messages that answer an earlier one (default: %(default)g)",
    )
    what.add_argument(
        "--seen",
        type=_share,
        default=Recipe().seen,
        metavar="SHARE",
        help="share of messages that have been seen (default: %(default)g)",
    )
    what.add_argument(
        "--seed",
        type=options.whole(0, 2**63 - 1),
        default=1,
        metavar="N",
        help="default: %(default)s",
    )
    what.add_argument(
        "--same",
        action="store_true",
        help="every user gets the same messages; they are made once, so this is"
        " faster for many users",
    )
    verb.add_argument(
        "--connections",
        type=options.whole(1, 1000),
        default=4,
        metavar="N",
        help="mailboxes that are filled at the same time (default: %(default)s)",
    )
    options.add_server(verb)
    verb.set_defaults(run=run_verb)


def run_verb(arguments: argparse.Namespace) -> Status:
    """_FillRun, and say how fast."""
    direct = bool(arguments.spool or arguments.lmtp)
    if not arguments.server and not direct:
        raise BenchError("say where: HOST[:PORT], --lmtp HOST:PORT or --spool DIR", Status.USAGE)
    if direct and arguments.mailbox:
        raise BenchError("--mailbox: deliveries go to INBOX; APPEND goes anywhere", Status.USAGE)
    if direct and arguments.password is None:
        arguments.password = ""  # nobody signs in
    filling = FillSpec(
        options.target_of(arguments, arguments.server or "localhost"),
        messages=arguments.messages,
        mailboxes=tuple(dict.fromkeys(arguments.mailbox or ["INBOX"])),
        recipe=Recipe(
            seed=arguments.seed,
            sizes=arguments.sizes,
            shapes=arguments.shapes,
            replies=arguments.replies,
            seen=arguments.seen,
        ),
        same=arguments.same,
        by_lmtp=bool(arguments.lmtp),
        spool=arguments.spool,
        connections=arguments.connections,
    )
    screen = console()
    with _progress_display(screen) as handler:
        filled = fill(filling, on_progress=handler)
    screen.print(_sentence(filling, filled))
    return Status.INTERRUPTED if filled.interrupted else Status.OK


@contextmanager
def _progress_display(screen: Console) -> Iterator[Callable[[FillProgress], None]]:
    if not screen.is_terminal:
        said = [time.monotonic()]

        def write(filled: FillProgress) -> None:
            if time.monotonic() - said[0] >= LINE_SECONDS:
                said[0] = time.monotonic()
                done = filled.messages + filled.there
                print(f"{done:,} of {filled.wanted:,} messages", file=sys.stderr)

        yield write
        return
    with Progress(
        TextColumn("filling"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(), console=screen, transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task("", rate="")

        def draw(filled: FillProgress) -> None:
            speed = format_rate(filled.messages / filled.seconds) if filled.seconds else ""
            bar.update(
                task,
                total=filled.wanted,
                completed=filled.messages + filled.there,
                rate=f"{speed}/s",
            )

        yield draw


def _sentence(filling: FillSpec, filled: FillProgress) -> Text:
    way = "spool" if filling.spool else "LMTP" if filling.by_lmtp else "APPEND"
    speed = filled.messages / filled.seconds if filled.seconds else 0.0
    text = Text()
    if filled.interrupted:
        text.append("interrupted: ", style="yellow")
    text.append(f"{filled.messages:,} messages", style="bold green")
    if filled.messages:
        text.append(f" ({format_size(filled.octets)}) by {way} in {filled.seconds:.1f} s, ")
        text.append(f"{format_rate(speed)} a second", style="bold")
    if filled.there:
        text.append(f"; {filled.there:,} were there already")
    return text


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(options.size(one) for one in text.split(","))


def _shapes(text: str) -> tuple[str, ...]:
    shapes = tuple(text.split(","))
    for shape in shapes:
        if shape not in SHAPES:
            raise argparse.ArgumentTypeError(
                f"{shape!r} is no shape; there are {', '.join(SHAPES)}"
            )
    return shapes


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: from 0 to 1")
    return share
