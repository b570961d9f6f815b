"""Clients that act at random on one mailbox, and believe what they hear.

Each keeps a list as RFC 9051 tells clients to: EXISTS lengthens it, EXPUNGE takes one out, FETCH
changes one. UIDs are asked for only at the end.
"""

import random
import re
from collections.abc import Awaitable, Callable

import trio

Say = Callable[[bytes], Awaitable[list[str]]]
"""Sends a line, and returns those of the answer."""

FLAGS = (rb"\Seen", rb"\Flagged", rb"\Deleted", b"$Work")


class Client:
    """A client that believes what it hears."""

    def __init__(self, name: str, say: Say, *, rev2: bool) -> None:
        self.name = name
        self.say = say
        self.rev2 = rev2
        self.flags: list[set[str] | None] = []
        self.tags = 0

    async def do(self, command: bytes, *, holds: bool = False) -> list[str]:
        """Say a command, believe the answer."""
        self.tags += 1
        tag = f"{self.name}{self.tags}"
        lines = await self.say(b"%b %b\r\n" % (tag.encode(), command))
        assert lines[-1].startswith(f"{tag} "), lines
        assert not lines[-1].startswith(f"{tag} BAD"), (command, lines)
        literals = re.sub(r"\{4\}\n", "", "\n".join(lines[:-1]))
        for line in literals.splitlines():
            assert not (holds and line.endswith(" EXPUNGE")), (command, line)
            self.believe(line)
        return lines

    def believe(self, line: str) -> None:
        match re.fullmatch(r"\* (\d+) (EXISTS|EXPUNGE|FETCH)(?: \((.*)\))?", line):
            case None:
                return
            case found:
                number, what, items = int(found[1]), found[2], found[3] or ""
        if what == "EXISTS":
            assert number >= len(self.flags), "EXISTS never shrinks"
            self.flags += [None] * (number - len(self.flags))
            return
        assert 1 <= number <= len(self.flags), line
        if what == "EXPUNGE":
            del self.flags[number - 1]
        elif told := re.search(r"FLAGS \((.*?)\)", items):
            self.flags[number - 1] = set(told[1].split()) - {r"\Recent"}

    async def act(self, chance: random.Random) -> None:
        """One random command."""
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
        """.SILENT: the client works out the flags itself, unless it was told of them."""
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
    """See that all believe what is so, and that it is the same for all."""
    pictures = []
    for client in clients:
        await client.do(b"NOOP")
        believed = list(client.flags)
        lines = await client.do(b"FETCH 1:* (UID FLAGS)") if client.flags else []
        truth = list(client.flags)
        assert len(believed) == len(truth)
        for was, is_ in zip(believed, truth, strict=True):
            assert was in (None, is_), (client.name, believed, truth)
        uids = re.findall(r"UID (\d+)", "\n".join(lines))
        pictures.append(list(zip(uids, truth, strict=True)))
    assert all(picture == pictures[0] for picture in pictures)
