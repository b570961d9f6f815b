"""MESSAGELIMIT and SAVELIMIT (RFC 9738), with a limit of ten messages."""

import pytest
from tests.commands.fakes import connection, send

from imapvm.commands.handlers.search import uid_batches
from imapvm.commands.message_limit import MessageLimit
from imapvm.session.syntax import Disabled

LIMIT = 10


async def selected(ctx, count: int) -> list[str]:
    await send(ctx, b"a APPEND INBOX" + b" {4+}\r\nA: b" * count + b"\r\n")
    return await send(ctx, b"a SELECT INBOX\r\n")


@pytest.fixture
async def client(signed_in):
    """Client with the UIDs 1 to 12 without 4: eleven messages."""
    await selected(signed_in, 12)
    await send(signed_in, b"a UID STORE 4 +FLAGS.SILENT (\\Deleted)\r\na EXPUNGE\r\n")
    signed_in.services.message_limit = MessageLimit(LIMIT)
    return signed_in


async def last(ctx, command: bytes) -> str:
    return (await send(ctx, b"t " + command + b"\r\n"))[-1]


@pytest.mark.parametrize("command", [b"FETCH 1:* UID", b"STORE 1:* FLAGS.SILENT ()", b"SEARCH ALL"])
async def test_newest_messages_are_processed(client, command):
    assert (await last(client, command)).startswith("t OK [MESSAGELIMIT 10 2] ")
    client.services.message_limit = MessageLimit(11)
    assert (await last(client, command)).startswith("t OK ")
    assert "MESSAGELIMIT" not in await last(client, command)


async def test_fetch_and_store_leave_the_others(client):
    lines = await send(client, b"a UID FETCH 1:* UID\r\n")
    assert [line.split(" ")[1] for line in lines[:-1]] == [str(n) for n in range(2, 12)]
    await send(client, b"a STORE 1:* +FLAGS.SILENT (\\Flagged)\r\n")
    client.services.message_limit = MessageLimit()
    lines = await send(client, b"a UID SEARCH UNFLAGGED\r\n")
    assert lines[0] == "* SEARCH 1"


async def test_search_counts_candidates_and_saves_what_was_found(client):
    await send(client, b"a UID STORE 1,12 +FLAGS.SILENT (\\Seen)\r\n")
    lines = await send(client, b"a UID SEARCH RETURN (SAVE COUNT) SEEN\r\n")
    assert lines[0].endswith("COUNT 1")
    assert lines[1].startswith("a OK [MESSAGELIMIT 10 2]")
    assert (await send(client, b"a UID SEARCH UID $\r\n"))[0] == "* SEARCH 12"
    lines = await send(client, b"a UID SEARCH UIDBEFORE 12 SEEN\r\n")
    assert lines[0] == "* SEARCH 1"
    assert "MESSAGELIMIT" not in lines[1]


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (b"UIDAFTER 10", "11 12"),
        (b"UIDAFTER 12", ""),
        (b"UIDAFTER 4294967295", ""),
        (b"UIDBEFORE 1", ""),
        (b"UIDBEFORE 3", "1 2"),
        (b"UIDAFTER 2 UIDBEFORE 6", "3 5"),
        (b"NOT UIDBEFORE 11", "11 12"),
    ],
)
async def test_keys(client, key, found):
    client.services.message_limit = MessageLimit()
    assert (await send(client, b"a UID SEARCH " + key + b"\r\n"))[0] == f"* SEARCH {found}".rstrip()


async def test_copy_is_all_or_nothing(client):
    assert (await last(client, b"COPY 1:* Archive")).startswith("t NO [MESSAGELIMIT 10 2] ")
    lines = await send(client, b"a STATUS Archive (MESSAGES)\r\n")
    assert lines[0] == "* STATUS Archive (MESSAGES 0)"
    assert (await last(client, b"UID COPY 2:12 Archive")).startswith("t OK [COPYUID")


async def test_move_leaves_the_others_and_can_be_repeated(client):
    lines = await send(client, b"a UID MOVE 1:* Archive\r\n")
    assert lines[0].startswith("* OK [COPYUID")
    assert lines[-1].startswith("a OK [MESSAGELIMIT 10 2]")
    lines = await send(client, b"a UID MOVE 1:* Archive\r\n")
    assert "MESSAGELIMIT" not in lines[-1]
    assert lines[-1].startswith("a OK ")


async def test_append_is_all_or_nothing(client):
    message = b" {4+}\r\nA: b"
    lines = await send(client, b"t APPEND Archive" + message * 11 + b"\r\n")
    assert lines[-1].startswith("t NO [MESSAGELIMIT 10]")
    lines = await send(client, b"t APPEND Archive" + message * 10 + b"\r\n")
    assert lines[-1].startswith("t OK [APPENDUID")


async def test_uid_expunge_counts_deleted_messages_and_expunge_is_not_limited(client):
    await send(client, b"a UID STORE 2:12 +FLAGS.SILENT (\\Deleted)\r\n")
    assert "MESSAGELIMIT" not in await last(client, b"UID EXPUNGE 2:5")
    await selected(client, 10)
    client.services.message_limit = MessageLimit()
    await send(client, b"a STORE 1:* +FLAGS.SILENT (\\Deleted)\r\n")
    client.services.message_limit = MessageLimit(LIMIT)
    assert (await last(client, b"UID EXPUNGE 1:*")).startswith("t OK [MESSAGELIMIT 10 13]")
    assert (await last(client, b"EXPUNGE")).startswith("t OK EXPUNGE")
    assert (await send(client, b"a STATUS INBOX (MESSAGES)\r\n"))[0].endswith("(MESSAGES 0)")


async def test_sort_thread_and_a_wide_window_are_refused(client):
    assert (await last(client, b"SORT (ARRIVAL) UTF-8 ALL")).startswith("t NO [MESSAGELIMIT 10]")
    assert (await last(client, b"THREAD REFERENCES UTF-8 ALL")).startswith("t NO [MESSAGELIMIT 10]")
    assert (await last(client, b"UID SORT (ARRIVAL) UTF-8 UIDAFTER 5")).startswith("t OK")
    command = b"UID FETCH 1:* UID (PARTIAL %d:%d)"
    assert (await last(client, command % (1, 11))).startswith("t NO [MESSAGELIMIT 10]")
    assert (await last(client, command % (1, 10))).startswith("t OK FETCH")


async def test_esearch_examines_the_newest_messages_of_each_mailbox(client):
    lines = await send(client, b"a ESEARCH ALL\r\n")
    assert lines[0].endswith(" UID ALL 2:3,5:12")
    assert lines[-1].startswith("a OK [MESSAGELIMIT 10 2] ")
    client.services.message_limit = MessageLimit()
    await send(client, b"a UID COPY 1:3 Archive\r\n")
    client.services.message_limit = MessageLimit(LIMIT)
    lines = await send(client, b"a ESEARCH IN (selected mailboxes Archive) RETURN (COUNT) ALL\r\n")
    assert [line.split()[-1] for line in lines[:-1]] == ["10", "3"]
    assert lines[-1].startswith("a OK [MESSAGELIMIT 10] ")
    assert "MESSAGELIMIT" not in await last(client, b"ESEARCH IN (mailboxes Archive) ALL")
    assert "MESSAGELIMIT" not in await last(client, b"ESEARCH UIDBEFORE 12 ALL")
    client.services.message_limit = MessageLimit(0, 2)
    assert "MESSAGELIMIT" not in await last(client, b"ESEARCH ALL")


async def test_a_batch_has_no_more_messages_than_one_command(client, monkeypatch):
    monkeypatch.setattr(uid_batches, "UIDBATCH_MESSAGES_MIN", 5)
    assert await last(client, b"UIDBATCHES 10") == "t OK UIDBATCHES completed"
    assert (await last(client, b"UIDBATCHES 11")).startswith("t NO [TOOMANY]")
    client.services.message_limit = MessageLimit(11)
    assert await last(client, b"UIDBATCHES 4000") == "t OK UIDBATCHES completed"  # all of them
    client.services.message_limit = MessageLimit(4)
    assert await last(client, b"UIDBATCHES 5") == "t OK UIDBATCHES completed"  # RFC 10022: 500
    assert (await last(client, b"UIDBATCHES 6")).startswith("t NO [TOOMANY]")


async def test_code_is_untagged_beside_another_one(client):
    other = connection(store=client.session.store)
    await send(other, b"a SELECT INBOX\r\na UID STORE 7 +FLAGS (\\Deleted)\r\na UID EXPUNGE 7\r\n")
    lines = await send(client, b"a FETCH 1:* UID\r\n")
    assert lines[-2].startswith("* NO [MESSAGELIMIT 10 2] ")
    assert "[EXPUNGEISSUED]" in lines[-1]
    lines = await send(client, b"a SEARCH ALL\r\n")
    assert lines[-2].startswith("* NO [MESSAGELIMIT 10 2] ")
    assert lines[-1].startswith("a OK [EXPUNGEISSUED]")


async def test_save_limit_limits_copy_and_append_only(client):
    client.services.message_limit = MessageLimit(saved=LIMIT)
    assert "SAVELIMIT=10" in (await send(client, b"a CAPABILITY\r\n"))[0]
    assert (await last(client, b"FETCH 1:* UID")).startswith("t OK FETCH")
    assert (await last(client, b"COPY 1:* Archive")).startswith("t NO [MESSAGELIMIT 10 2]")
    append = b"APPEND Archive" + b" {4+}\r\nA: b" * 11
    assert (await last(client, append)).startswith("t NO [MESSAGELIMIT 10]")
    assert (await last(client, b"MOVE 1:* Archive")).startswith("t OK MOVE")


async def test_limit_is_announced_unless_it_is_disabled(client):
    assert "MESSAGELIMIT=10" in (await send(client, b"a CAPABILITY\r\n"))[0]
    client.disable(Disabled.of(frozenset({"MESSAGELIMIT"})))
    assert "LIMIT=10" not in (await send(client, b"a CAPABILITY\r\n"))[0]
    assert (await last(client, b"COPY 1:* Archive")).startswith("t OK [COPYUID")
