r"""\Recent: number of commits, and sessions that run at the same time (RFC 3501 section 2.3.2)."""

from functools import partial

import pytest
import trio
from tests.commands.fakes import connection, send

from imapvm.filepool.errors import StoreUnavailableError
from imapvm.model.stepping import suspend

APPEND = b"APPEND INBOX {4+}\r\nA: b\r\n"


@pytest.fixture
def opened(signed_in):
    """Return a function that signs in a client of the same account, and selects INBOX."""

    async def connect(select: bytes = b"SELECT INBOX", *, rev2: bool = False):
        ctx = connection(store=signed_in.session.store)
        ctx.services = signed_in.services
        client = partial(send, ctx)
        if rev2:
            await client(b"e ENABLE IMAP4rev2\r\n")
        if select:
            await client(b"s " + select + b"\r\n")
        return client

    return connect


@pytest.fixture
def commits(signed_in):
    """Return a function that returns the number of commits since its last call."""
    store = signed_in.session.store
    last = store.latest_txn_id()

    def count() -> int:
        nonlocal last
        before, last = last, store.latest_txn_id()
        return last - before

    return count


async def test_only_a_claim_costs_a_commit(opened, commits):
    one, other = await opened(), await opened(b"")
    assert commits() == 0  # SELECT of a mailbox without recent messages
    await other(b"a " + APPEND)
    assert commits() == 1
    await one(b"a NOOP\r\n")  # notified, so it claims
    assert commits() == 1
    for command in (b"NOOP", b"CHECK", b"FETCH 1 (FLAGS)", b"SELECT INBOX", b"CLOSE", b"LOGOUT"):
        await one(b"a " + command + b"\r\n")
        assert commits() == 0, command


async def test_append_to_the_selected_mailbox_costs_one_commit(opened, commits):
    one = await opened()
    lines = await one(b"a " + APPEND)
    assert lines[:2] == ["* 1 EXISTS", "* 1 RECENT"]
    assert commits() == 1
    await one(b"b APPEND Drafts {4+}\r\nA: b\r\n")
    status = await one(b"c STATUS Drafts (RECENT)\r\n")
    assert status[0] == "* STATUS Drafts (RECENT 1)"  # not selected, so not claimed
    assert commits() == 1


@pytest.mark.parametrize("options", [{"select": b"EXAMINE INBOX"}, {"rev2": True}])
async def test_read_only_and_rev2_sessions_claim_nothing(opened, commits, options):
    other = await opened(b"")
    await other(b"a " + APPEND)
    one = await opened(**options)
    await other(b"a " + APPEND)
    commits()
    await one(b"a NOOP\r\n")
    await one(b"b UNSELECT\r\n")
    assert commits() == 0
    await one(b"c " + APPEND)  # nor does APPEND
    assert (await other(b"d STATUS INBOX (RECENT)\r\n"))[0] == "* STATUS INBOX (RECENT 3)"


async def test_messages_are_recent_in_one_of_the_sessions_notified_together(opened):
    clients = [await opened() for _ in range(5)]
    await (await opened(b""))(b"a " + APPEND)
    responses = []

    async def notice(client) -> None:
        responses.append((await client(b"n NOOP\r\n"))[:-1])

    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(notice, client)
    assert sorted(responses) == 4 * [["* 1 EXISTS", "* 0 RECENT"]] + [["* 1 EXISTS", "* 1 RECENT"]]
    flags = [(await client(b"f FETCH 1 (FLAGS)\r\n"))[0] for client in clients]
    assert flags.count(r"* 1 FETCH (FLAGS (\Recent))") == 1


async def test_messages_are_recent_in_one_of_the_sessions_that_select_together(opened):
    other = await opened(b"")
    for _ in range(3):
        await other(b"a " + APPEND)
    clients = [await opened(b"") for _ in range(5)]
    recent = []

    async def select(client) -> None:
        lines = await client(b"s SELECT INBOX\r\n")
        recent.extend(line for line in lines if "RECENT" in line)

    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(select, client)
    assert sorted(recent) == [*4 * ["* 0 RECENT"], "* 3 RECENT"]


async def test_message_between_reading_and_claiming_is_neither_counted_nor_claimed(
    opened, signed_in, monkeypatch
):
    """In SELECT, and in the updates after a command."""
    other, store = await opened(b""), type(signed_in.session.store)
    claim = store.claim_recent

    async def after_another_message(self, mailbox, up_to):
        monkeypatch.setattr(store, "claim_recent", claim)
        await other(b"x " + APPEND)
        return await claim(self, mailbox, up_to)

    await other(b"a " + APPEND)
    one = await opened(b"")
    monkeypatch.setattr(store, "claim_recent", after_another_message)
    lines = await one(b"s SELECT INBOX\r\n")
    assert {"* 1 EXISTS", "* 1 RECENT"} < set(lines)
    assert "* OK [UIDNEXT 2] predicted next UID" in lines
    monkeypatch.setattr(store, "claim_recent", after_another_message)
    assert (await one(b"n NOOP\r\n"))[:-1] == ["* 2 EXISTS", "* 2 RECENT"]
    assert (await other(b"b STATUS INBOX (RECENT)\r\n"))[0] == "* STATUS INBOX (RECENT 1)"
    assert (await one(b"n NOOP\r\n"))[:-1] == ["* 3 EXISTS", "* 3 RECENT"]


async def test_message_between_append_and_its_updates_is_claimed_by_itself(
    opened, signed_in, monkeypatch
):
    one, other = await opened(), await opened(b"")
    store = type(signed_in.session.store)
    append = store.append

    async def before_another_message(self, mailbox, messages, *, claim):
        monkeypatch.setattr(store, "append", append)
        appended = await append(self, mailbox, messages, claim=claim)
        await other(b"x " + APPEND)
        return appended

    monkeypatch.setattr(store, "append", before_another_message)
    assert (await one(b"a " + APPEND))[:2] == ["* 2 EXISTS", "* 2 RECENT"]
    assert (await other(b"b STATUS INBOX (RECENT)\r\n"))[0] == "* STATUS INBOX (RECENT 0)"


async def test_a_disk_that_is_full_makes_messages_recent_and_refuses_nothing(
    opened, signed_in, monkeypatch
):
    """RFC 3501 section 2.3.2: if the first session is unknown, the message is recent."""
    other, store = await opened(b""), type(signed_in.session.store)
    one = await opened()

    async def refuse(*_arguments):
        await suspend()
        await trio.lowlevel.checkpoint()
        raise StoreUnavailableError("no space left on device")

    await other(b"a " + APPEND)
    with monkeypatch.context() as patched:
        patched.setattr(store, "claim_recent", refuse)
        assert (await one(b"n NOOP\r\n"))[:-1] == ["* 1 EXISTS", "* 1 RECENT"]
        lines = await (await opened(b""))(b"s SELECT INBOX\r\n")
        assert "* 1 RECENT" in lines
        assert lines[-1].startswith("s OK")
    assert "* 1 RECENT" in await (await opened(b""))(b"s SELECT INBOX\r\n")
    assert "* 0 RECENT" in await (await opened(b""))(b"s SELECT INBOX\r\n")


async def test_mailbox_deleted_before_the_claim(opened, signed_in, monkeypatch):
    other, store = await opened(b""), type(signed_in.session.store)
    claim = store.claim_recent

    async def after_delete(self, mailbox, up_to):
        monkeypatch.setattr(store, "claim_recent", claim)
        await other(b"x DELETE Drafts\r\n")
        return await claim(self, mailbox, up_to)

    await other(b"a APPEND Drafts {4+}\r\nA: b\r\n")
    one = await opened(b"")
    monkeypatch.setattr(store, "claim_recent", after_delete)
    assert await one(b"s SELECT Drafts\r\n") == ["s NO [NONEXISTENT] mailbox does not exist"]
    await other(b"c CREATE Drafts\r\n")
    await one(b"s SELECT Drafts\r\n")
    await other(b"a APPEND Drafts {4+}\r\nA: b\r\n")
    monkeypatch.setattr(store, "claim_recent", after_delete)
    lines = await one(b"n NOOP\r\n")
    assert lines == ["* 1 EXISTS", "* BYE [NONEXISTENT] selected mailbox was deleted"]


async def test_command_ends_although_messages_keep_arriving(opened, signed_in, monkeypatch):
    other, store = await opened(b""), type(signed_in.session.store)
    claim = store.claim_recent
    one = await opened()

    async def after_another_message(self, mailbox, up_to):
        await other(b"x " + APPEND)
        return await claim(self, mailbox, up_to)

    await other(b"a " + APPEND)
    monkeypatch.setattr(store, "claim_recent", after_another_message)
    for count in range(1, 4):
        lines = await one(b"n NOOP\r\n")
        assert lines[:-1] == [f"* {count} EXISTS", f"* {count} RECENT"]
