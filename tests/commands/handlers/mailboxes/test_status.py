r"""STATUS: the number of \Recent messages, however it is counted."""

import pytest
from tests.commands.fakes import send

from imapvm.commands.handlers.mailboxes import status


@pytest.mark.parametrize("counted_in_segments", [0, 2, 2048])
async def test_recent_messages_that_exist_are_counted(signed_in, monkeypatch, counted_in_segments):
    monkeypatch.setattr(status, "COUNTED_IN_SEGMENTS", counted_in_segments)

    async def recent() -> str:
        return (await send(signed_in, b"a STATUS Drafts (RECENT)\r\n"))[0]

    assert await recent() == "* STATUS Drafts (RECENT 0)"
    await send(signed_in, b"a APPEND Drafts" + b" {4+}\r\nA: b" * 3 + b"\r\n")
    assert await recent() == "* STATUS Drafts (RECENT 3)"
    await send(signed_in, b"b SELECT Drafts\r\nc UNSELECT\r\n")  # claims them
    assert await recent() == "* STATUS Drafts (RECENT 0)"
    await send(signed_in, b"a APPEND Drafts" + b" (\\Deleted) {4+}\r\nA: b" * 5 + b"\r\n")
    await send(signed_in, b"b SELECT Sent\r\n")
    assert await recent() == "* STATUS Drafts (RECENT 5)"
    store = signed_in.session.store
    with store.reading() as reader:
        drafts = reader.mailbox("Drafts")
        uids = reader.uid_map(drafts).uids
    gone, _ = uids.split(6)
    await store.expunge(drafts.id, gone)
    assert await recent() == "* STATUS Drafts (RECENT 2)"
