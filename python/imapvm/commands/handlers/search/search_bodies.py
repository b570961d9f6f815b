"""Search of messages that the index does not decide: metadata and message bytes, in threads."""

from collections.abc import Sequence
from functools import partial, reduce
from operator import or_
from typing import Final, TypeAlias

import trio

from imapvm._core import ColumnBuilder, KeyBuilder, SearchTask, UidSet, UndecidedMessages
from imapvm.commands.context import SelectedContext
from imapvm.commands.threads import run_in_threads
from imapvm.filepool.store import AccountStore

FEW: Final = 64
"""Messages that are searched on the event loop: starting a thread costs as much as they do."""
FEW_COMPARISONS: Final = 256
"""The same for messages times keys that read text: fewer messages if there are many keys."""
INLINE_BYTES_MAX: Final = 256 * 1024
"""Read from them on the event loop, at most: about half a millisecond."""
STEP_BYTES: Final = 4 * 1024 * 1024
"""Read by a thread in one transaction: some milliseconds. Cancellation is possible in between."""
STEP_BYTES_MIN: Final = 64 * 1024
"""Lower limit, for any number of keys."""

Part: TypeAlias = SearchTask | ColumnBuilder | KeyBuilder
"""Work that reads metadata or messages, in steps."""


async def gather(ctx: SelectedContext, undecided: UndecidedMessages) -> bool:
    """Bring the header columns up to date, if that pays off; then scan again.

    Returns:
        True if something was gathered.

    Raises:
        StoreUnavailableError: the filepool cannot be read now.
        CorruptError: a segment is corrupt.
    """
    with ctx.store.reading() as reader:
        parts = undecided.column_builders(reader.snapshot, thread_count(ctx))
    if not parts:
        return False
    await finish(ctx, parts, inline=sum(map(len, parts)) <= FEW)
    undecided.store_columns(parts)
    return True


async def search_bodies(ctx: SelectedContext, undecided: UndecidedMessages, texts: int) -> UidSet:
    """Return the UIDs of the messages that match.

    Args:
        ctx: runs the threads.
        undecided: the messages.
        texts: `BoundSearch.texts`; all bytes read are compared with so many keys.

    Raises:
        StoreUnavailableError: the filepool cannot be read now.
        CorruptError: message metadata or a message is corrupt.
    """
    inline = len(undecided) <= FEW and len(undecided) * texts <= FEW_COMPARISONS
    parts = undecided.search_tasks(1 if inline else thread_count(ctx))
    await finish(
        ctx, parts, inline=inline, max_bytes=max(STEP_BYTES // max(texts, 1), STEP_BYTES_MIN)
    )
    return reduce(or_, (part.found for part in parts), UidSet())


def thread_count(ctx: SelectedContext) -> int:
    """Return the number of search threads."""
    return int(ctx.services.search_threads.total_tokens)


async def finish(
    ctx: SelectedContext,
    parts: Sequence[Part],
    *,
    inline: bool,
    max_bytes: int = STEP_BYTES,
) -> None:
    """Work through all parts to their ends, each in a thread unless it ends inline."""
    store = ctx.store
    if inline:
        step = min(INLINE_BYTES_MAX, max_bytes)
        parts = [part for part in parts if not _step(store, part, step)]
    if parts:
        jobs = [partial(_finish_in_thread, store, part, max_bytes) for part in parts]
        await run_in_threads(ctx.services, jobs, ctx.progress)


def _finish_in_thread(store: AccountStore, part: Part, max_bytes: int) -> None:
    """Work through a part to its end, in one short transaction after the other."""
    done = False
    while not done:
        trio.from_thread.check_cancelled()
        done = _step(store, part, max_bytes)


def _step(store: AccountStore, part: Part, max_bytes: int) -> bool:
    with store.reading() as reader:
        return part.step(reader.snapshot, max_bytes)
