"""SEARCH of header fields against a model, after random commands and concurrently."""

import random
from dataclasses import dataclass, field
from functools import partial

import pytest
import trio
from tests.commands.fakes import connection, send

from imapvm._core import HeaderColumns
from imapvm.commands.dispatch import run

WORDS = ("Alpha", "beta", "Gamma", "delta", "be", "x" * 40)
NEEDLES = ("alpha", "BE", "ta gam", "a", "x", "nowhere", "ta delta be")
MAILBOXES = ("INBOX", "other")


@dataclass
class Naive:
    """Subjects and senders by UID."""

    next: int = 1
    messages: dict[int, tuple[str, str]] = field(default_factory=dict)

    def add(self, message: tuple[str, str]) -> None:
        self.messages[self.next] = message
        self.next += 1

    def find(self, wanted) -> list[int]:
        return [uid for uid, (subject, sender) in self.messages.items() if wanted(subject, sender)]


class History:
    """Client that sends random commands, and compares searches with the model."""

    def __init__(self, ctx, chance):
        self.send = partial(send, ctx)
        self.chance = chance
        self.naive = {name: Naive() for name in MAILBOXES}
        self.at = MAILBOXES[0]

    async def do(self, command):
        lines = await self.send(b"a %b\r\n" % command)
        assert lines[-1].startswith("a OK"), (command, lines)
        return lines

    def _some(self):
        here = list(self.naive[self.at].messages)
        some = sorted(self.chance.sample(here, self.chance.randint(1, len(here)) // 2 + 1))
        return some, ",".join(map(str, some)).encode()

    async def act(self):
        naive = self.naive[self.at]
        match self.chance.randrange(6):
            case 0 | 1:
                command = b"APPEND " + self.at.encode()
                for _ in range(self.chance.choice((1, 5, 150))):
                    words = " ".join(self.chance.choices(WORDS, k=self.chance.randrange(4)))
                    sender = self.chance.choice(WORDS).lower()
                    text = f"From: {sender}@x.test\r\nSubject: {words}\r\n\r\nalpha\r\n".encode()
                    command += b" {%d+}\r\n%b" % (len(text), text)
                    naive.add((words.lower(), f"{sender}@x.test"))
                await self.do(command)
            case 2 if naive.messages:
                some, uids = self._some()
                await self.do(b"UID STORE %b +FLAGS.SILENT (\\Deleted)" % uids)
                await self.do(b"UID EXPUNGE " + uids)
                for uid in some:
                    del naive.messages[uid]
            case 3 if naive.messages:
                some, uids = self._some()
                to = self.chance.choice(MAILBOXES)
                await self.do(b"UID COPY %b %b" % (uids, to.encode()))
                for uid in some:
                    self.naive[to].add(naive.messages[uid])
            case 4:
                self.at = self.chance.choice(MAILBOXES)
                await self.do(b"SELECT " + self.at.encode())
            case _:
                await self.ask()

    async def ask(self):
        one, other = self.chance.choices(NEEDLES, k=2)
        text, wanted = self.chance.choice(
            (
                (f'SUBJECT "{one}"', lambda subject, _: one.lower() in subject),
                (f'NOT SUBJECT "{one}"', lambda subject, _: one.lower() not in subject),
                (f'FROM "{one}"', lambda _, sender: one.lower() in sender),
                (f'TO "{one}"', lambda *_: False),
                (
                    f'OR SUBJECT "{one}" NOT FROM "{other}"',
                    lambda subject, sender: one.lower() in subject or other.lower() not in sender,
                ),
                (
                    f'SUBJECT "{one}" HEADER From "{other}" BODY alpha',
                    lambda subject, sender: one.lower() in subject and other.lower() in sender,
                ),
            )
        )
        lines = await self.do(b"UID SEARCH " + text.encode())
        found = [line.split()[2:] for line in lines if line.startswith("* SEARCH")]
        assert [list(map(int, uids)) for uids in found] == [self.naive[self.at].find(wanted)], text


@pytest.mark.parametrize("room", [None, 3000], ids=["all columns fit", "few columns fit"])
@pytest.mark.parametrize("seed", range(5))
async def test_a_search_agrees_with_the_model(signed_in, seed, room):
    if room is not None:
        for group in signed_in.services.pool.groups:
            group.columns = HeaderColumns(room)
    history = History(signed_in, random.Random(seed))
    await history.do(b"CREATE other")
    await history.do(b"SELECT INBOX")
    for _ in range(60):
        await history.act()
    await history.ask()
    if room is not None:
        assert max(g.columns.memory_bytes for g in signed_in.services.pool.groups) <= room


async def test_concurrent_searches_find_the_same(signed_in):
    history = History(signed_in, random.Random(1))
    await history.do(b"SELECT INBOX")
    text = b"Subject: letter\r\n\r\n"
    await history.do(b"APPEND INBOX" + b" {%d+}\r\n%b" % (len(text), text) * 200)
    answers = []

    async def search(ctx):
        await send(ctx, b"a SELECT INBOX\r\n")
        answers.append(await send(ctx, b"b SEARCH SUBJECT letter\r\n"))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            ctx = connection(store=signed_in.session.store)
            ctx.services = signed_in.services
            nursery.start_soon(search, ctx)
    numbers = " ".join(map(str, range(1, 201)))
    assert answers == [[f"* SEARCH {numbers}", "b OK SEARCH completed"]] * 4
    once = signed_in.services.pool.columns.memory_bytes
    assert once < 200 * (len("letter") + 1 + 8) * 1.1 + 256


async def test_a_repeated_search_does_not_wait(signed_in):
    history = History(signed_in, random.Random(1))
    await history.do(b"SELECT INBOX")
    text = b"Subject: letter\r\n\r\n"
    await history.do(b"APPEND INBOX" + b" {%d+}\r\n%b" % (len(text), text) * 100)
    await history.do(b"SEARCH SUBJECT letter")
    signed_in.reader.feed(b"a SEARCH NOT SUBJECT lette\r\n")
    assert run(signed_in, signed_in.reader.next()) is None
    assert signed_in.out.take() == b"* SEARCH\r\na OK SEARCH completed\r\n"
