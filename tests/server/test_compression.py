"""COMPRESS (RFC 4978) with a whole server: bounds, bombs, corrupt input, TLS and workers."""

import logging
import time
import zlib

import pytest
import trio
from tests.server.whole import MIB, Client, anonymous_memory, until

from imapvm.model.limits import MESSAGE_MAX


class CompressedStream:
    """Client's end of a compressed connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.raw = stream
        self.deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self.inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def deflate(self, data: bytes) -> bytes:
        return self.deflater.compress(data) + self.deflater.flush(zlib.Z_SYNC_FLUSH)

    async def send_all(self, data: bytes) -> None:
        await self.raw.send_all(self.deflate(data))

    async def receive_some(self) -> bytes:
        while received := await self.raw.receive_some():
            if data := self.inflater.decompress(received):
                return data
        return b""

    async def aclose(self) -> None:
        await self.raw.aclose()


async def compress(client: Client) -> Client:
    assert (await client.command(b"COMPRESS DEFLATE"))[-1].startswith(b"t OK")
    assert not client.buffer
    client.stream = CompressedStream(client.stream)
    return client


async def test_commands_literals_and_updates(any_server):
    client, other = await compress(await any_server.signed_in()), await any_server.signed_in()
    await client.command(b"SELECT INBOX")
    text = b"Subject: x\r\n\r\n" + b"Some text.\r\n" * 30_000
    await other.send(b"t APPEND INBOX {%d+}\r\n" % len(text) + text + b"\r\n")
    await other.until(b"t OK")
    await client.command(b"NOOP")
    lines = await client.command(b"FETCH 1 BODY.PEEK[]")
    assert b"".join(lines[1:-2]) == text
    await client.send(b"a IDLE\r\n")
    await client.until(b"+ ")
    await other.send(b"t APPEND INBOX {%d+}\r\n" % len(text) + text + b"\r\n")
    await other.until(b"t OK")
    await client.until(b"* 2 EXISTS")
    await client.send(b"DONE\r\n")
    await client.until(b"a OK")


async def test_over_tls(secure_server, client_tls):
    host, port = secure_server.listening.imaps
    plain = await trio.open_tcp_stream(host, port)
    client = Client(trio.SSLStream(plain, client_tls, server_hostname="imap.example.org"))
    await client.line()
    await client.command(b"LOGIN ada secret")
    await compress(client)
    for _ in range(3):
        assert (await client.command(b"NOOP"))[-1].startswith(b"t OK")
    assert (await client.command(b"LOGOUT"))[-1].startswith(b"t OK")


async def test_limits_apply_to_inflated_input(server):
    client = await compress(await server.signed_in())
    await client.send(b"a CREATE " + b"x" * 100_000 + b"\r\nb NOOP\r\n")
    assert (await client.line()).startswith(b"a NO [TOOBIG]")
    assert (await client.line()).startswith(b"b OK")
    await client.send(b"a CREATE {70000+}\r\n" + b"x" * 70_000 + b"\r\nb NOOP\r\n")
    assert (await client.line()).startswith(b"a NO [TOOBIG]")
    assert (await client.line()).startswith(b"b OK")


BOMBS = {
    "a line": b"a" + b" " * (64 * MIB) + b"\r\nend NOOP\r\n",
    "a literal": b"a CREATE {%d+}\r\n" % (64 * MIB) + bytes(64 * MIB) + b"\r\nend NOOP\r\n",
    "a message over the limit": b"a APPEND INBOX {%d+}\r\n" % (MESSAGE_MAX + MIB)
    + b"x" * (MESSAGE_MAX + MIB)
    + b"\r\nend NOOP\r\n",
    "wrong commands": b"a NONSENSE\r\n" * 100_000 + b"end NOOP\r\n",
    "commands": b"a NOOP\r\n" * 100_000 + b"end NOOP\r\n",
    "empty lines": b"\r\n" * 1_000_000 + b"end NOOP\r\n",
}


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow if kind == "empty lines" else ()) for kind in BOMBS],
)
async def test_bomb_takes_no_memory_and_delays_no_other_client(server, kind):
    client = await compress(await server.signed_in())
    other = await server.signed_in(b"grace")
    bomb = client.stream.deflate(BOMBS[kind])
    before = anonymous_memory()
    delays, ended = [], False

    async def probe() -> None:
        while not ended:
            start = time.perf_counter()
            await other.command(b"NOOP")
            delays.append(time.perf_counter() - start)
            await trio.sleep(0.002)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(probe)
        nursery.start_soon(client.stream.raw.send_all, bomb)
        with trio.fail_after(60):
            line = await client.line()
            while not line.startswith(b"end OK"):
                assert line.startswith((b"a ", b"* BAD")), line
                line = await client.line()
        ended = True
    assert anonymous_memory() - before < 8 * MIB
    # Client and server share this process and its loop; alone the server's part is some 5 ms.
    assert sorted(delays)[len(delays) * 9 // 10] < 0.1


async def test_client_that_does_not_read_ends_its_own_commands_only(server):
    client, other = await compress(await server.signed_in()), await server.signed_in(b"grace")
    before = anonymous_memory()
    bomb = client.stream.deflate(b"a CAPABILITY\r\n" * 100_000)
    await client.stream.raw.send_all(bomb)
    for _ in range(20):
        await trio.sleep(0.01)
        assert (await other.command(b"NOOP"))[-1].startswith(b"t OK")
    assert anonymous_memory() - before < 8 * MIB


@pytest.mark.parametrize(
    ("first", "corrupt"),
    [
        (b"", b"\xff\xff\xff"),
        (b"t NOOP\r\n", b"\xff\xff\xff"),
        (b"t APPEND INBOX {1000+}\r\nhalf of it", b"\xff\xff\xff"),
        (b"t IDLE\r\n", b"\xff\xff\xff"),
        (b"t CREATE {20}\r\n", b"\xff\xff\xff"),
    ],
)
async def test_corrupt_input_ends_the_connection_with_its_reason(server, caplog, first, corrupt):
    caplog.set_level(logging.INFO, logger="imapvm")
    other = await server.signed_in(b"grace")
    client = await compress(await server.signed_in())
    if first:
        await client.send(first)
        await trio.testing.wait_all_tasks_blocked(0.02)
    await client.stream.raw.send_all(corrupt)
    await client.all()

    def reasons() -> list[str]:
        events = [vars(record) for record in caplog.records if record.getMessage() == "logout"]
        return [event["reason"] for event in events]

    await until(reasons)
    (reason,) = reasons()
    assert reason.startswith("corrupt DEFLATE stream: ")
    assert (await other.command(b"NOOP"))[-1].startswith(b"t OK")


async def test_half_received_block_waits_and_is_dropped_at_the_end(server):
    client = await compress(await server.signed_in())
    stream = client.stream.deflate(b"a NOOP\r\n")
    for byte in stream[:-5]:
        await client.stream.raw.send_all(bytes([byte]))
        await trio.lowlevel.checkpoint()
    await client.stream.raw.send_all(stream[-5:])
    await client.until(b"a OK")
    await client.stream.raw.send_all(client.stream.deflate(b"b CREATE half")[:4])
    await client.stream.aclose()
    other = await server.signed_in()
    assert not any(b"half" in line for line in await other.command(b'LIST "" *'))


async def test_pipelined_commands_after_the_result_are_run_in_order(server):
    client = await compress(await server.signed_in())
    await client.send(b"".join(b"a%d NOOP\r\n" % number for number in range(200)))
    for number in range(200):
        assert (await client.line()).startswith(b"a%d OK" % number)
