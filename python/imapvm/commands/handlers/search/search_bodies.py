"""SEARCH where the index does not decide: digests and octets, by several processors."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Final

import trio

from imapvm._core import Gathering, Searching, UidSet, Undecided
from imapvm.commands.context import Context
from imapvm.filepool.store import AccountStore

FEW: Final = 64
"""Messages that are looked at where everybody waits: a thread costs as much as they do."""
AT_ONCE_OCTETS: Final = 256 * 1024
"""The most that is read of them there: about half a millisecond."""
STEP_OCTETS: Final = 4 * 1024 * 1024
"""Read in one transaction by a thread: some milliseconds. It can be cancelled in between."""


async def gather(ctx: Context, store: AccountStore, undecided: Undecided) -> bool:
    """Bring the header columns up to date, if that is worth it; then scan again.

    Returns:
        Whether something was gathered.

    Raises:
        StoreUnavailableError: the filepool cannot be read now.
        CorruptError: a segment is damaged.
    """
    with store.reading() as reader:
        parts = undecided.gather(reader.snapshot, _threads(ctx))
    if not parts:
        return False
    await _finish(ctx, store, parts, are_few=sum(map(len, parts)) <= FEW)
    undecided.keep(parts)
    return True


async def decide(ctx: Context, store: AccountStore, undecided: Undecided) -> UidSet:
    """Return the UIDs of those messages that match.

    Raises:
        StoreUnavailableError: the filepool cannot be read now.
        CorruptError: a digest or message is damaged.
    """
    are_few = len(undecided) <= FEW
    parts = undecided.parts(1 if are_few else _threads(ctx))
    await _finish(ctx, store, parts, are_few=are_few)
    return reduce(or_, (part.found for part in parts), UidSet())


def _threads(ctx: Context) -> int:
    return int(ctx.services.search_threads.total_tokens)


async def _finish(
    ctx: Context,
    store: AccountStore,
    parts: Sequence[Searching | Gathering],
    *,
    are_few: bool,
) -> None:
    """Go through all parts, each in a thread unless they are few and soon done."""
    if are_few:
        parts = [part for part in parts if not _step(store, part, AT_ONCE_OCTETS)]
    if not parts:
        return
    faults: list[Exception] = []

    async def finish(part: Searching | Gathering) -> None:
        try:
            await trio.to_thread.run_sync(
                _finish_on, store, part, limiter=ctx.services.search_threads
            )
        except Exception as fault:
            faults.append(fault)

    async with trio.open_nursery() as nursery:
        for part in parts:
            nursery.start_soon(finish, part)
    if faults:
        raise faults[0]


def _finish_on(store: AccountStore, part: Searching | Gathering) -> None:
    """Go through a part to its end, in a thread: one short transaction after the other."""
    decided = False
    while not decided:
        trio.from_thread.check_cancelled()
        decided = _step(store, part, STEP_OCTETS)


def _step(store: AccountStore, part: Searching | Gathering, most: int) -> bool:
    with store.reading() as reader:
        return part.step(reader.snapshot, most)
