"""CATENATE at its limits, and past them; memory of large parts."""

import tracemalloc

import pytest
from tests.commands.fakes import send

from imapvm._core import segment_records
from imapvm.model.limits import CATENATE_PARTS_MAX, URL_MAX

MIB = 1024 * 1024


@pytest.fixture
async def ctx(signed_in):
    assert (await send(signed_in, b"a APPEND INBOX {7+}\r\nA: b\r\n\r\r\n"))[-1].startswith("a OK")
    return signed_in


@pytest.mark.at_limit("CATENATE_PARTS_MAX")
async def test_as_many_parts_as_allowed(ctx):
    parts = b"URL /INBOX/;UID=1 " * (CATENATE_PARTS_MAX - 1)
    answers = await send(ctx, b"a APPEND INBOX CATENATE (" + parts + b"TEXT {1+}\r\nx)\r\n")
    assert answers[-1].startswith("a OK [APPENDUID")
    answers = await send(ctx, b"b STATUS INBOX (SIZE)\r\n")
    assert answers[0] == f"* STATUS INBOX (SIZE {7 * CATENATE_PARTS_MAX + 1})"


@pytest.mark.past_limit("CATENATE_PARTS_MAX")
@pytest.mark.parametrize("last", [b"URL /INBOX/;UID=1)", b"TEXT {8+}\r\nb NOOP\r\n)"])
async def test_one_part_more_is_refused(ctx, last):
    parts = b"URL /INBOX/;UID=1 " * CATENATE_PARTS_MAX
    answers = await send(ctx, b"a APPEND INBOX CATENATE (" + parts + last + b"\r\nc NOOP\r\n")
    assert [line.split("]")[0] for line in answers] == ["a NO [LIMIT", "c OK NOOP completed"]


@pytest.mark.at_limit("URL_MAX")
async def test_bad_url_of_the_longest_length_is_repeated(ctx):
    longest = b"/".ljust(URL_MAX - 7, b"x") + b"/;UID=1"
    answers = await send(ctx, b"a APPEND INBOX CATENATE (URL " + longest + b")\r\n")
    assert answers[0].startswith(f'a NO [BADURL "{longest.decode()}"]')


@pytest.mark.past_limit("URL_MAX")
async def test_longer_url_is_refused(ctx):
    longest = b"/".ljust(URL_MAX - 6, b"x") + b"/;UID=1"
    answers = await send(ctx, b"a APPEND INBOX CATENATE (URL " + longest + b")\r\n")
    assert answers[0].startswith("a NO [LIMIT]")


async def test_parts_are_not_in_memory_as_a_whole(ctx):
    line = bytes(range(32, 127)) + b"\r\n"
    text = b"Subject: x\r\n\r\n" + line * (8 * MIB // len(line))
    await send(ctx, b"a APPEND INBOX {%d+}\r\n" % len(text) + text + b"\r\n")
    del text
    tracemalloc.start()
    try:
        answers = await send(
            ctx, b"b APPEND INBOX CATENATE (URL /INBOX/;UID=2 URL /INBOX/;UID=2)\r\n"
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answers[-1].startswith("b OK")
    assert peak < 2 * MIB


async def test_catenate_reads_every_byte_of_a_large_message(ctx):
    text = b"Subject: x\r\n\r\n" + bytes(range(256)) * 3000 + b"\r\n"
    await send(ctx, b"a APPEND INBOX ~{%d+}\r\n" % len(text) + text + b"\r\n")
    urls = b"URL /INBOX/;UID=2/;SECTION=HEADER URL /INBOX/;UID=2/;SECTION=TEXT"
    answers = await send(ctx, b"b APPEND INBOX CATENATE (" + urls + b")\r\n")
    assert answers[-1].startswith("b OK [APPENDUID")
    with ctx.session.store.reading() as reader:
        mailbox = reader.mailbox("INBOX")
        bodies = [r.body for s in reader.segments(mailbox) for r in segment_records(s)]
        assert reader.body(bodies[2], 0, len(text) + 1) == text
