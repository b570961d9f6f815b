"""BINARY of parts that are held, and of parts that are decoded twice (RFC 3516)."""

import base64
import random

import pytest
from tests.dialogues.grammar import Reader
from tests.dialogues.host import Line, running

from imapvm.commands.handlers.fetch.binary_parts import READ_BYTES


def part(size: int, *, nul_at: int | None = None) -> bytes:
    octets = bytearray(random.Random(size).randbytes(size).replace(b"\0", b"\1"))
    if nul_at is not None:
        octets[nul_at] = 0
    return bytes(octets)


CASES = {
    "base64, held": (base64.encodebytes(part(3000)), "base64", part(3000)),
    "base64, twice": (
        base64.encodebytes(part(READ_BYTES * 2, nul_at=70_000)),
        "base64",
        part(READ_BYTES * 2, nul_at=70_000),
    ),
    "no encoding, held": (part(READ_BYTES, nul_at=5), "binary", part(READ_BYTES, nul_at=5)),
    "no encoding, twice": (part(READ_BYTES + 1), "8bit", part(READ_BYTES + 1)),
}


async def said(line: Line, tag: str) -> bytes:
    """All up to a tagged OK."""
    start = len(line.said)
    while True:
        heard = await line.hear_line()
        assert heard is not None
        if heard.startswith(f"{tag} "):
            assert heard.startswith(f"{tag} OK"), heard
            return bytes(line.said[start:])


@pytest.mark.parametrize("case", CASES)
async def test_binary_is_what_was_encoded_whole_and_cut(case, given, trusts):
    encoded, encoding, decoded = CASES[case]
    message = f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + encoded
    async with running(given, trusts) as host:
        line = await host.connect()
        await line.send(b"a LOGIN alice secret\r\nb APPEND INBOX ~{%d+}\r\n" % len(message))
        await line.send(message + b"\r\nc SELECT INBOX\r\n")
        await said(line, "c")
        for start, count in [
            (0, None), (0, 4), (5, 1), (69_999, 3), (70_001, 9), (1, READ_BYTES), (10**9, 1),
        ]:  # fmt: skip
            partial = "" if count is None else f"<{start}.{count}>"
            await line.send(f"d FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1]{partial})\r\n".encode())
            answer = await said(line, "d")
            expected = decoded[start:] if count is None else decoded[start : start + count]
            fetched = Reader(answer).response().value
            assert fetched.pop("BINARY.SIZE[1]") == len(decoded)
            [octets] = fetched.values()
            assert octets == expected
            assert (b"~{" in answer[:80]) == (b"\0" in expected)
