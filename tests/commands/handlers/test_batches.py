"""STORE, EXPUNGE, CLOSE and MOVE of many messages run in batches; clients see no difference."""

import pytest
from tests.commands.fakes import connection, send

from imapvm._core import STORE_ADD
from imapvm.commands.handlers import copy as copying
from imapvm.commands.handlers import store as storing
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.model.flags import SystemFlag

COUNT = 50


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(storing, "STORE_BATCH", 8)
    monkeypatch.setattr(storing, "SCAN_BATCH", 8)
    monkeypatch.setattr(storing, "BATCH_MESSAGES", 8)
    monkeypatch.setattr(copying, "BATCH_MESSAGES", 8)


@pytest.fixture
async def client(signed_in):
    """Client with a mailbox of 50 messages selected."""
    message = b"Subject: x\r\n\r\nx\r\n"
    appended = b" {%d+}\r\n%b" % (len(message), message) * COUNT
    assert (await send(signed_in, b"a APPEND INBOX" + appended + b"\r\n"))[-1].startswith("a OK")
    await send(signed_in, b"a SELECT INBOX\r\n")
    return signed_in


@pytest.fixture
async def other(client):
    """Second client of the same account, with the same mailbox."""
    other = connection(store=client.session.store)
    await send(other, b"a SELECT INBOX\r\n")
    return other


def during_batch(monkeypatch, ctx, method, number, action):
    """Call a coroutine function before the n-th call of a method of the client's store."""
    store = ctx.session.store
    original, calls = getattr(type(store), method), []

    async def called(self, *args, **kwargs):
        calls.append(None)
        if len(calls) == number:
            await action()
        return await original(self, *args, **kwargs)

    monkeypatch.setattr(type(store), method, called)


async def test_silent_store_is_not_echoed_and_others_see_it(client, other):
    lines = await send(client, b"a STORE 1:* +FLAGS.SILENT (\\Flagged)\r\n")
    assert lines == ["a OK STORE completed"]
    lines = await send(other, b"a NOOP\r\n")
    assert len(lines) == COUNT + 1
    assert all("\\Flagged" in line for line in lines[:-1])


async def test_store_writes_each_message_once(client):
    lines = await send(client, b"a STORE 1:* +FLAGS (\\Flagged)\r\n")
    assert len(lines) == COUNT + 1


async def test_a_change_by_others_between_batches_is_written(client, other, monkeypatch):
    store, view = client.session.store, client.session.view

    async def change():
        uids = view.numbers.uids.split(1)[0]
        await store.store_flags(
            view.mailbox, uids, mode=STORE_ADD, flags=SystemFlag.ANSWERED, keywords=()
        )

    during_batch(monkeypatch, client, "store_flags", 3, change)
    lines = await send(client, b"a STORE 1:* +FLAGS.SILENT (\\Flagged)\r\n")
    assert "\\Answered" in next(line for line in lines if line.startswith("* 1 FETCH")), lines
    assert lines[-1] == "a OK STORE completed"


@pytest.mark.parametrize("command", [b"EXPUNGE", b"UID EXPUNGE 1:1000", b"CLOSE"])
async def test_all_deleted_messages_are_removed(client, other, command):
    await send(client, b"a STORE 2:40,44 +FLAGS.SILENT (\\Deleted)\r\n")
    lines = await send(client, b"a %b\r\n" % command)
    assert lines[-1].startswith("a OK")
    assert len(lines) == (1 if command == b"CLOSE" else 42)  # and RECENT
    lines = await send(other, b"a NOOP\r\n")
    assert sum("EXPUNGE" in line for line in lines) == 40
    lines = await send(other, b"a STATUS INBOX (MESSAGES)\r\n")
    assert lines[0] == "* STATUS INBOX (MESSAGES 10)"


async def test_expunge_without_deleted_messages_costs_no_commit(client):
    before = client.session.store.latest_txn_id()
    assert await send(client, b"a EXPUNGE\r\n") == ["a OK EXPUNGE completed"]
    assert client.session.store.latest_txn_id() == before


async def test_move_returns_one_copyuid_for_all_batches(client):
    lines = await send(client, b"a MOVE 1:* Archive\r\n")
    assert "COPYUID" in lines[0]
    assert lines[0].split("]")[0].endswith(f" 1:{COUNT} 1:{COUNT}")
    assert lines[-2] == "* 0 RECENT"
    assert len(lines) == COUNT + 3


async def test_move_that_fails_midway_reports_what_was_moved(client, monkeypatch):
    async def fail():
        raise StoreUnavailableError("no space left on device")

    during_batch(monkeypatch, client, "move", 3, fail)
    lines = await send(client, b"a MOVE 1:* Archive\r\n")
    assert lines[0].split("]")[0].endswith(" 1:16 1:16")
    assert sum("EXPUNGE" in line for line in lines) == 16
    assert lines[-1].startswith("a NO [UNAVAILABLE]")
