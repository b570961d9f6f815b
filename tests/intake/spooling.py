"""Running a spool watcher, and inspecting its spool."""

import contextlib
import gc
from time import process_time

import trio
from tests.intake.fakes import message_of

from imapvm.intake.spool.watcher import watch_spool


@contextlib.asynccontextmanager
async def watching(spool, deliverer):
    async with trio.open_nursery() as nursery:
        await nursery.start(watch_spool, spool, deliverer)
        yield nursery
        nursery.cancel_scope.cancel()


async def until(condition, seconds=60):
    """Wait for a condition that a file event or another task makes true."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - a directory has no event
            await trio.sleep(seconds / 6000)


async def emptied(spool, seconds=60):
    await until(lambda: not names(spool, "new") and not names(spool, "cur"), seconds)


def names(spool, part):
    return sorted(p.name for p in (spool / part).iterdir())


def message(text):
    return [b"Subject: " + text.encode() + b"\r\n\r\n.\r\nhi\r\n"]


def subjects(fake, name="bob"):
    return [message_of(o).split(b"\r\n")[0].decode()[9:] for o in fake.bodies_of(name)]


GAP_SECONDS_MAX = 0.3
"""Bound of `probing`, in processor time of the process: a busy machine pauses a process for a
second. The goal is 0.1. The errors that these tests were written for took 2 to 60 seconds."""


@contextlib.asynccontextmanager
async def probing():
    """Measure the largest processor time between two turns of the event loop, and check it.

    What earlier tests have left is hidden from garbage collection, as `imapvm serve` hides what
    lives as long as the process: a full collection of a pytest process takes a second.
    """
    largest = 0.0

    async def probe():
        nonlocal largest
        last = process_time()
        while True:
            await trio.sleep(0.001)
            largest = max(largest, process_time() - last)
            last = process_time()

    gc.collect()
    gc.freeze()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(probe)
            await trio.sleep(0.01)
            yield
            nursery.cancel_scope.cancel()
    finally:
        gc.unfreeze()
    assert largest < GAP_SECONDS_MAX
