r"""Memory and time of NOTIFY (RFC 5465): many sessions, each watching many mailboxes.

    python -m bench.notify [sessions [mailboxes]]

In one process, without sockets. Each session is of an account of its own, with INBOX selected; one
half watches PERSONAL, the other one names each mailbox. The memory is what NOTIFY adds to an idle
session, all parts of the process included.
"""

import gc
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import trio

from bench.sorting import LocalClient
from imapvm.commands.services import Services
from imapvm.filepool.pool import Filepool, create_filepool, open_filepool
from imapvm.filepool.store import AccountStore, NewMessage
from imapvm.server.imap.connections import Connections
from imapvm.server.imap.notifier import Notifier

SESSIONS: Final = 5000
MAILBOXES: Final = 100
DELIVERIES: Final = 1000
AT_ONCE: Final = 64
BOUND_KIB: Final = 10.0
EVENTS: Final = "MessageNew MessageExpunge FlagChange MailboxName"


def resident_kib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1024


def anonymous_kib() -> float:
    """Return memory that is not mapped from files: LMDB's pages are shared with other processes."""
    gc.collect()
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return float(line.split()[1])
    return resident_kib()


async def enroll(pool: Filepool, number: int, mailboxes: int) -> AccountStore:
    store = pool.account(await pool.accounts.enroll(f"user{number}", "x"))
    for mailbox in range(mailboxes - 6):
        await store.create_mailbox(f"Projects/{mailbox:03}")
    return store


async def enroll_all(pool: Filepool, sessions: int, mailboxes: int) -> list[AccountStore]:
    stores: list[AccountStore] = []

    async def some(first: int) -> None:
        numbers = range(first, sessions, AT_ONCE)
        stores.extend([await enroll(pool, number, mailboxes) for number in numbers])

    async with trio.open_nursery() as nursery:
        for first in range(AT_ONCE):
            nursery.start_soon(some, first)
    return stores


class Watching(LocalClient):
    """Client whose process has one set of services, as a server has."""

    def __init__(self, services: Services, store: AccountStore) -> None:
        super().__init__(services.pool, store)
        self.ctx.services = services

    async def do(self, command: str) -> float:
        milliseconds = await super().do(command)
        if self.ctx.session.interest is not None:
            self.ctx.rest()
        return milliseconds


async def deliver(store: AccountStore, name: str) -> float:
    """Append a message; return the time in milliseconds."""
    with store.reading() as reader:
        mailbox = reader.mailbox(name)
    assert mailbox is not None
    body = store.new_body()
    body.feed(b"Subject: x\r\n\r\nx\r\n")
    message = NewMessage(body.finish(), flags=0, keywords=(), date=0, zone=0)
    start = time.perf_counter()
    await store.append(mailbox.id, [message])
    return (time.perf_counter() - start) * 1000


async def deliveries(stores: list[AccountStore], name: str) -> float:
    """Return the median time of a delivery."""
    times = [await deliver(stores[n % len(stores)], name) for n in range(DELIVERIES)]
    return sorted(times)[DELIVERIES // 2]


async def main(sessions: int, mailboxes: int, path: Path) -> None:
    create_filepool(path / "filepool", groups=1)
    async with open_filepool(path / "filepool") as pool, trio.open_nursery() as nursery:
        stores = await enroll_all(pool, sessions, mailboxes)
        services = Services(pool=pool, authenticator=None, clock=time.time)  # type: ignore[arg-type]
        notifier = Notifier(services, Connections())
        pool.on_changes = notifier.notify
        nursery.start_soon(notifier.push_forever)
        clients = [Watching(services, store) for store in stores]
        for client in clients:
            await client.do("EXAMINE INBOX")
        await clients[0].do(f"NOTIFY SET (PERSONAL ({EVENTS}))")
        before_ms = await deliveries(stores[1:], "Projects/000")
        names = " ".join(f"Projects/{number:03}" for number in range(mailboxes - 6))
        print(f"{sessions:,} sessions, {mailboxes} mailboxes each")
        half = sessions // 2
        for text, some, command in (
            ("PERSONAL", clients[:half], f"(PERSONAL ({EVENTS}))"),
            ("MAILBOXES", clients[half:], f"(MAILBOXES (INBOX {names}) ({EVENTS}))"),
        ):
            before = anonymous_kib()
            start = time.perf_counter()
            for client in some:
                await client.do(f"NOTIFY SET (SELECTED ({EVENTS.rsplit(maxsplit=1)[0]})) {command}")
            taken = (time.perf_counter() - start) / half * 1000
            each = (anonymous_kib() - before) / half
            print(
                f"{text:10} {each:4.1f} KiB a session, bound {BOUND_KIB:.0f}; {taken:.2f} ms each"
            )
        sent = sum(client.channel.sent for client in clients)
        after_ms = await deliveries(stores, "Projects/000")
        statuses = sum(client.channel.sent for client in clients) - sent
        print(f"delivery to an account that no session watches: {before_ms:.2f} ms")
        print(f"delivery with its notification: {after_ms:.2f} ms; {statuses:,} bytes sent")
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        arguments = [int(word) for word in sys.argv[1:]]
        trio.run(main, *(arguments + [SESSIONS, MAILBOXES][len(arguments) :]), Path(directory))
