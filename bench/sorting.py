"""Time of SORT and THREAD in a large mailbox, in one process without a socket.

    python bench/sorting.py [messages]

Each command runs cold (no keys in memory; the data file is in the page cache), then again. "loop"
is the longest time that the event loop did not run another task meanwhile.
"""

import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Final

import trio

from imapvm._core import KeyColumns
from imapvm.commands.context import Context
from imapvm.commands.dispatch import run
from imapvm.commands.services import Services
from imapvm.filepool.pool import Filepool, create_filepool, open_filepool
from imapvm.filepool.store import AccountStore, NewMessage
from imapvm.model.limits import KEY_COLUMNS_BYTES_MAX
from imapvm.model.stepping import suspend
from imapvm.session.session import Session

MESSAGES: Final = 100_000
BATCH: Final = 1000
AGAIN: Final = 5
COMMANDS: Final = (
    "SORT (ARRIVAL) UTF-8 ALL",
    "SORT (DATE) UTF-8 ALL",
    "SORT (SUBJECT) UTF-8 ALL",
    "SORT (DISPLAYFROM REVERSE DATE) UTF-8 ALL",
    "UID SORT RETURN (ALL COUNT) (REVERSE SUBJECT) UTF-8 ALL",
    "THREAD ORDEREDSUBJECT UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
    "THREAD REFS UTF-8 ALL",
)


class SilentChannel:
    """Channel that accepts all output."""

    waiting = 0
    can_start_tls = False
    tls_version = None
    while_connected = staticmethod(nullcontext)

    def __init__(self) -> None:
        self.sent = 0

    async def read(self) -> bytes:
        return b""

    def write_nowait(self, data: bytes) -> None:
        self.sent += len(data)

    async def write(self, data: bytes) -> None:
        await suspend()
        await trio.lowlevel.checkpoint()
        self.write_nowait(data)

    async def start_tls(self) -> None:
        raise trio.BrokenResourceError


def message(number: int, chance: Random) -> bytes:
    """Return a message of a busy mailing list: three of five answer another."""
    sender = chance.randrange(3000)
    references, subject = "", f"Subject number {number} about things"
    if number > 10 and chance.random() < 0.6:
        parent = max(1, number - chance.randrange(1, 2000))
        above = range(chance.randrange(6), -1, -1)
        ids = " ".join(f"<{max(1, parent - n * 7)}.0123456789abcdef@x.example>" for n in above)
        references = f"References: {ids}\r\n"
        subject = f"Re: [list] Subject number {parent} about things"
    return (
        f"Return-Path: <sender{sender}@example.org>\r\n"
        "Received: from a.example by b.example with ESMTPS id 0123456789; 1 Jan 2024 00:00:00\r\n"
        f"Date: {1 + number % 28} Jan {2000 + number % 24} {number % 24:02}:{number % 60:02}\r\n"
        f'From: "Person Number {sender}" <sender{sender}@example.org>\r\n'
        f"To: user{number % 50}@example.org, other@example.com\r\n"
        f"Subject: {subject}\r\n"
        f"Message-ID: <{number}.0123456789abcdef@x.example>\r\n"
        f"{references}"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        f"Text of message {number}.\r\n"
    ).encode()


async def fill(store: AccountStore, count: int) -> None:
    """Append messages to INBOX."""
    chance = Random(1)
    with store.reading() as reader:
        mailbox = reader.mailbox("INBOX")
    assert mailbox is not None
    for start in range(0, count, BATCH):
        new = []
        for number in range(start + 1, min(start + BATCH, count) + 1):
            body = store.new_body()
            body.feed(message(number, chance))
            date = 1_700_000_000 + number * 60
            new.append(NewMessage(body.finish(), flags=0, keywords=(), date=date, zone=0))
        await store.append(mailbox.id, new)


class LocalClient:
    """Connection without a socket."""

    def __init__(self, pool: Filepool, store: AccountStore) -> None:
        services = Services(pool=pool, authenticator=None, clock=time.time)  # type: ignore[arg-type]
        self.channel = SilentChannel()
        session: Session[AccountStore] = Session(peer="::1", tls=True, plain_allowed=True)
        self.ctx = Context(self.channel, services, session)
        self.ctx.sign_in(store)

    async def do(self, command: str) -> float:
        """Run a command; return its time in milliseconds."""
        start = time.perf_counter()
        self.ctx.reader.feed(f"a {command}\r\n".encode())
        event = self.ctx.reader.next()
        assert event is not None
        self.ctx.services.turns.begin()
        suspended = run(self.ctx, event)
        if suspended is not None:
            await suspended
        last = bytes(self.ctx.out.take())
        assert b"a OK" in last, last[-200:]
        return (time.perf_counter() - start) * 1000


class Loop:
    """Longest time between two steps of a task that does nothing."""

    longest = 0.0

    async def run(self) -> None:
        before = time.perf_counter()
        while True:
            await trio.sleep(0.0005)
            now = time.perf_counter()
            self.longest = max(self.longest, now - before)
            before = now


async def main(count: int, path: Path) -> None:
    create_filepool(path / "filepool", groups=1)
    async with open_filepool(path / "filepool") as pool, trio.open_nursery() as nursery:
        store = pool.account(await pool.accounts.enroll("alice", "x"))
        await fill(store, count)
        client, loop = LocalClient(pool, store), Loop()
        await client.do("SELECT INBOX")
        nursery.start_soon(loop.run)
        print(f"{count:,} messages; milliseconds")
        for command in COMMANDS:
            for group in pool.groups:
                group.key_columns = pool.key_columns = KeyColumns(KEY_COLUMNS_BYTES_MAX)
            await trio.sleep(0.01)
            loop.longest = 0
            cold = await client.do(command)
            memory = pool.key_columns.memory_bytes / 1e6
            again = sorted([await client.do(command) for _ in range(AGAIN)])[AGAIN // 2]
            print(
                f"{command:58} cold {cold:6.1f}  again {again:6.1f}  loop {loop.longest * 1e3:5.1f}"
                f"  memory {memory:4.1f} MB"
            )
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES, Path(directory))
