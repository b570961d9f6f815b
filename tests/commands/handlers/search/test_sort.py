"""SORT and THREAD: columns shared by sessions, threads, and limits."""

import pytest
import trio
from tests.commands.fakes import connection, send

from imapvm._core import KeyColumns
from imapvm.commands.dispatch import run
from imapvm.commands.handlers.search import sort
from imapvm.filepool.pool import create_filepool, open_filepool

COUNT = 300


async def filled(ctx, count=COUNT, *, subject="letter %d"):
    """Select INBOX with some messages, whose subjects descend."""
    await send(ctx, b"a SELECT INBOX\r\n")
    for start in range(0, count, 100):
        command = b"a APPEND INBOX"
        for number in range(start, min(start + 100, count)):
            shown = subject % (9_000 - number) if "%" in subject else subject
            text = f"Subject: {shown}\r\nMessage-ID: <{number}@x>\r\n\r\n".encode()
            command += b" {%d+}\r\n%b" % (len(text), text)
        assert (await send(ctx, command + b"\r\n"))[-1].startswith("a OK")


def other(ctx):
    """Return another connection to the same account."""
    again = connection(store=ctx.session.store)
    again.services = ctx.services
    return again


def use(ctx, columns):
    for group in ctx.services.pool.groups:
        group.key_columns = columns


DESCENDING = "* SORT " + " ".join(map(str, range(COUNT, 0, -1)))
SORTED = [DESCENDING, "b OK SORT completed"]


async def test_concurrent_commands_read_the_keys_once(signed_in, monkeypatch):
    await filled(signed_in)
    monkeypatch.setattr(sort, "FEW_ARRANGED", COUNT - 1)
    read = []
    finish = sort.finish

    async def counting(ctx, parts, *, inline):
        read.append(sum(map(len, parts)))
        await finish(ctx, parts, inline=inline)

    monkeypatch.setattr(sort, "finish", counting)
    answers = []

    async def ask(ctx):
        await send(ctx, b"a SELECT INBOX\r\n")
        answers.append(await send(ctx, b"b SORT (SUBJECT) UTF-8 ALL\r\n"))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(ask, other(signed_in))
    assert answers == [SORTED] * 4
    assert read == [COUNT, 0, 0, 0]


async def test_small_mailbox_is_sorted_without_waiting(signed_in):
    await filled(signed_in, 50)
    for command in (b"a SORT (SUBJECT) UTF-8 ALL\r\n", b"a THREAD REFERENCES UTF-8 ALL\r\n"):
        signed_in.reader.feed(command)
        assert run(signed_in, signed_in.reader.next()) is None
    assert b"* SORT 50 49 " in signed_in.out.take()


async def test_repeated_sort_does_not_wait(signed_in):
    await filled(signed_in)
    await send(signed_in, b"b SORT (SUBJECT) UTF-8 ALL\r\n")
    signed_in.reader.feed(b"b SORT (SUBJECT) UTF-8 ALL\r\n")
    assert run(signed_in, signed_in.reader.next()) is None
    assert signed_in.out.take().decode().splitlines() == SORTED


async def test_new_messages_are_sorted_in(signed_in):
    await filled(signed_in)
    await send(signed_in, b"b SORT (SUBJECT) UTF-8 ALL\r\n")
    await filled(signed_in, 1, subject="a")
    lines = await send(signed_in, b"b UID SORT (SUBJECT) UTF-8 UID 1,301:*\r\n")
    assert lines == ["* SORT 301 1", "b OK SORT completed"]


async def test_long_response_is_sent_in_pieces(signed_in, monkeypatch):
    await filled(signed_in)
    monkeypatch.setattr(sort, "PIECE_BYTES", 100)
    assert await send(signed_in, b"b SORT (SUBJECT) UTF-8 ALL\r\n") == SORTED
    assert signed_in.channel.writes >= 10
    lines = await send(signed_in, b"b SORT RETURN (ALL) (ARRIVAL) UTF-8 NOT 3\r\n")
    assert lines[0] == '* ESEARCH (TAG "b") ALL 1:2,4:300'


async def test_cancelled_command_lets_others_continue(signed_in, monkeypatch):
    await filled(signed_in)
    monkeypatch.setattr(sort, "FEW_ARRANGED", 1)
    ctx = other(signed_in)
    await send(ctx, b"a SELECT INBOX\r\n")
    with trio.CancelScope() as scope:
        scope.cancel()
        await send(ctx, b"b SORT (SUBJECT) UTF-8 ALL\r\n")
    assert scope.cancelled_caught
    assert await send(signed_in, b"b SORT (SUBJECT) UTF-8 ALL\r\n") == SORTED


async def memory_of(ctx):
    columns = KeyColumns(1 << 30)
    use(ctx, columns)
    await send(ctx, b"b SORT (SUBJECT) UTF-8 ALL\r\n")
    return columns.memory_bytes


async def kept(ctx, monkeypatch, tmp_path, max_bytes):
    """Return True if a process keeps the keys with this limit."""
    monkeypatch.setattr("imapvm.filepool.pool.KEY_COLUMNS_BYTES_MAX", max_bytes)
    create_filepool(tmp_path / "other")
    async with open_filepool(tmp_path / "other") as pool:
        columns = pool.key_columns
    use(ctx, columns)
    await send(ctx, b"b SORT (SUBJECT) UTF-8 ALL\r\n")
    return columns.memory_bytes == max_bytes


@pytest.mark.at_limit("KEY_COLUMNS_BYTES_MAX")
async def test_keys_are_kept_up_to_the_limit(signed_in, monkeypatch, tmp_path):
    await filled(signed_in)
    assert await kept(signed_in, monkeypatch, tmp_path, await memory_of(signed_in))


@pytest.mark.past_limit("KEY_COLUMNS_BYTES_MAX")
async def test_keys_past_the_limit_are_not_kept(signed_in, monkeypatch, tmp_path):
    await filled(signed_in)
    assert not await kept(signed_in, monkeypatch, tmp_path, await memory_of(signed_in) - 1)
    assert await send(signed_in, b"b SORT (SUBJECT) UTF-8 ALL\r\n") == SORTED


async def least_room(ctx, monkeypatch):
    """Return the least limit with which the command succeeds."""
    low, high = 0, 1 << 20
    while low < high:
        middle = (low + high) // 2
        use(ctx, KeyColumns(0))
        monkeypatch.setattr(sort, "SORT_KEYS_BYTES_MAX", middle)
        lines = await send(ctx, b"b SORT (SUBJECT) UTF-8 ALL\r\n")
        if lines == SORTED:
            high = middle
        else:
            assert lines == ["b NO [LIMIT] cannot sort: too many long keys"]
            low = middle + 1
    return low


@pytest.mark.at_limit("SORT_KEYS_BYTES_MAX")
@pytest.mark.past_limit("SORT_KEYS_BYTES_MAX")
async def test_keys_of_one_command_have_a_limit(signed_in, monkeypatch):
    await filled(signed_in)
    room = await least_room(signed_in, monkeypatch)
    assert COUNT * 12 < room < COUNT * 100
