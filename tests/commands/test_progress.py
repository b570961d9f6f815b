"""INPROGRESS of long commands (RFC 9585), with a clock that a test moves."""

import pytest
import trio
from tests.commands.fakes import send

from imapvm.commands import progress
from imapvm.commands.handlers import copy as copying
from imapvm.commands.handlers import store as storing
from imapvm.commands.handlers.search import search as searching
from imapvm.commands.progress import LARGEST_GOAL, Progress
from imapvm.filepool import store as filepool_store
from imapvm.session.syntax import Disabled

COUNT = 64


@pytest.fixture
async def client(signed_in, monkeypatch):
    monkeypatch.setattr(storing, "STORE_BATCH", 16)
    monkeypatch.setattr(storing, "SCAN_BATCH", 16)
    monkeypatch.setattr(storing, "BATCH_MESSAGES", 16)
    monkeypatch.setattr(copying, "BATCH_MESSAGES", 16)
    monkeypatch.setattr(filepool_store, "BATCH_MESSAGES", 16)
    monkeypatch.setattr(searching, "SCAN_BATCH", 16)
    monkeypatch.setattr(searching, "SCAN_BATCH_MIN", 16)
    await send(signed_in, b"a APPEND INBOX" + b" {4+}\r\nA: b" * COUNT + b"\r\n")
    await send(signed_in, b"a SELECT INBOX\r\n")
    return signed_in


@pytest.fixture
def slow(monkeypatch):
    """Let five seconds pass at each look at the time."""
    now = 0.0

    def current_time() -> float:
        nonlocal now
        now += 5.0
        return now

    monkeypatch.setattr(progress.trio, "current_time", current_time)


COMMANDS = [
    (b"STORE 1:* +FLAGS.SILENT (\\Seen)", 64),
    (b"COPY 1:* Archive", 64),
    (b"SEARCH UNSEEN", 64),
    (b"UID SEARCH 1:40", 40),
    (b"SORT (ARRIVAL) UTF-8 ALL", 64),
    (b"THREAD ORDEREDSUBJECT UTF-8 ALL", 64),
    (b"MOVE 1:* Archive", 64),
]


def reports(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("* OK [INPROGRESS")]


@pytest.mark.parametrize(("command", "goal"), COMMANDS)
async def test_progress_of_each_command(client, slow, command, goal):
    lines = await send(client, b"t.1 " + command + b"\r\n")
    assert lines[-1].startswith("t.1 OK")
    numbers = []
    for line in reports(lines):
        head, _, rest = line.partition("] ")
        tag, done, of = head.removeprefix("* OK [INPROGRESS (").removesuffix(")").split(" ")
        assert (tag, of, rest) == ('"t.1"', str(goal), "in progress")
        numbers.append(int(done))
    assert numbers
    assert numbers == sorted(numbers)
    assert numbers[-1] < goal
    assert "INPROGRESS" not in lines[-1]


async def test_expunge_counts_messages_done(client, slow):
    await send(client, b"a STORE 1:50 +FLAGS.SILENT (\\Deleted)\r\n")
    lines = await send(client, b"b EXPUNGE\r\n")
    assert reports(lines)
    assert all(" 64)]" in line for line in reports(lines))


async def test_command_that_ends_soon_reports_nothing(client):
    for command, _ in COMMANDS:
        assert not reports(await send(client, b"t " + command + b"\r\n"))


async def test_disabled_inprogress_is_not_sent(client, slow):
    client.disable(Disabled.of(frozenset({"INPROGRESS"})))
    for command, _ in COMMANDS:
        lines = await send(client, b"t " + command + b"\r\n")
        assert not reports(lines)
        assert lines[-1].startswith("t OK")


async def test_client_that_does_not_read_is_sent_nothing(client, slow):
    client.channel.waiting = 1
    report = Progress(client.channel, client.out, b"t", 10)
    report.report(1)
    report.report(2)
    assert not client.channel.sent
    client.channel.waiting = 0


@pytest.mark.parametrize(
    ("tag", "done", "goal", "code"),
    [
        (b"m7", 0, 9, '("m7" 0 9)'),
        (b"x]2", 1, 9, "(NIL 1 9)"),
        (b"x]2", 9, 9, "(NIL NIL NIL)"),
        (b"a", 8, LARGEST_GOAL + 9, f'("a" 8 {LARGEST_GOAL})'),
    ],
)
async def test_code(client, slow, tag, done, goal, code):
    report = Progress(client.channel, client.out, tag, goal)
    report.report(done)
    report.report(done)
    assert client.channel.sent.decode().splitlines() == [f"* OK [INPROGRESS {code}] in progress"]


async def test_one_response_every_ten_seconds_while_threads_work(client, autojump_clock):
    report = Progress(client.channel, client.out, b"t", 10)
    with trio.move_on_after(35):
        await report.report_forever()
    assert client.channel.sent.count(b"INPROGRESS") == 3
