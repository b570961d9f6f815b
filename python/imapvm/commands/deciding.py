"""SEARCH where the index does not decide: digests and octets, by several processors."""

from functools import reduce
from operator import or_
from typing import Final

import trio

from imapvm._core import Searching, UidSet, Undecided
from imapvm.commands.context import Context
from imapvm.filepool.store import AccountStore

FEW: Final = 64
"""Messages that are looked at where everybody waits: a thread costs as much as they do."""
AT_ONCE_OCTETS: Final = 256 * 1024
"""The most that is read of them there: about half a millisecond."""
STEP_OCTETS: Final = 4 * 1024 * 1024
"""Read in one transaction by a thread: some milliseconds. It can be cancelled in between."""


async def decide(ctx: Context, store: AccountStore, undecided: Undecided) -> UidSet:
    """Return the UIDs of those messages that match.

    Raises:
        StoreUnavailableError: the filepool cannot be read now.
        CorruptError: a digest or message is damaged.
    """
    limiter = ctx.services.search_threads
    if len(undecided) > FEW:
        parts = undecided.parts(int(limiter.total_tokens))
    else:
        parts = undecided.parts(1)
        for part in parts:
            with store.reading() as reader:
                if part.step(reader.snapshot, AT_ONCE_OCTETS):
                    return part.found
    faults: list[Exception] = []

    async def search(part: Searching) -> None:
        try:
            await trio.to_thread.run_sync(_search_on, store, part, limiter=limiter)
        except Exception as fault:
            faults.append(fault)

    async with trio.open_nursery() as nursery:
        for part in parts:
            nursery.start_soon(search, part)
    if faults:
        raise faults[0]
    return reduce(or_, (part.found for part in parts), UidSet())


def _search_on(store: AccountStore, part: Searching) -> None:
    """Search to the end, in a thread: one short transaction after the other."""
    decided = False
    while not decided:
        trio.from_thread.check_cancelled()
        with store.reading() as reader:
            decided = part.step(reader.snapshot, STEP_OCTETS)
