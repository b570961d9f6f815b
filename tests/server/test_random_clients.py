"""Clients at random on a whole server, in one process and in several, with deliveries meanwhile.

CLIENTS_SECONDS, 10 by default, is the time for each number of workers, and CLIENTS_SEED, 0 by
default, the seed of the first round; `make soak` sets both. The first round that fails ends the
test. Its error names the seed, and the file with all that was sent and received in that round.
"""

import logging
import os
import random
import re
from pathlib import Path

import pytest
import trio
from tests.commands.random.random_clients import (
    Client,
    Ledger,
    agree,
    agree_on_recent,
    at_once,
    by_turns,
)
from tests.server.whole import Processes, Server, lmtp, running

from tests.server import whole

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("CLIENTS_SECONDS", "10"))
FIRST_SEED = int(os.environ.get("CLIENTS_SEED", "0"))
CLIENTS = 6
NAMES = (b"INBOX", b"Other", b"Third")


class Transcript:
    """All that the clients of a round have sent and received, in this order."""

    def __init__(self) -> None:
        self._began = trio.current_time()
        self._lines: list[str] = []

    def note(self, port: int, direction: str, data: bytes) -> None:
        at = trio.current_time() - self._began
        text = data.decode(errors="backslashreplace").removesuffix("\r\n")
        self._lines.append(f"{at:9.4f} {port:5} {direction}: {text}\n")

    def write(self, path: Path) -> None:
        path.write_text("".join(self._lines))


class SocketLink:
    """Connection to the server, without the literals in responses."""

    def __init__(self, client: whole.Client, transcript: Transcript) -> None:
        self._client = client
        self._transcript = transcript
        self._port = client.stream.socket.getsockname()[1]

    async def send(self, data: bytes) -> list[str]:
        await self._send(data)
        return await self._response(data.split()[0])

    async def idle(self, tag: bytes, seconds: float) -> list[str]:
        await self._send(tag + b" IDLE\r\n")
        before = await self._response(b"+")
        await trio.sleep(seconds)
        await self._send(b"DONE\r\n")
        return before + await self._response(tag)

    async def _send(self, data: bytes) -> None:
        self._transcript.note(self._port, "C", data)
        await self._client.send(data)

    async def close(self) -> None:
        await trio.aclose_forcefully(self._client.stream)

    async def _response(self, last: bytes) -> list[str]:
        """Return lines up to one that starts with a word, or up to the end."""
        lines: list[str] = []
        with trio.fail_after(60):
            while line := await self._line():
                lines.append(line.decode().removesuffix("\r\n"))
                if line.startswith(last + b" "):
                    break
        return lines

    async def _line(self) -> bytes:
        line = await self._client.line()
        while found := re.search(rb"\{(\d+)\}\r\n$", line):
            await self._client.literal(int(found[1]))
            line = line[: found.start()] + await self._client.line()
        self._transcript.note(self._port, "S", line)
        return line


@pytest.mark.parametrize("workers", [0, 3])
async def test_random_clients_agree(tmp_path, workers, caplog):
    async with running(tmp_path, workers=workers) as server:
        end = trio.current_time() + SECONDS
        seed = FIRST_SEED
        while seed < FIRST_SEED + 2 or trio.current_time() < end:
            transcript = Transcript()
            try:
                await round_of(server, seed, transcript)
            except BaseException as error:
                written = tmp_path / f"round-{seed}.txt"
                transcript.write(written)
                error.add_note(f"workers = {workers}, CLIENTS_SEED={seed}, transcript: {written}")
                raise
            seed += 1
        print(f"{seed - FIRST_SEED} rounds with {workers} workers, from seed {FIRST_SEED}")
        assert errors(server, caplog.records) == []


def errors(server: Server, records: list[logging.LogRecord]) -> list[str]:
    """Return the errors in the log."""
    if isinstance(server, Processes):
        return [line for line in server.log.splitlines() if line.split()[1:2] == ["error"]]
    return [record.getMessage() for record in records if record.levelno >= logging.ERROR]


async def round_of(server: Server, seed: int, transcript: Transcript) -> None:
    chance = random.Random(seed)
    acting = by_turns if seed % 3 == 0 else at_once
    ledger = Ledger(*NAMES, in_turns=acting is by_turns)

    async def connect() -> SocketLink:
        return SocketLink(await server.signed_in(), transcript)

    await clear(await connect())
    clients = [
        Client(
            f"c{n}x",
            connect,
            ledger,
            rev2=n % 4 == 3,
            qresync=n % 3 == 1,
            idles=not ledger.in_turns,
        )
        for n in range(CLIENTS)
    ]
    observer = Client("o", connect, ledger, rev2=False)
    for client in clients:
        await client.start()
    async with trio.open_nursery() as nursery:
        if not ledger.in_turns:
            nursery.start_soon(deliver_forever, server, random.Random(seed))
        await acting(clients, chance)
        nursery.cancel_scope.cancel()
    await trio.sleep(0.05)  # a delivery may have been cancelled after its commit
    await agree(clients)
    await observer.start(read_only=True)
    await agree_on_recent(clients, observer)
    for client in (*clients, observer):
        await client.end()


async def clear(link: SocketLink) -> None:
    r"""Remove all messages, claim what is \Recent, and create the second mailbox."""
    await link.send(b"a1 SELECT INBOX\r\n")
    await link.send(b"a2 UID STORE 1:* +FLAGS.SILENT (\\Deleted)\r\n")
    await link.send(b"a3 EXPUNGE\r\n")
    await link.send(b"a4 DELETE Third\r\n")
    await link.send(b"a5 DELETE Other\r\n")
    assert (await link.send(b"a6 CREATE Other\r\n"))[-1].startswith("a6 OK")
    await link.close()


async def deliver_forever(server: Server, chance: random.Random) -> None:
    while True:
        await trio.sleep(chance.choice([0, 0.01, 0.05]))
        assert (await lmtp(server, b"ada@localhost")).startswith(b"250")
