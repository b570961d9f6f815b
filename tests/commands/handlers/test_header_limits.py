"""Large headers: ENVELOPE, HEADER.FIELDS and SEARCH agree up to the limits, and past them.

The limits are in rust/src/message/limits.rs and in docs/protocol.md.
"""

import re
import time

import pytest
from tests.commands.fakes import send
from tests.server.whole import anonymous_memory

from imapvm.model.limits import FETCH_FIELD_LISTS_MAX

FIELD_BYTES = 1024 * 1024
FIELDS = 10_000
ADDRESSES = 10_000


async def store(ctx, *messages):
    literals = b"".join(b" {%d+}\r\n%b" % (len(message), message) for message in messages)
    answers = await send(ctx, b"a APPEND INBOX" + literals + b"\r\n")
    assert answers[-1].startswith("a OK")
    await send(ctx, b"b SELECT INBOX\r\n")


async def fetch(ctx, items):
    """Return the response to FETCH of the last message, as one text."""
    answers = await send(ctx, b"c FETCH * (%b)\r\n" % items)
    assert answers[-1] == "c OK FETCH completed"
    return "\n".join(answers[:-1])


async def found(ctx, keys):
    """Return True if the message matches the keys of SEARCH."""
    answers = await send(ctx, b"c SEARCH %b\r\n" % keys)
    assert answers[-1] == "c OK SEARCH completed"
    return answers[0] == "* SEARCH 1"


@pytest.mark.parametrize("before", [0, 1_500, FIELDS - 1, FIELDS])
async def test_a_field_after_many_others(signed_in, before):
    filler = b"".join(b"X-%d: y\r\n" % number for number in range(before))
    fields = b"Subject: green\r\nX-Note: blue\r\nTo: ada@example.org\r\n"
    await store(signed_in, filler + fields + b"\r\nbody\r\n")
    named = [before + number < FIELDS for number in range(3)]
    envelope = await fetch(signed_in, b"ENVELOPE")
    assert ("green" in envelope) is named[0]
    assert ('"ada" "example.org"' in envelope) is named[2]
    for name, keys, is_named in zip(
        (b"SUBJECT", b"X-NOTE", b"TO"),
        (b"SUBJECT green", b"HEADER X-Note blue", b"TO ada@example.org"),
        named,
        strict=True,
    ):
        section = await fetch(signed_in, b"BODY.PEEK[HEADER.FIELDS (%b)]" % name)
        others = await fetch(signed_in, b"BODY.PEEK[HEADER.FIELDS.NOT (%b)]" % name)
        line = f"{name.decode().title()}: "
        assert (line in section) is is_named
        assert (line in others) is not is_named
        assert await found(signed_in, keys) is is_named
        assert await found(signed_in, b"HEADER %b {0+}\r\n" % name) is is_named
    assert await found(signed_in, b"TEXT blue"), "TEXT searches the whole header"
    assert "Subject: green" in await fetch(signed_in, b"BODY.PEEK[HEADER]")


@pytest.mark.parametrize("count", [1_500, ADDRESSES, ADDRESSES + 1])
@pytest.mark.parametrize("name", [b"To", b"Cc", b"From"])
async def test_many_addresses(signed_in, name, count):
    addresses = b",\r\n ".join(b"user%d@example.org" % number for number in range(count))
    await store(signed_in, b"%b: %b\r\n\r\nbody\r\n" % (name, addresses))
    envelope = await fetch(signed_in, b"ENVELOPE")
    shown = re.findall(r'\(NIL NIL "user(\d+)" "example.org"\)', envelope)
    expected = [str(number) for number in range(min(count, ADDRESSES))]
    if name == b"From" and count == 1_500:
        expected *= 3  # Sender and Reply-To, as long as the copies have at most 256 KiB
    assert shown == expected
    section = await fetch(signed_in, b"BODY.PEEK[HEADER.FIELDS (%b)]" % name)
    assert section.count("@example.org") == count
    for number in (0, 1_499, count - 1):
        needle = b"user%d@example.org" % number
        assert await found(signed_in, b"%b %b" % (name, needle))
        assert await found(signed_in, b"HEADER %b %b" % (name, needle))
        assert await found(signed_in, b"TEXT %b" % needle)
    for key in (name, b"HEADER " + name, b"TEXT"):
        assert not await found(signed_in, b"%b user%d@example.org" % (key, count))


@pytest.mark.parametrize("size", [70 * 1024, FIELD_BYTES - 20, FIELD_BYTES + 20])
@pytest.mark.parametrize("name", [b"Subject", b"X-Note"])
async def test_a_long_field(signed_in, name, size):
    """The words at the start and at the limit are found; one after the limit is not."""
    width = size - len(name) - len(b": alpha omega")
    lines = b"\r\n ".join(b"x" * 68 for _ in range(width // 71))
    value = (b"alpha " + lines).ljust(width + 6, b"y") + b" omega"
    await store(signed_in, b"%b: %b\r\n\r\nbody\r\n" % (name, value))
    whole = size < FIELD_BYTES
    section = await fetch(signed_in, b"BODY.PEEK[HEADER.FIELDS (%b)]" % name)
    assert section.endswith("omega\n\n)")
    if name == b"Subject":
        assert ("omega" in await fetch(signed_in, b"ENVELOPE")) is whole
    keys = b"SUBJECT" if name == b"Subject" else b"HEADER X-Note"
    for key in (keys, b"HEADER " + name, b"TEXT"):
        assert await found(signed_in, key + b" alpha")
        assert await found(signed_in, key + b" omega") is whole


async def test_a_header_with_too_many_bytes(signed_in):
    """The field that exceeds 1.5 MiB, and the fields after it, count as absent everywhere."""
    long = b"x" * 1_000_000
    await store(
        signed_in,
        b"From: ada@a.example\r\nSubject: %b\r\nTo: %b@b.example\r\nCc: bob@c.example\r\n\r\nx"
        % (long, long),
    )
    envelope = await fetch(signed_in, b"ENVELOPE")
    assert '"ada" "a.example"' in envelope
    assert long.decode() in envelope
    assert "example" not in envelope.replace("a.example", "")
    section = await fetch(signed_in, b"BODY.PEEK[HEADER.FIELDS (FROM TO CC)]")
    assert "From: " in section
    assert "To: " not in section
    assert "Cc: " not in section
    assert await found(signed_in, b"FROM ada@a.example")
    for keys in (b"TO b.example", b"CC bob", b"HEADER Cc bob", b"HEADER To {0+}\r\n"):
        assert not await found(signed_in, keys)
    header = await fetch(signed_in, b"BODY.PEEK[HEADER]")
    assert "Cc: bob" in header


async def test_the_structure_is_read_after_many_fields(signed_in):
    filler = b"".join(b"X-%d: y\r\n" % number for number in range(FIELDS))
    await store(
        signed_in,
        filler + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\none\r\n"
        b"--b\r\nContent-Type: application/pdf\r\n\r\ntwo\r\n--b--\r\n",
    )
    structure = await fetch(signed_in, b"BODYSTRUCTURE")
    assert '"TEXT" "PLAIN"' in structure
    assert '"APPLICATION" "PDF"' in structure


async def test_addresses_of_all_envelopes_are_limited_together(signed_in):
    part = b"--b\r\n\r\nTo: " + b"a@b.example," * 1_000 + b"\r\n\r\nx\r\n"
    head = b"Content-Type: multipart/digest; boundary=b\r\n\r\n"
    await store(signed_in, head + part * 25 + b"--b--\r\n")
    structure = await fetch(signed_in, b"BODY")
    assert structure.count('(NIL NIL "a" "b.example")') == 20_000


@pytest.mark.at_limit("FETCH_FIELD_LISTS_MAX")
@pytest.mark.past_limit("FETCH_FIELD_LISTS_MAX")
async def test_a_fetch_has_a_limited_number_of_field_lists(signed_in):
    await store(signed_in, b"Subject: green\r\n\r\nx")
    names = [b"HEADER.FIELDS (X-%d)" % number for number in range(FETCH_FIELD_LISTS_MAX)]
    names[1::2] = [name.replace(b"FIELDS", b"FIELDS.NOT") for name in names[1::2]]
    items = [b"BODY.PEEK[%b]" % name for name in names]
    assert (await fetch(signed_in, b" ".join(items))).count("Subject: ") == len(items) // 2
    items.append(b"BODY.PEEK[HEADER.FIELDS (Date)]")
    answers = await send(signed_in, b"c FETCH 1 (%b)\r\n" % b" ".join(items))
    assert answers == [
        f"c NO [LIMIT] more than {FETCH_FIELD_LISTS_MAX} lists of header fields in one FETCH"
    ]


async def test_items_are_fetched_once(signed_in):
    await store(signed_in, b"Subject: green\r\n\r\nx")
    sections = b" ".join(b"BODY.PEEK[%d]" % number for number in range(1, 100))
    items = b"ENVELOPE %b %b" % (sections, b"ENVELOPE UID UID BODYSTRUCTURE " * 100)
    answer = await fetch(signed_in, items.strip())
    assert [answer.count(name) for name in ("ENVELOPE", "UID", "BODYSTRUCTURE")] == [1, 1, 1]
    assert answer.count("BODY[") == 99


MEMORY_MAX = 32 * 1024 * 1024
"""More than a message of a megabyte and the response to it take."""


def worst_messages():
    many = range(FIELDS)
    return {
        "subject": b"Subject: %b\r\n\r\nx" % (b"x" * 1_000_000),
        "words": b"Subject: %b\r\n\r\nx" % (b"=?utf-8?q?=C3=BC?= " * 50_000),
        "to": b"To: %b\r\n\r\nx" % b",".join(b"u%d@example.org" % number for number in many),
        "comments": b"To: %b\r\n\r\nx"
        % b",".join(b"u%d (c)@ (c) x.org" % number for number in many),
        "many to": b"To: a@b\r\n" * FIELDS + b"\r\nx",
        "fields": b"".join(b"X-%d: y\r\n" % number for number in many) + b"\r\nx",
        "same fields": b"X: y\r\n" * FIELDS + b"\r\nx",
        "references": b"References: %b\r\n\r\nx" % (b"<a@b>\r\n " * 100_000),
        "different references": b"References: %b\r\n\r\nx"
        % b"\r\n ".join(b"<%d@b>" % number for number in range(100_000)),
        "groups": b"To: %b\r\n\r\nx" % (b"g:a@b;" * 100_000),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", worst_messages())
async def test_no_large_header_takes_long(signed_in, kind):
    """Handlers run without a pause here: each command is one stretch of work."""
    message = worst_messages()[kind]
    before, start = anonymous_memory(), time.perf_counter()
    await store(signed_in, message)
    print(f"{kind}: APPEND and SELECT: {(time.perf_counter() - start) * 1000:.1f} ms")
    lists = b" ".join(b"BODY.PEEK[HEADER.FIELDS (X-%d X-B)]" % number for number in range(32))
    for command in (
        b"FETCH 1 (ENVELOPE BODYSTRUCTURE PREVIEW)",
        b"FETCH 1 (%b)" % lists,
        b"FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT TO REFERENCES)]",
        b"SEARCH HEADER X none",
        b"SEARCH OR TO none OR SUBJECT none OR HEADER X none HEADER References none",
        b"SEARCH TEXT none",
        b"SEARCH FUZZY SUBJECT none",
        b"SORT (SUBJECT TO DISPLAYTO CC FROM) UTF-8 ALL",
        b"THREAD REFERENCES UTF-8 ALL",
        b"THREAD REFS UTF-8 ALL",
    ):
        start = time.perf_counter()
        answers = await send(signed_in, b"c %b\r\n" % command)
        seconds = time.perf_counter() - start
        print(f"{kind}: {command[:40]!r}: {seconds * 1000:.1f} ms")
        assert answers[-1].startswith("c OK")
        assert seconds < 0.5
        assert anonymous_memory() - before < MEMORY_MAX
