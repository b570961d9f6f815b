"""Clients that act at random on one mailbox, and track it by the responses.

Each keeps a list as RFC 9051 requires: EXISTS lengthens it, EXPUNGE removes an entry, FETCH changes
one. UIDs are fetched only at the end.
"""

import random
import re
from collections.abc import Awaitable, Callable

import trio

Send = Callable[[bytes], Awaitable[list[str]]]
"""Sends a line, and returns the response lines."""

FLAGS = (rb"\Seen", rb"\Flagged", rb"\Deleted", b"$Work")


class Client:
    """Client that tracks the mailbox by the responses."""

    def __init__(self, name: str, send: Send, *, rev2: bool) -> None:
        self.name = name
        self.send = send
        self.rev2 = rev2
        self.flags: list[set[str] | None] = []
        self.tags = 0

    async def do(self, command: bytes, *, holds: bool = False) -> list[str]:
        """Send a command, and apply the responses."""
        self.tags += 1
        tag = f"{self.name}{self.tags}"
        lines = await self.send(b"%b %b\r\n" % (tag.encode(), command))
        assert lines[-1].startswith(f"{tag} "), lines
        assert not lines[-1].startswith(f"{tag} BAD"), (command, lines)
        literals = re.sub(r"\{4\}\n", "", "\n".join(lines[:-1]))
        for line in literals.splitlines():
            assert not (holds and line.endswith(" EXPUNGE")), (command, line)
            self.apply(line)
        return lines

    def apply(self, line: str) -> None:
        match re.fullmatch(r"\* (\d+) (EXISTS|EXPUNGE|FETCH)(?: \((.*)\))?", line):
            case None:
                return
            case match:
                number, kind, items = int(match[1]), match[2], match[3] or ""
        if kind == "EXISTS":
            assert number >= len(self.flags), "EXISTS never shrinks"
            self.flags += [None] * (number - len(self.flags))
            return
        assert 1 <= number <= len(self.flags), line
        if kind == "EXPUNGE":
            del self.flags[number - 1]
        elif found := re.search(r"FLAGS \((.*?)\)", items):
            self.flags[number - 1] = set(found[1].split()) - {r"\Recent"}

    async def act(self, chance: random.Random) -> None:
        """Send one random command."""
        number = b"%d" % chance.randint(1, len(self.flags)) if self.flags else b""
        flag = chance.choice(FLAGS)
        uid = chance.choice([b"", b"UID "])
        sign = chance.choice([b"+", b"-", b""])
        silent = chance.choice([b"", b".SILENT"])
        match chance.randrange(10):
            case 0 | 1:
                await self.do(b"APPEND INBOX (%b) {4+}\r\nA: b" % flag)
            case 2 | 3 if number:
                lines = await self.do(
                    b"STORE %b %bFLAGS%b (%b)" % (number, sign, silent, flag), holds=True
                )
                if silent and lines[-1].split()[1] == "OK":
                    self._assume(int(number), sign, flag.decode(), lines)
            case 4:
                await self.do(b"UID STORE 1:* +FLAGS (%b)" % flag)
            case 5:
                await self.do(b"EXPUNGE")
            case 6 if number:
                await self.do(uid + b"FETCH 1:* (FLAGS)", holds=not uid)
            case 7 if number:
                await self.do(b"FETCH %b (BODY[])" % number, holds=True)
            case 8:
                await self.do(uid + b"SEARCH UNDELETED", holds=not uid)
            case _:
                await self.do(b"NOOP")

    def _assume(self, number: int, sign: bytes, flag: str, lines: list[str]) -> None:
        """Compute the flags after .SILENT, unless a response had them."""
        if any(line.startswith(f"* {number} FETCH") for line in lines):
            return
        known = self.flags[number - 1]
        if sign == b"":
            self.flags[number - 1] = {flag}
        elif known is not None:
            self.flags[number - 1] = known | {flag} if sign == b"+" else known - {flag}


async def by_turns(clients: list[Client], chance: random.Random) -> None:
    for _ in range(150):
        await chance.choice(clients).act(chance)


async def at_once(clients: list[Client], chance: random.Random) -> None:
    async def act(client: Client, own: random.Random) -> None:
        for _ in range(40):
            await client.act(own)

    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(act, client, random.Random(chance.random()))


async def agree(clients: list[Client]) -> None:
    """Assert that all clients have the flags of the store, and the same list."""
    states = []
    for client in clients:
        await client.do(b"NOOP")
        tracked = list(client.flags)
        lines = await client.do(b"FETCH 1:* (UID FLAGS)") if client.flags else []
        stored = list(client.flags)
        assert len(tracked) == len(stored)
        for flags, actual in zip(tracked, stored, strict=True):
            assert flags in (None, actual), (client.name, tracked, stored)
        uids = re.findall(r"UID (\d+)", "\n".join(lines))
        states.append(list(zip(uids, stored, strict=True)))
    assert all(state == states[0] for state in states)
