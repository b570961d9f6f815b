"""Memory of compressed sessions: a deflater while they are busy, the client's window while idle."""

import imaplib
import os
import time
import zlib
from pathlib import Path

import pytest
from tests.demo import Demo, started

pytestmark = pytest.mark.slow

SESSIONS = 200
KIB = 1024
BUSY = 320 * KIB
IDLE = 56 * KIB
SWEPT_SECONDS = 22.0
"""Two sweeps of compressors."""


class CompressedClient(imaplib.IMAP4):
    """imaplib with COMPRESS (RFC 4978)."""

    def __init__(self, demo: Demo) -> None:
        self._deflater: zlib._Compress | None = None
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._inflated = b""
        super().__init__(*demo.imap, timeout=60)
        self.login("reader", "secret")
        self.select()

    def compress(self) -> None:
        imaplib.Commands["COMPRESS"] = ("AUTH", "SELECTED")
        assert self._simple_command("COMPRESS", "DEFLATE")[0] == "OK"
        # The client's own compressor is small: 200 of them are in this process.
        self._deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS, memLevel=1)

    def send(self, data: bytes) -> None:
        if self._deflater is not None:
            data = self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        super().send(data)

    def read(self, size: int) -> bytes:
        if self._deflater is None:
            return super().read(size)
        while len(self._inflated) < size:
            self._inflate()
        data, self._inflated = self._inflated[:size], self._inflated[size:]
        return data

    def readline(self) -> bytes:
        if self._deflater is None:
            return super().readline()
        while b"\n" not in self._inflated:
            self._inflate()
        line, _, self._inflated = self._inflated.partition(b"\n")
        return line + b"\n"

    def _inflate(self) -> None:
        received = self.sock.recv(64 * KIB)
        assert received
        self._inflated += self._inflater.decompress(received)


def anonymous(demo: Demo) -> int:
    for line in Path(f"/proc/{demo.process.pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * KIB
    raise AssertionError("no RssAnon")


def work(client: CompressedClient) -> None:
    """Fill both windows: 40 KiB of text each way that does not compress well."""
    client.fetch("1:*", "(BODY.PEEK[] ENVELOPE)")
    for _ in range(10):
        client.search(None, "SUBJECT", f'"{os.urandom(4000).hex()}"')


def test_busy_and_idle_session_stay_within_their_bounds(tmp_path):
    with started(tmp_path / "demo", "--user=reader:secret") as demo:
        warm = CompressedClient(demo)
        for number in range(10):
            text = b"Subject: %d\r\n\r\n" % number + os.urandom(4000).hex().encode() + b"\r\n"
            warm.append("INBOX", None, None, text)
        warm.compress()
        work(warm)
        before = anonymous(demo)
        clients = [CompressedClient(demo) for _ in range(SESSIONS)]
        for client in clients:
            client.compress()
            work(client)
        assert (anonymous(demo) - before) / SESSIONS < BUSY
        time.sleep(SWEPT_SECONDS)
        assert (anonymous(demo) - before) / SESSIONS < IDLE
        for client in clients:
            assert client.noop()[0] == "OK"
            client.shutdown()
        warm.shutdown()
