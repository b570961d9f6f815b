"""Server of several processes for a machine of mixed clients, and connections to it."""

import shutil
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

import trio
from tests.commands.mixed.backend import FAST, Loop, Stored
from tests.commands.mixed.model import Observed
from tests.server.whole import CHEAP, Processes, in_processes

from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.server.settings import Settings

SECONDS = 20.0
"""Longest time for a response."""
PUSH_SECONDS = 5.0
"""Longest time for an update in IDLE."""
COMPRESSED = 3
"""Each third connection uses COMPRESS."""


class WorkersBackend:
    """Server with workers; the filepool is open in this process as well, to read what it stored."""

    def __init__(self, users: tuple[str, ...], *, workers: int) -> None:
        self._users = users
        self._workers = workers
        self._links: list[SocketLink] = []
        self._home = Path(tempfile.mkdtemp(dir=FAST if FAST.is_dir() else None))
        self.loop = Loop(self._main)

    async def _main(self, loop: Loop) -> None:
        path = self._home / "filepool"
        create_filepool(path, groups=2)
        async with open_filepool(path) as pool:
            for user in self._users:
                await pool.accounts.enroll(user, CHEAP)
            self.stored = Stored(pool)
            await self.stored.create_team()
            settings = Settings(
                filepool=path,
                spool=self._home / "spool",
                imap=("127.0.0.1:0",),
                workers=self._workers,
            )
            async with in_processes(self._home, settings) as self.server:
                await loop.serve()
            lines = self.server.log.splitlines()
            assert [line for line in lines if line.split()[1:2] == ["error"]] == []
            assert pool.check().findings == ()

    def connect(self, user: str) -> "SocketLink":
        compress = len(self._links) % COMPRESSED == 0
        link = SocketLink(self.loop)
        self._links.append(link)
        self.loop.run(link.open, self.server, user, compress)
        return link

    def observe(self, user: str, name: str) -> Observed:
        observed: Observed = self.loop.run(self.stored.observe, user, name)
        return observed

    def share_seen(self, user: str, name: str, *, shared: bool) -> None:
        self.loop.run(self.stored.share_seen, user, name, shared)

    def set_member(self, user: str, *, member: bool) -> None:
        self.loop.run(self.stored.set_member, user, member)

    def forget_expunges(self) -> None:
        self.loop.run(self.stored.forget_expunges)

    def close(self) -> None:
        for link in self._links:
            link.close()
        self.loop.close()
        shutil.rmtree(self._home)


class SocketLink:
    """Connection over TCP, with or without COMPRESS."""

    completes = True

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._buffer = b""
        self._tag = ""
        self._idles = 0
        self._ended = False

    async def open(self, server: Processes, user: str, compress: bool) -> None:
        assert server.listening.imap is not None
        self._stream = await trio.open_tcp_stream(*server.listening.imap)
        self._compress, self._deflater, self._inflater = compress, None, None
        await self._lines("* OK")
        await self._sign_in(user)

    async def _sign_in(self, user: str) -> None:
        lines = await self._command(f"login LOGIN {user} secret\r\n".encode())
        assert lines[-1].startswith("login OK"), lines
        if self._compress:
            lines = await self._command(b"compress COMPRESS DEFLATE\r\n")
            assert lines[-1].startswith("compress OK"), lines
            self._deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def sign_in_again(self, user: str) -> None:
        """Sign in without compression, which UNAUTHENTICATE has ended (RFC 8437 section 4.1)."""
        if self._inflater is not None:
            assert self._inflater.eof
        self._compress, self._deflater, self._inflater = False, None, None
        self._loop.run(self._sign_in, user)

    def send(self, data: bytes) -> list[str]:
        lines: list[str] = self._loop.run(self._command, data)
        return lines

    async def _command(self, data: bytes) -> list[str]:
        await self._send(data)
        return await self._lines(data.split()[0].decode() + " ")

    async def _send(self, data: bytes) -> None:
        if self._deflater is not None:
            data = self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        await self._stream.send_all(data)

    async def _lines(self, last: str) -> list[str]:
        """Return the lines up to one that starts with `last`, or to the end."""
        lines: list[str] = []
        with trio.fail_after(SECONDS):
            while not lines or not lines[-1].startswith(last):
                line = await self._line()
                if line is None:
                    break
                lines.append(line)
        return lines

    async def _line(self) -> str | None:
        while b"\r\n" not in self._buffer:
            if not await self._receive():
                return None
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode()

    async def _receive(self) -> bool:
        """Receive bytes; return False at the end."""
        try:
            data = await self._stream.receive_some()
        except trio.BrokenResourceError:
            data = b""
        self._ended = not data
        if self._inflater is not None:
            data = self._inflater.decompress(data)
        self._buffer += data
        return not self._ended

    # --- IDLE -----------------------------------------------------------------------------------

    def start_idle(self, tag: str) -> list[str]:
        self._tag, self._idles = tag, 0
        lines: list[str] = self._loop.run(self._start)
        return lines + self.pushed(due=False)

    async def _start(self) -> list[str]:
        self._idles += 1
        await self._send(f"{self._tag}.{self._idles} IDLE\r\n".encode())
        return await self._lines("+ ")

    def pushed(self, *, due: bool) -> list[str]:
        """Wait for an update if one is due; then idle again or send NOOP, to have all of them."""
        lines: list[str] = self._loop.run(self._pushed, due)
        return lines

    async def _pushed(self, due: bool) -> list[str]:
        with trio.fail_after(PUSH_SECONDS):
            while due and not self._buffer and await self._receive():
                pass
        if not self._tag:
            return await self._command(b"sync NOOP\r\n")
        lines = await self._stop()
        if lines[-1].startswith(self._tag):
            lines += await self._start()
        return lines

    def stop_idle(self) -> list[str]:
        lines: list[str] = self._loop.run(self._stop)
        self._tag = ""
        return lines

    async def _stop(self) -> list[str]:
        with suppress(trio.BrokenResourceError):  # BYE is in the buffer
            await self._send(b"DONE\r\n")
        return await self._lines(self._tag)

    def close(self) -> None:
        self._loop.run(trio.aclose_forcefully, self._stream)
