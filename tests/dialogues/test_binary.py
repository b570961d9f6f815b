"""BINARY of parts that fit in memory, and of parts that are decoded twice (RFC 3516)."""

import base64
import random

import pytest
from tests.dialogues.host import ClientStream, running
from tests.dialogues.responses.grammar import Reader

from imapvm.commands.handlers.fetch.binary_parts import READ_BYTES


def part(size: int, *, nul_at: int | None = None) -> bytes:
    data = bytearray(random.Random(size).randbytes(size).replace(b"\0", b"\1"))
    if nul_at is not None:
        data[nul_at] = 0
    return bytes(data)


CASES = {
    "base64, in memory": (base64.encodebytes(part(3000)), "base64", part(3000)),
    "base64, twice": (
        base64.encodebytes(part(READ_BYTES * 2, nul_at=70_000)),
        "base64",
        part(READ_BYTES * 2, nul_at=70_000),
    ),
    "no encoding, in memory": (part(READ_BYTES, nul_at=5), "binary", part(READ_BYTES, nul_at=5)),
    "no encoding, twice": (part(READ_BYTES + 1), "8bit", part(READ_BYTES + 1)),
}


async def received(stream: ClientStream, tag: str) -> bytes:
    """Return all bytes up to a tagged OK."""
    start = len(stream.received)
    while True:
        line = await stream.read_line()
        assert line is not None
        if line.startswith(f"{tag} "):
            assert line.startswith(f"{tag} OK"), line
            return bytes(stream.received[start:])


@pytest.mark.parametrize("case", CASES)
async def test_binary_returns_the_decoded_part_whole_and_in_ranges(case, server_files, client_tls):
    encoded, encoding, decoded = CASES[case]
    message = f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + encoded
    async with running(server_files, client_tls) as host:
        stream = await host.connect()
        await stream.send(b"a LOGIN alice secret\r\nb APPEND INBOX ~{%d+}\r\n" % len(message))
        await stream.send(message + b"\r\nc SELECT INBOX\r\n")
        await received(stream, "c")
        for start, count in [
            (0, None), (0, 4), (5, 1), (69_999, 3), (70_001, 9), (1, READ_BYTES), (10**9, 1),
        ]:  # fmt: skip
            partial = "" if count is None else f"<{start}.{count}>"
            await stream.send(f"d FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1]{partial})\r\n".encode())
            answer = await received(stream, "d")
            expected = decoded[start:] if count is None else decoded[start : start + count]
            fetched = Reader(answer).response().value
            assert fetched.pop("BINARY.SIZE[1]") == len(decoded)
            [value] = fetched.values()
            assert value == expected
            assert (b"~{" in answer[:80]) == (b"\0" in expected)
