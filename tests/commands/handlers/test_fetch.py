"""FETCH in several steps, and FETCH without reading messages."""

from tests.commands.fakes import send

from imapvm.commands.handlers.fetch.stream import STEP_BYTES

MESSAGE = b"Subject: %d\r\nX-Odd: %d\r\n\r\nbody\r\n"


async def fill(ctx, count):
    for start in range(1, count + 1, 500):
        numbers = range(start, min(start + 500, count + 1))
        messages = [MESSAGE % (number, number) for number in numbers]
        literals = b"".join(b" {%d+}\r\n%s" % (len(message), message) for message in messages)
        answers = await send(ctx, b"a APPEND INBOX" + literals + b"\r\n")
        assert answers[-1].startswith("a OK")
    await send(ctx, b"b SELECT INBOX\r\n")


async def test_a_message_list_is_fetched_without_reading_messages(signed_in):
    count = 257
    await fill(signed_in, count)
    # Delete all message bytes: items that are still returned were not read from them.
    group = signed_in.session.store._group
    with group.env.begin(write=True) as txn:
        txn.drop(group.tables.bodies, delete=False)
    asked = b"BODY.PEEK[HEADER.FIELDS (SUBJECT DATE)]"
    answers = await send(signed_in, b"c FETCH 1:* %s\r\n" % asked)
    assert [line for line in answers if line.startswith("Subject")] == [
        f"Subject: {number}" for number in range(1, count + 1)
    ]
    assert answers[-1].startswith("c OK")
    answers = await send(signed_in, b"d FETCH 7 BODY.PEEK[HEADER.FIELDS (SUBJECT X-ODD)]\r\n")
    assert answers[-1].startswith("d NO [EXPUNGEISSUED]")


async def test_all_steps_are_written(signed_in):
    count = 3 * STEP_BYTES // 150
    await fill(signed_in, count)
    answers = await send(signed_in, b"c FETCH 1:* (ENVELOPE BODYSTRUCTURE)\r\n")
    assert sum(map(len, answers)) > 2 * STEP_BYTES
    assert len(answers) == count + 1
    for number, line in enumerate(answers[:-1], 1):
        assert line.startswith(f'* {number} FETCH (ENVELOPE (NIL "{number}" ')
    assert answers[-1].startswith("c OK")
