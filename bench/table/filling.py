"""Makes the mailboxes that the rows work in: the same octets on every server."""

import time
from dataclasses import dataclass, replace
from typing import Final

from bench.table.measuring import Measured
from bench.table.rows import BIG, FOUR_KB, ROWS
from imapvm_bench.corpus.mail import Recipe
from imapvm_bench.errors import BenchError
from imapvm_bench.filling import Filling, Progress, fill
from imapvm_bench.target import Target

BIG_SECONDS: Final = 300.0
"""A server that does not take 10,000 messages in this time sits out the rows about them."""

FEW: Final = 20
"""Messages in each INBOX."""

LARGE: Final = 25_000_000
"""Octets of one message."""

SMALL: Final = Recipe(sizes=FOUR_KB.sizes, shapes=FOUR_KB.shapes)


@dataclass(frozen=True, slots=True)
class Box:
    """A mailbox, and what it holds."""

    name: str
    messages: int
    recipe: Recipe = SMALL


def make_mailboxes(server: Measured, *, readers: int, big: bool, large: bool) -> None:
    """Fill: INBOX and an empty `new` for readers, `big` and `large` for the first of them.

    Args:
        server: gets them; what it cannot take goes into its `unfit`.
        readers: how many users have mail.
        big: whether `big` is needed.
        large: whether `large` is needed.
    """
    all_readers = server.target("readers")
    some = replace(all_readers, users=all_readers.users[:readers])
    first = replace(all_readers, users=all_readers.users[:1])
    prefix = server.service.prefix
    _fill(some, Box("INBOX", FEW))
    _fill(some, Box(f"{prefix}new", 0))
    try:
        if large:
            _fill(first, Box(f"{prefix}large", 1, Recipe(sizes=(LARGE,), shapes=("attachment",))))
    except BenchError as fault:
        _sit_out(server, f"the message of 25 MB could not be stored: {fault}", heavy=False)
    try:
        if big:
            _fill(first, Box(f"{prefix}big", BIG), seconds=BIG_SECONDS)
    except BenchError as fault:
        _sit_out(server, str(fault), heavy=True)


def _sit_out(server: Measured, reason: str, *, heavy: bool) -> None:
    for row in ROWS:
        if row.heavy if heavy else "25 MB" in row.name:
            server.unfit[row.name] = reason


def _fill(target: Target, box: Box, *, seconds: float | None = None) -> None:
    until = None if seconds is None else time.monotonic() + seconds
    late = False

    def watch(progress: Progress) -> None:
        nonlocal late
        if until is not None and time.monotonic() > until:
            late = True
            raise KeyboardInterrupt  # how `fill` is ended

    filling = Filling(
        target,
        messages=box.messages,
        mailboxes=(box.name,),
        recipe=box.recipe,
        same=True,
    )
    progress = fill(filling, on_progress=watch)
    if late:
        raise BenchError(
            f"it took {progress.messages:,} of {box.messages:,} messages in {seconds:g} s"
        )
    if progress.interrupted:
        raise KeyboardInterrupt
