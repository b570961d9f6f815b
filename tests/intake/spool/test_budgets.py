"""Budgets of time: no spool file and no LMTP peer blocks the event loop.

The goal is 100 ms. The bound here is larger, for a machine that runs other work as well; the errors
that these tests were written for blocked the loop for 2 to 60 seconds.
"""

import itertools

import pytest
import trio
from tests.intake.spooling import probing, until, watching

from imapvm.intake.deliver import Deliverer
from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.intake.pacing import SLICE_SECONDS, Pacer
from imapvm.intake.spool import watcher

HEAD = b"MAIL FROM:<a@x>\r\nRCPT TO:<bob>\r\nDATA\r\n"


def recipients(count, tail=b""):
    return b"".join(b"RCPT TO:<u%d@x>%s\r\n" % (n, tail) for n in range(count))


FILES = {
    "bare line ends": b"\n" * (16 << 20),
    "empty lines": b"\r\n" * (8 << 20),
    "commands without effect": b"NOOP\r\n" * (2 << 20),
    "commands in a reset envelope": (b"MAIL FROM:<a>\r\n" + recipients(9000) + b"RSET\r\n") * 40,
    "empty lines after QUIT": HEAD + b".\r\nQUIT\r\n" + b"\r\n" * (2 << 20),
    "a line without end": HEAD[:30] + b"x" * (16 << 20),
    "a message of bare line ends": HEAD + b"\n" * (32 << 20) + b"\r\n.\r\n",
    "a message of dots": HEAD + b"..\r\n" * (8 << 20) + b".\r\n",
    "a message that does not end": HEAD + b".\n" * (16 << 20),
    "many messages": (HEAD + b".\r\n") * 1001,
    "many recipients": b"MAIL FROM:<a@x>\r\n"
    + recipients(10_000, b" ORCPT=rfc822;" + b"x" * 330)
    + b"DATA\r\n\r\n.\r\n",
    "many messages with many recipients": (
        b"MAIL FROM:<a@x>\r\n" + recipients(100) + b"DATA\r\nSubject: x\r\n\r\n.\r\n"
    )
    * 1000,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "unknown"),
    [(name, "hold") for name in FILES]
    + [(name, what) for name in FILES if "recipients" in name for what in ("bounce", "discard")],
)
async def test_no_spool_file_blocks_the_event_loop(spool, fake, name, unknown, monkeypatch):
    monkeypatch.setattr(watcher, "RETRY_SECONDS_MAX", 0.01)
    settings = DeliverySettings(hostname="h", unknown=unknown, sendmail=("/bin/true",))
    (spool / "new" / "a").write_bytes(FILES[name])
    (spool / "new" / "b").write_bytes(HEAD + b"other\r\n.\r\n")
    async with probing(), watching(spool, Deliverer(fake, settings)):
        await until(lambda: any(b"other" in data for data in fake.bodies_of("bob")))
        await until(lambda: not (spool / "cur" / "a").exists())


@pytest.mark.slow
async def test_fifty_thousand_files_do_not_block_the_event_loop(spool, deliverer, fake):
    for number in range(50_000):
        (spool / "new" / str(number)).write_bytes(HEAD + b"x\r\n.\r\n")
    async with probing(), watching(spool, deliverer):
        await until(lambda: len(fake.stored) == 50_000, 300)


async def test_tasks_that_share_a_pacer_share_its_slice(monkeypatch):
    now = 0.0
    monkeypatch.setattr("imapvm.intake.pacing.perf_counter", lambda: now)
    pacer = Pacer()
    worked = []

    async def work(name):
        nonlocal now
        for _ in range(10):
            now += SLICE_SECONDS
            worked.append(name)
            await pacer.pause()

    turns = []

    async def count_turns():
        while True:
            turns.append(len(worked))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        async with trio.open_nursery() as workers:
            for name in "abc":
                workers.start_soon(work, name)
        nursery.cancel_scope.cancel()
    assert sorted(worked) == sorted("abc" * 10)
    steps = [after - before for before, after in itertools.pairwise(turns)]
    assert max(steps[2:]) == 1  # the first step of each task is before its first pause


async def test_work_within_the_slice_does_not_wait():
    pacer = Pacer()
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        await pacer.pause()
        before = turns
        for _ in range(10):
            await pacer.pause()
        assert turns == before
        nursery.cancel_scope.cancel()
