"""SELECT of a large mailbox."""

import time

import pytest
from tests.commands.fakes import send

from imapvm._core import UidSet
from imapvm.filepool.store import NewMessage

MILLION = 1_000_000


@pytest.mark.slow
async def test_a_mailbox_with_a_million_messages_opens_within_50_ms(signed_in):
    """SELECT reads index segments, and no messages."""
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
    await send(signed_in, b"a SELECT INBOX\r\n")  # claims what is recent
    seconds = []
    for _ in range(5):
        before = time.perf_counter()
        answers = await send(signed_in, b"a SELECT INBOX\r\n")
        seconds.append(time.perf_counter() - before)
        assert f"* {MILLION} EXISTS" in answers
        assert any("[UNSEEN 1]" in answer for answer in answers)
    assert min(seconds) < 0.05, f"{[round(each * 1000) for each in seconds]} ms"
