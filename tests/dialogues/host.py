"""A whole server in memory for dialogues: a filepool on disk, connections without sockets."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio
from imapvm.filepool.accounts import Account
from imapvm.filepool.pool import Filepool, create_filepool, open_filepool
from imapvm.filepool.store import AccountStore

from imapvm._core import STORE_ADD, UidSet
from imapvm.commands import dispatch
from imapvm.commands.anytime import offered
from imapvm.commands.context import SEND_OCTETS, Context, Disconnected
from imapvm.commands.services import Services
from imapvm.filepool.messages import NewMessage
from imapvm.model.flags import SYSTEM_FLAG_NAMES
from imapvm.protocol.greeting import greet
from imapvm.session.session import Session

USER, PASSWORD = "alice", b"secret"
NEW_YEAR = 1704067200  # 2024-01-01 00:00:00 UTC
CLOCK = NEW_YEAR + 86400 * 30


class Line:
    """One connection: what the server writes is read by lines, and the other way round."""

    def __init__(self) -> None:
        self.to_server, self._from_client = trio.open_memory_channel[bytes](math.inf)
        self.heard = bytearray()
        self.closed = False
        self._news = trio.Event()
        self.tls = False
        self.can_start_tls = False
        self.waiting = 0

    # --- what commands see (imapvm.commands.context.Channel) ---

    async def read(self) -> bytes:
        try:
            return await self._from_client.receive()
        except trio.EndOfChannel:
            return b""

    def write_nowait(self, data: bytes) -> None:
        self.heard += data
        self._wake()

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.write_nowait(data)

    async def start_tls(self) -> None:
        await trio.lowlevel.checkpoint()
        self.tls, self.can_start_tls = True, False

    def close(self) -> None:
        self.closed = True
        self._wake()

    # --- what a client does ---

    def send(self, data: bytes) -> None:
        if not self.closed:
            self.to_server.send_nowait(data)

    async def hear_line(self) -> str | None:
        """The next line without its end; None where the server has hung up."""
        while b"\n" not in self.heard:
            if self.closed:
                assert not self.heard, f"half a line: {bytes(self.heard)!r}"
                return None
            self._news = trio.Event()
            await self._news.wait()
        line, _, rest = bytes(self.heard).partition(b"\r\n")
        self.heard[:] = rest
        return line.decode("utf-8", "backslashreplace")

    def _wake(self) -> None:
        self._news.set()


class OneUser:
    """Knows alice."""

    def __init__(self, pool: Filepool) -> None:
        self.pool = pool

    async def login(self, name: str, password: bytes, *, peer: str) -> Account | None:
        await trio.lowlevel.checkpoint()
        return self.pool.accounts.find(name) if password == PASSWORD else None


@dataclass
class Host:
    """The server, and the way in."""

    services: Services
    nursery: trio.Nursery

    def connect(
        self, *, tls: bool = False, plain: bool = True, can_start_tls: bool = False
    ) -> Line:
        line = Line()
        line.tls, line.can_start_tls = tls, can_start_tls
        self.nursery.start_soon(self._serve, line, plain)
        return line

    async def _serve(self, line: Line, plain: bool) -> None:
        session: Session[AccountStore] = Session(peer="test", tls=line.tls, plain_allowed=plain)
        ctx = Context(line, self.services, session)
        try:
            greet(ctx.out, offered(ctx))
            while not session.over:
                event = ctx.reader.next()
                if event is None:
                    await ctx.flush()
                    await ctx.receive()
                    continue
                waiting = dispatch.run(ctx, event)
                if waiting is not None:
                    await waiting
                if len(ctx.out) >= SEND_OCTETS:
                    await ctx.flush()
            await ctx.flush()
        except Disconnected:
            pass
        finally:
            line.close()

    @property
    def store(self) -> AccountStore:
        account = self.services.pool.accounts.find(USER)
        assert account is not None
        return self.services.pool.account(account)

    async def put(self, mailbox: str, uids: list[int]) -> None:
        """Make a mailbox hold messages with exactly these new UIDs."""
        store = self.store
        with store.reading() as reader:
            row = reader.mailbox(mailbox)
        if row is None:
            row = await store.create_mailbox(mailbox)
        if not uids:
            return
        messages = []
        for uid in range(row.uid_next, max(uids) + 1):
            writer = self.services.pool.new_body()
            if writer.feed(message(uid)):
                await writer.spill()
            messages.append(
                NewMessage(writer.finish(), flags=0, keywords=(), date=NEW_YEAR + uid, zone=0)
            )
        appended = await store.append(row.id, messages)
        unwanted = appended.uids - UidSet.of(uids)
        if unwanted:
            await self.flag(mailbox, unwanted, [r"\Deleted"])
            await store.expunge(row.id, unwanted)

    async def flag(self, mailbox: str, uids: UidSet, names: list[str]) -> None:
        with self.store.reading() as reader:
            row = reader.mailbox(mailbox)
        assert row is not None
        bits = {name: int(flag) for flag, name in SYSTEM_FLAG_NAMES.items()}
        await self.store.store_flags(
            row.id,
            uids,
            mode=STORE_ADD,
            flags=sum(bits.get(name, 0) for name in names),
            keywords=tuple(name for name in names if name not in bits),
        )


def message(uid: int) -> bytes:
    """A message that says which it is."""
    return (
        f"Date: Mon, 1 Jan 2024 00:00:{uid:02} +0000\r\n"
        f"From: Fred <fred@example.com>\r\n"
        f"To: alice@example.com\r\n"
        f"Subject: message {uid}\r\n"
        f"Message-ID: <{uid}@example.com>\r\n"
        f"\r\n"
        f"Body of {uid}.\r\n"
    ).encode()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Host]:
    """A server with alice, who has INBOX and what every new user gets."""
    create_filepool(folder / "filepool")
    async with open_filepool(folder / "filepool", clock=lambda: CLOCK) as pool:
        await pool.accounts.enroll(USER, "x")
        services = Services(pool=pool, authenticator=OneUser(pool), clock=lambda: CLOCK)
        pool.on_news = services.idlers.push
        async with trio.open_nursery() as nursery:
            yield Host(services, nursery)
            nursery.cancel_scope.cancel()
