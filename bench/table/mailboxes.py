"""Mailboxes of the rows, with the same bytes on every server."""

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
"""A server that takes longer to fill for some rows is left out of them."""
LOOK_SECONDS: Final = 20.0
"""Time after which the total is estimated."""

FEW: Final = 20
"""Messages in each INBOX."""

LARGE: Final = 25_000_000
"""Bytes of one message."""

SMALL: Final = Recipe(sizes=FOUR_KB.sizes, shapes=FOUR_KB.shapes)


@dataclass(frozen=True, slots=True)
class MailboxContent:
    """Mailbox and its messages."""

    name: str
    messages: int
    recipe: Recipe = SMALL


def fill_mailboxes(server: MeasuredServer, *, readers: int, big: bool, large: bool) -> None:
    """Fill INBOX and create `new` for readers; fill `big` and `large` for the first of them.

    Args:
        server: the server; rows that it cannot be filled for are added to its `unfit`.
        readers: number of users with mail.
        big: fill `big`.
        large: fill `large`.
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
    """Fill the mailboxes of some rows; mark the server unfit for them where that fails."""
    try:
        for box in boxes:
            _fill(target, box)
    except BenchError as error:
        for row in ROWS:
            if row.users == "readers" and needed(row):
                server.unfit.setdefault(row.name, f"cannot fill the mailbox: {error}")


def _fill(target: Target, box: MailboxContent) -> None:
    """Fill a mailbox of each user.

    Raises:
        BenchError: refused, or it would take longer than SECONDS.
    """
    began = time.monotonic()
    late = False

    def watch(progress: FillProgress) -> None:
        nonlocal late
        taken = time.monotonic() - began
        done = (progress.messages + progress.existing) / max(1, progress.wanted)
        if taken > LOOK_SECONDS and done * SECONDS < taken:
            late = True
            raise KeyboardInterrupt  # ends `fill`

    spec = FillSpec(
        target, messages=box.messages, mailboxes=(box.name,), recipe=box.recipe, same=True
    )
    progress = fill(spec, on_progress=watch)
    if late:
        taken = time.monotonic() - began
        raise BenchError(
            f"{progress.messages:,} of {progress.wanted:,} messages after {taken:.0f} s"
        )
    if progress.interrupted:
        raise KeyboardInterrupt
