"""SEARCH finds an address as ENVELOPE shows it, and the text of the field (RFC 9051 s. 6.4.4)."""

import pytest
from tests.commands.fakes import send

FIELDS = (b"From", b"To", b"Cc", b"Bcc")
ODD = [
    (b"<user (c)@ (c) example.org>", b"user@example.org"),
    (b"Ada <user(a)@example(b).org>", b"user@example.org"),
    (b"user (c)@\r\n (c) example.org (Ada)", b"USER@EXAMPLE.ORG"),
    (b"Ada <user@\r\n example.org>", b"user@example.org"),
    (b"user . name @ example . org", b"user.name@example.org"),
    (b'"user"@example.org', b"user@example.org"),
    (b'"user".name@example.org', b"user.name@example.org"),
    (b'"user name"@example.org', b'"user name@example.org"'),
    (b'"us\\er"@example.org', b"user@example.org"),
    (b"Team: Ada <a@x.example>, user (c)@ example.org;", b"user@example.org"),
    (b"=?utf-8?q?Ad=C3=A4?= <user (c)@example.org>", b"user@example.org"),
]


async def store(ctx, *messages):
    literals = b"".join(b" {%d+}\r\n%b" % (len(message), message) for message in messages)
    answers = await send(ctx, b"a APPEND INBOX" + literals + b"\r\nb SELECT INBOX\r\n")
    assert answers[-1].startswith("b OK")


async def search(ctx, keys):
    answers = await send(ctx, b"c SEARCH %b\r\n" % keys)
    assert answers[-1] == "c OK SEARCH completed"
    return [int(word) for word in answers[0].split()[2:]]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize(("value", "shown"), ODD)
async def test_an_address_is_found_as_it_is_shown(signed_in, name, value, shown):
    other = b"%b: Ada <ada@example.org>\r\n\r\nx" % name
    await store(signed_in, b"%b: %b\r\n\r\nx" % (name, value), other, other)
    (envelope, *_) = await send(signed_in, b"d FETCH 1 ENVELOPE\r\n")
    local, _, host = shown.strip(b'"').lower().decode().partition("@")
    assert f'"{local}" "{host}"' in envelope
    for keys in (b"%b %b", b"HEADER %b %b"):
        for _ in range(2):  # the second time from the header column
            assert await search(signed_in, keys % (name, shown)) == [1]
        assert await search(signed_in, b"NOT " + keys % (name, shown)) == [2, 3]
    assert await search(signed_in, b"TEXT %b" % shown) == [1]
    assert await search(signed_in, b"%b example" % name) == [1, 2, 3], "and the text itself"


@pytest.mark.parametrize("name", [b"Sender", b"Reply-To"])
@pytest.mark.parametrize(("value", "shown"), ODD)
async def test_the_other_addresses_of_envelope_are_found(signed_in, name, value, shown):
    await store(signed_in, b"%b: %b\r\n\r\nx" % (name, value), b"Subject: x\r\n\r\nx")
    assert await search(signed_in, b"HEADER %b %b" % (name, shown)) == [1]
    assert await search(signed_in, b"TEXT %b" % shown) == [1]


async def test_comments_and_names_are_still_found(signed_in):
    await store(signed_in, b"From: Ada (Countess) <user (love) @ (lace) example.org>\r\n\r\nx")
    for text in (b"countess", b"love", b"lace", b'"(love) @ (lace) example"', b"user@example.org"):
        assert await search(signed_in, b"FROM %b" % text) == [1]
    for text in (b"lace@example.org", b"user@lace", b"example.org>\nuser"):
        assert await search(signed_in, b"FROM {%d+}\r\n%b" % (len(text), text)) == []


async def test_fields_without_addresses_are_searched_as_text(signed_in):
    await store(signed_in, b"Subject: user (c)@ (c) example.org\r\nX-To: a (c)@ b\r\n\r\nx")
    assert await search(signed_in, b"SUBJECT user@example.org") == []
    assert await search(signed_in, b"HEADER X-To a@b") == []
    assert await search(signed_in, b"TEXT user@example.org") == []
    assert await search(signed_in, b'SUBJECT "user (c)@ (c) example.org"') == [1]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("count", [10, 2_000])
async def test_a_long_list_is_searched_in_the_same_way(signed_in, name, count):
    """The metadata has 16 KiB of a field; more is read from the message."""
    value = b",\r\n ".join(b"user%d (c)@ (c) example.org" % number for number in range(count))
    await store(signed_in, b"%b: %b\r\n\r\nx" % (name, value), b"%b: a@b\r\n\r\nx" % name)
    for key in (name, b"HEADER " + name, b"TEXT"):
        for number in (0, count - 1):
            assert await search(signed_in, b"%b user%d@example.org" % (key, number)) == [1]
        assert await search(signed_in, b"%b user%d@example.org" % (key, count)) == []
