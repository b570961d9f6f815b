"""Whole server, in this process or in several, and simple clients for it."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, Protocol

import argon2
import msgspec
import trio

from imapvm.auth.passwords import hash_password
from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.server.roles import serve
from imapvm.server.settings import Listening, Settings

CHEAP = hash_password(b"secret", parameters=argon2.profiles.CHEAPEST)
MESSAGE = b"From: a@example.org\r\nSubject: hello\r\n\r\nSome text.\r\n"
MIB = 1024 * 1024


class Client:
    """IMAP client that sends bytes unchanged."""

    opened: ClassVar[list[trio.abc.Stream]] = []

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.buffer = b""
        self.opened.append(stream)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def line(self) -> bytes:
        """Return the next line, or b"" at the end."""
        while b"\n" not in self.buffer:
            try:
                data = await self.stream.receive_some()
            except trio.BrokenResourceError:
                data = b""
            if not data:
                tail, self.buffer = self.buffer, b""
                return tail
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    async def literal(self, size: int) -> bytes:
        """Return the next bytes."""
        while len(self.buffer) < size:
            self.buffer += await self.stream.receive_some()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    async def until(self, start: bytes) -> list[bytes]:
        """Return lines up to one that starts with `start`."""
        lines = []
        with trio.fail_after(20):
            while not (line := await self.line()).startswith(start):
                assert line, f"connection closed before {start!r}, after {lines}"
                lines.append(line)
        return [*lines, line]

    async def command(self, command: bytes) -> list[bytes]:
        await self.send(b"t " + command + b"\r\n")
        return await self.until(b"t ")

    async def all(self) -> bytes:
        """Return everything up to the end."""
        parts = []
        with trio.fail_after(20):
            while line := await self.line():
                parts.append(line)
        return b"".join(parts)


class Stop(Protocol):
    """Shuts a server down."""

    def cancel(self) -> None: ...


class Server:
    def __init__(self, listening: Listening, settings: Settings, stop: Stop) -> None:
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


async def enroll_users(filepool: Path, users: Iterable[str]) -> None:
    """Create a filepool with users whose password is `secret`, with a cheap hash."""
    create_filepool(filepool)
    async with open_filepool(filepool) as pool:
        for user in users:
            await pool.accounts.enroll(user, CHEAP)


@asynccontextmanager
async def running(folder: Path, **options) -> AsyncIterator[Server]:
    filepool = folder / "filepool"
    await enroll_users(filepool, ("ada", "grace"))
    settings = Settings(
        filepool=filepool,
        spool=folder / "spool",
        imap=("127.0.0.1:0",),
        lmtp=("127.0.0.1:0",),
        **options,
    )
    if settings.workers:
        async with in_processes(folder, settings) as server:
            yield server
    else:
        async with in_this_process(settings) as server:
            yield server
    while Client.opened:
        await trio.aclose_forcefully(Client.opened.pop())


@asynccontextmanager
async def in_this_process(settings: Settings) -> AsyncIterator[Server]:
    async with trio.open_nursery() as nursery:
        stop = trio.CancelScope()

        async def served(*, task_status: trio.TaskStatus[Listening]) -> None:
            with stop:
                await serve(settings, task_status=task_status)

        yield Server(await nursery.start(served), settings, stop)
        stop.cancel()


MASTER = """
import sys
from pathlib import Path
import msgspec
from imapvm.ops import logs
from imapvm.ops.serving.run import serve_until_stopped
from imapvm.server.settings import Settings

def read():
    text = Path(sys.argv[1]).read_bytes()
    return msgspec.json.decode(text, type=Settings, dec_hook=lambda kind, text: kind(text))

def ready(listening):
    print(msgspec.json.encode(listening).decode(), flush=True)

logs.configure(style=read().log_format, level="info")
sys.exit(serve_until_stopped(read(), ready, read))
"""


class Processes(Server):
    """Server of several processes: a master, and its children by name."""

    def __init__(
        self, listening: Listening, settings: Settings, master: trio.Process, folder: Path
    ) -> None:
        super().__init__(listening, settings, self)
        self.master = master
        self.folder = folder
        self.stdout: trio.abc.ReceiveStream = master.stdout

    def cancel(self) -> None:
        self.master.terminate()

    def configure(self, settings: Settings) -> None:
        """Write the settings for the next reload."""
        text = msgspec.json.encode(settings, enc_hook=str)
        (self.folder / "settings.json").write_bytes(text)

    async def reload(self) -> None:
        """Reload; return when the new workers serve."""
        self.master.send_signal(signal.SIGHUP)
        assert await self.stdout.receive_some(), self.log

    def pids(self) -> dict[str, int]:
        """Return the children by name, `worker-1` …; of two with one name the younger."""
        pid = self.master.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        found = {}
        for child in sorted(map(int, children)):
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            except FileNotFoundError:
                continue
            if b"role" in words:
                found[words[words.index(b"role") + 1].decode()] = child
        return found

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def events(self, name: str) -> list[dict[str, object]]:
        """Return the fields of the events with this name, of all processes."""
        lines = self.log.splitlines()
        found = [msgspec.json.decode(line) for line in lines if line.startswith("{")]
        return [fields for fields in found if fields["event"] == name]


@asynccontextmanager
async def in_processes(folder: Path, settings: Settings) -> AsyncIterator[Processes]:
    text = msgspec.json.encode(settings, enc_hook=str)
    (folder / "settings.json").write_bytes(text)
    with (folder / "log").open("wb") as log:
        master = await trio.lowlevel.open_process(
            [sys.executable, "-c", MASTER, str(folder / "settings.json")],
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        with trio.fail_after(30):
            output = await master.stdout.receive_some()
        assert output, (folder / "log").read_text()
        yield Processes(msgspec.json.decode(output, type=Listening), settings, master, folder)
        if master.returncode is None:
            master.terminate()
        with trio.fail_after(30):
            await master.wait()
    finally:
        master.kill()
        with trio.CancelScope(shield=True):
            await master.wait()
            await master.stdout.aclose()


async def lmtp(server: Server, recipient: bytes, message: bytes = MESSAGE) -> bytes:
    """Deliver a message; return the reply to its end."""
    assert server.listening.lmtp is not None
    client = Client(await trio.open_tcp_stream(*server.listening.lmtp))
    await client.until(b"220 ")
    for command, reply in (
        (b"LHLO client", b"250 "),
        (b"MAIL FROM:<a@example.org>", b"250 "),
        (b"RCPT TO:<" + recipient + b">", b"250 "),
        (b"DATA", b"354 "),
    ):
        await client.send(command + b"\r\n")
        await client.until(reply)
    await client.send(message + b".\r\n")
    return await client.line()


def anonymous_memory() -> int:
    """Return RssAnon of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


async def line(client: trio.SocketStream) -> bytes:
    """Return all bytes up to the end of a line."""
    data = b""
    while not data.endswith(b"\n"):
        more = await client.receive_some()
        if not more:
            break
        data += more
    return data


async def until(condition) -> None:
    """Let other tasks run until a condition holds."""
    with trio.fail_after(10):
        while not condition():
            await trio.lowlevel.checkpoint()
