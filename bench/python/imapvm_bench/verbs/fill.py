"""`imapvm-bench fill`: fill mailboxes with messages of a seed."""

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
from imapvm_bench.errors import BenchError, ExitStatus
from imapvm_bench.format import (
    format_rate,
    format_size,
)
from imapvm_bench.verbs import options
from imapvm_bench.verbs.options import Verbs


def add_to(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    verb = verbs.add_parser(
        "fill",
        help="fill mailboxes with messages of a seed",
        description="Fills mailboxes. The same seed makes the same messages, byte for byte, on"
        " every server. APPEND (the default) adds what a mailbox lacks to --messages, so filling"
        " again does nothing. LMTP and spool deliver that number to INBOX.",
    )
    verb.add_argument(
        "server",
        metavar="HOST[:PORT]",
        nargs="?",
        help="not needed with --spool or --lmtp",
    )
    way = verb.add_mutually_exclusive_group()
    options.add_lmtp(way, "deliver by LMTP instead of APPEND")
    way.add_argument(
        "--spool",
        type=Path,
        metavar="DIR",
        help="write batch SMTP files to a spool directory instead",
    )
    what = verb.add_argument_group("messages")
    what.add_argument(
        "--messages",
        type=options.integer(1, 100_000_000),
        default=1000,
        metavar="N",
        help="messages in each mailbox (default: %(default)s)",
    )
    what.add_argument(
        "--mailbox",
        action="append",
        metavar="NAME",
        help="may be repeated; created if missing (default: INBOX)",
    )
    what.add_argument(
        "--sizes",
        metavar="N,N,…",
        type=_sizes,
        default=SIZES,
        help="bytes, with equal probability: 4k or 1k,4k,4k,2M (default: as in real mailboxes,"
        " half below 4 kB and a tenth above 100 kB)",
    )
    what.add_argument(
        "--shapes",
        metavar="NAME,…",
        type=_shapes,
        default=tuple(SHAPES),
        help=f"with equal probability, of {', '.join(SHAPES)} (default: all)",
    )
    what.add_argument(
        "--replies",
        type=_share,
        default=Recipe().replies,
        metavar="SHARE",
        help="share of messages that reply to an earlier one (default: %(default)g)",
    )
    what.add_argument(
        "--seen",
        type=_share,
        default=Recipe().seen,
        metavar="SHARE",
        help="share of messages with \\Seen (default: %(default)g)",
    )
    what.add_argument(
        "--seed",
        type=options.integer(0, 2**63 - 1),
        default=1,
        metavar="N",
        help="default: %(default)s",
    )
    what.add_argument(
        "--same",
        action="store_true",
        help="all users get the same messages, which is faster for many users",
    )
    verb.add_argument(
        "--connections",
        type=options.integer(1, 1000),
        default=4,
        metavar="N",
        help="mailboxes filled at the same time (default: %(default)s)",
    )
    options.add_server(verb)
    verb.set_defaults(run=run_verb)


def run_verb(arguments: argparse.Namespace) -> ExitStatus:
    """Fill, and print the result."""
    direct = bool(arguments.spool or arguments.lmtp)
    if not arguments.server and not direct:
        raise BenchError(
            "no server: use HOST[:PORT], --lmtp HOST:PORT or --spool DIR", ExitStatus.USAGE
        )
    if direct and arguments.mailbox:
        raise BenchError("--mailbox: LMTP and spool deliver to INBOX only", ExitStatus.USAGE)
    if direct and arguments.password is None:
        arguments.password = ""  # no log-in
    target = options.target_of(arguments, arguments.server or "localhost")
    spec = FillSpec(
        target,
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
        lmtp=target.lmtp,
        spool=arguments.spool,
        connections=arguments.connections,
    )
    screen = console()
    with _progress_display(screen) as handler:
        progress = fill(spec, on_progress=handler)
    screen.print(_summary(spec, progress))
    return ExitStatus.INTERRUPTED if progress.interrupted else ExitStatus.OK


@contextmanager
def _progress_display(screen: Console) -> Iterator[Callable[[FillProgress], None]]:
    if not screen.is_terminal:
        last = [time.monotonic()]

        def write(progress: FillProgress) -> None:
            if time.monotonic() - last[0] >= LINE_SECONDS:
                last[0] = time.monotonic()
                done = progress.messages + progress.existing
                print(f"{done:,} of {progress.wanted:,} messages", file=sys.stderr)

        yield write
        return
    with Progress(
        TextColumn("filling"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(), console=screen, transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task("", rate="")

        def draw(progress: FillProgress) -> None:
            speed = format_rate(progress.messages / progress.seconds) if progress.seconds else ""
            bar.update(
                task,
                total=progress.wanted,
                completed=progress.messages + progress.existing,
                rate=f"{speed}/s",
            )

        yield draw


def _summary(spec: FillSpec, progress: FillProgress) -> Text:
    way = "spool" if spec.spool else "LMTP" if spec.lmtp else "APPEND"
    speed = progress.messages / progress.seconds if progress.seconds else 0.0
    text = Text()
    if progress.interrupted:
        text.append("interrupted: ", style="yellow")
    text.append(f"{progress.messages:,} messages", style="bold green")
    if progress.messages:
        text.append(f" ({format_size(progress.size)}) by {way} in {progress.seconds:.1f} s, ")
        text.append(f"{format_rate(speed)} a second", style="bold")
    if progress.existing:
        text.append(f"; {progress.existing:,} existed before")
    return text


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(options.size(one) for one in text.split(","))


def _shapes(text: str) -> tuple[str, ...]:
    shapes = tuple(text.split(","))
    for shape in shapes:
        if shape not in SHAPES:
            raise argparse.ArgumentTypeError(f"{shape!r} is not a shape: use {', '.join(SHAPES)}")
    return shapes


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1")
    return share
