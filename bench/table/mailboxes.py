"""Makes the mailboxes that the rows work in: the same octets on every server."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.table.rounds import MeasuredServer
from bench.table.rows import BIG, FOUR_KB, ROWS, TableRow
from imapvm_bench.corpus.fill import FillProgress, FillSpec, fill
from imapvm_bench.corpus.mail import Recipe
from imapvm_bench.errors import BenchError
from imapvm_bench.server.target import Target

SECONDS: Final = 400.0
"""A server that would take longer to be filled for some rows sits them out."""
LOOK_SECONDS: Final = 20.0
"""After so long it is foreseen whether it will."""

FEW: Final = 20
"""Messages in each INBOX."""

LARGE: Final = 25_000_000
"""Octets of one message."""

SMALL: Final = Recipe(sizes=FOUR_KB.sizes, shapes=FOUR_KB.shapes)


@dataclass(frozen=True, slots=True)
class MailboxContent:
    """A mailbox, and what it holds."""

    name: str
    messages: int
    recipe: Recipe = SMALL


def fill_mailboxes(server: MeasuredServer, *, readers: int, big: bool, large: bool) -> None:
    """_FillRun: INBOX and an empty `new` for readers, `big` and `large` for the first of them.

    Args:
        server: gets them; what it cannot take goes into its `unfit`.
        readers: how many users have mail.
        big: whether `big` is needed.
        large: whether `large` is needed.
    """
    target = server.target("readers")
    prefix = server.service.prefix
    for lowest, highest in ((0, 1), (1, 20), (20, 200)):
        some = replace(target, users=target.users[lowest : min(highest, readers)])
        if some.users:
            boxes = [MailboxContent("INBOX", FEW), MailboxContent(f"{prefix}new", 0)]
            _fill_for(server, some, boxes, _more_than(lowest))
    first = replace(target, users=target.users[:1])
    if large:
        recipe = Recipe(sizes=(LARGE,), shapes=("attachment",))
        boxes = [MailboxContent(f"{prefix}large", 1, recipe)]
        _fill_for(server, first, boxes, lambda row: "25 MB" in row.name)
    if big:
        _fill_for(server, first, [MailboxContent(f"{prefix}big", BIG)], lambda row: row.heavy)


def _more_than(users: int) -> Callable[[TableRow], bool]:
    return lambda row: row.connections > users


def _fill_for(
    server: MeasuredServer,
    target: Target,
    boxes: Sequence[MailboxContent],
    needed: Callable[[TableRow], bool],
) -> None:
    """_FillRun what some rows need; a server that cannot be filled so is unfit for them."""
    try:
        for box in boxes:
            _fill(target, box)
    except BenchError as error:
        for row in ROWS:
            if row.who == "readers" and needed(row):
                server.unfit.setdefault(row.name, f"it could not be filled for this: {error}")


def _fill(target: Target, box: MailboxContent) -> None:
    """_FillRun a mailbox of each user.

    Raises:
        BenchError: it was refused, or would take longer than SECONDS.
    """
    began = time.monotonic()
    late = False

    def watch(progress: FillProgress) -> None:
        nonlocal late
        taken = time.monotonic() - began
        done = (progress.messages + progress.there) / max(1, progress.wanted)
        if taken > LOOK_SECONDS and done * SECONDS < taken:
            late = True
            raise KeyboardInterrupt  # how `fill` is ended

    filling = FillSpec(
        target, messages=box.messages, mailboxes=(box.name,), recipe=box.recipe, same=True
    )
    progress = fill(filling, on_progress=watch)
    if late:
        taken = time.monotonic() - began
        raise BenchError(
            f"it took {progress.messages:,} of {progress.wanted:,} messages in {taken:.0f} s"
        )
    if progress.interrupted:
        raise KeyboardInterrupt
