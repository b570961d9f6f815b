"""FETCH over several batches, and what it does not read."""

from tests.commands.fakes import say

from imapvm.commands.fetch import BODY_BATCH, DIGEST_BATCH
from imapvm.filepool.reading import Reader

MESSAGE = b"Subject: %d\r\nX-Odd: %d\r\n\r\nbody\r\n"


async def fill(ctx, count):
    messages = [MESSAGE % (number, number) for number in range(1, count + 1)]
    literals = b"".join(b" {%d+}\r\n%s" % (len(message), message) for message in messages)
    await say(ctx, b"a APPEND INBOX" + literals + b"\r\n")
    await say(ctx, b"b SELECT INBOX\r\n")


async def test_a_list_of_messages_is_shown_without_reading_any(signed_in, monkeypatch):
    count = 2 * BODY_BATCH + 1
    await fill(signed_in, count)

    read_body, read = Reader.body, []

    def body(reader, number, *stretch):
        read.append(number)
        return read_body(reader, number, *stretch)

    monkeypatch.setattr(Reader, "body", body)
    asked = b"BODY.PEEK[HEADER.FIELDS (SUBJECT DATE)]"
    answers = await say(signed_in, b"c FETCH 1:* %s\r\n" % asked)
    assert [line for line in answers if line.startswith("Subject")] == [
        f"Subject: {number}" for number in range(1, count + 1)
    ]
    assert answers[-1].startswith("c OK")
    assert read == []
    answers = await say(signed_in, b"d FETCH 7 BODY.PEEK[HEADER.FIELDS (SUBJECT X-ODD)]\r\n")
    assert answers[1:3] == ["Subject: 7", "X-Odd: 7"]
    assert len(read) == 1


async def test_every_batch_is_answered(signed_in):
    count = 2 * DIGEST_BATCH + 1
    await fill(signed_in, count)
    answers = await say(signed_in, b"c FETCH 1:* ENVELOPE\r\n")
    assert len(answers) == count + 1
    for number, line in enumerate(answers[:-1], 1):
        assert line.startswith(f'* {number} FETCH (ENVELOPE (NIL "{number}" ')
    assert answers[-1].startswith("c OK")
