"""A whole server in one tree of tasks, and clients that speak to it by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import argon2
import trio

from imapvm.auth.passwords import hash_password
from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.server.roles import serve
from imapvm.server.settings import Listening, Settings

CHEAP = hash_password(b"secret", parameters=argon2.profiles.CHEAPEST)
MESSAGE = b"From: a@example.org\r\nSubject: hello\r\n\r\nSome text.\r\n"
MIB = 1024 * 1024


class Client:
    """Speaks IMAP by hand: what is sent is sent as it is."""

    opened: ClassVar[list[trio.abc.Stream]] = []

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.rest = b""
        self.opened.append(stream)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def line(self) -> bytes:
        """The next line, or b"" at the end."""
        while b"\n" not in self.rest:
            try:
                data = await self.stream.receive_some()
            except trio.BrokenResourceError:
                data = b""
            if not data:
                rest, self.rest = self.rest, b""
                return rest
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        return line + b"\n"

    async def until(self, start: bytes) -> list[bytes]:
        """Lines up to one that begins so."""
        lines = []
        with trio.fail_after(20):
            while not (line := await self.line()).startswith(start):
                assert line, f"the server hung up before {start!r}; it said {lines}"
                lines.append(line)
        return [*lines, line]

    async def command(self, command: bytes) -> list[bytes]:
        await self.send(b"t " + command + b"\r\n")
        return await self.until(b"t ")

    async def all(self) -> bytes:
        """Everything up to the end."""
        parts = []
        with trio.fail_after(20):
            while line := await self.line():
                parts.append(line)
        return b"".join(parts)


class Server:
    def __init__(self, listening: Listening, settings: Settings, stop: trio.CancelScope) -> None:
        self.listening = listening
        self.settings = settings
        self.stop = stop

    async def connect(self) -> Client:
        assert self.listening.imap is not None
        client = Client(await trio.open_tcp_stream(*self.listening.imap))
        assert (await client.line()).startswith(b"* OK [CAPABILITY IMAP4rev1")
        return client

    async def signed_in(self, user: bytes = b"ada") -> Client:
        client = await self.connect()
        assert (await client.command(b"LOGIN " + user + b" secret"))[-1].startswith(b"t OK")
        return client

    async def idling(self) -> Client:
        client = await self.signed_in()
        await client.command(b"SELECT INBOX")
        await client.send(b"i IDLE\r\n")
        assert (await client.until(b"+ "))[-1].startswith(b"+ ")
        return client


@asynccontextmanager
async def running(folder: Path, **options) -> AsyncIterator[Server]:
    filepool = folder / "filepool"
    create_filepool(filepool)
    async with open_filepool(filepool) as pool:
        for name in ("ada", "grace"):
            await pool.accounts.enroll(name, CHEAP)
    settings = Settings(
        filepool=filepool,
        spool=folder / "spool",
        imap=("127.0.0.1:0",),
        lmtp=("127.0.0.1:0",),
        **options,
    )
    async with trio.open_nursery() as nursery:
        stop = trio.CancelScope()

        async def served(*, task_status: trio.TaskStatus[Listening]) -> None:
            with stop:
                await serve(settings, task_status=task_status)

        yield Server(await nursery.start(served), settings, stop)
        stop.cancel()
    while Client.opened:
        await trio.aclose_forcefully(Client.opened.pop())


async def lmtp(server: Server, recipient: bytes, message: bytes = MESSAGE) -> bytes:
    """Deliver a message; returns the reply behind its end."""
    assert server.listening.lmtp is not None
    client = Client(await trio.open_tcp_stream(*server.listening.lmtp))
    await client.until(b"220 ")
    for said, reply in (
        (b"LHLO client", b"250 "),
        (b"MAIL FROM:<a@example.org>", b"250 "),
        (b"RCPT TO:<" + recipient + b">", b"250 "),
        (b"DATA", b"354 "),
    ):
        await client.send(said + b"\r\n")
        await client.until(reply)
    await client.send(message + b".\r\n")
    return await client.line()


def anonymous_memory() -> int:
    """RssAnon of this process, in octets."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


async def line(client: trio.SocketStream) -> bytes:
    """All that comes up to a line's end."""
    data = b""
    while not data.endswith(b"\n"):
        more = await client.receive_some()
        if not more:
            break
        data += more
    return data


async def until(condition) -> None:
    """Let everybody go on until something is true."""
    with trio.fail_after(10):
        while not condition():
            await trio.lowlevel.checkpoint()
