"""SELECT of what is large, and what is read for it."""

import time

import pytest
from tests.commands.fakes import say

from imapvm._core import UidSet
from imapvm.filepool.store import NewMessage

MILLION = 1_000_000


@pytest.mark.slow
async def test_a_mailbox_with_a_million_messages_opens_within_50_ms(signed_in):
    """The aim of `select`: segments are read, no message is."""
    store = signed_in.session.store
    with store.reading() as reader:
        inbox = reader.mailbox("INBOX")
    writer = store.new_body()
    writer.feed(b"Subject: one of many\r\n\r\n")
    await store.append(
        inbox.id, [NewMessage(writer.finish(), flags=0, keywords=(), date=0, zone=0)]
    )
    count = 1
    while count < MILLION:
        more = min(count, MILLION - count)
        await store.copy(inbox.id, UidSet([(1, more)]), inbox.id)
        count += more
    await say(signed_in, b"a SELECT INBOX\r\n")  # claims what is recent
    took = []
    for _ in range(5):
        before = time.perf_counter()
        answers = await say(signed_in, b"a SELECT INBOX\r\n")
        took.append(time.perf_counter() - before)
        assert f"* {MILLION} EXISTS" in answers
        assert any("[UNSEEN 1]" in answer for answer in answers)
    assert min(took) < 0.05, f"{[round(seconds * 1000) for seconds in took]} ms"
