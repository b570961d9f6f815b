"""Message metadata compared with the standard library's `email` package."""

import email
import email.utils
import itertools
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage, Message
from email.policy import SMTP, compat32, default

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from imapvm._core import (
    CorruptError,
    MessageMetadata,
    Scanner,
    TransferDecoder,
)

ENCODINGS = {"base64": 1, "quoted-printable": 2}


def scan(message, portion=1 << 20):
    scanner = Scanner()
    for at in range(0, len(message), portion):
        scanner.feed(memoryview(message)[at : at + portion])
    return scanner.finish()


# --- a reader of IMAP's parenthesised lists -------------------------------------------------------


def read_list(text):
    """Lists as lists, strings as bytes, NIL as None, numbers as int."""
    value, end = read_value(text, 0)
    assert end == len(text)
    return value


def read_value(text, at):
    match text[at : at + 1]:
        case b"(":
            items = []
            at += 1
            while text[at : at + 1] != b")":
                item, at = read_value(text, at)
                items.append(item)
                if text[at : at + 1] == b" ":
                    at += 1
            return items, at + 1
        case b'"':
            data = bytearray()
            at += 1
            while text[at : at + 1] != b'"':
                at += text[at : at + 1] == b"\\"
                data += text[at : at + 1]
                at += 1
            return bytes(data), at + 1
        case b"{":
            end = text.index(b"}\r\n", at)
            start = end + 3
            stop = start + int(text[at + 1 : end])
            return text[start:stop], stop
        case b"N":
            assert text[at : at + 3] == b"NIL"
            return None, at + 3
        case _:
            end = at
            while text[end : end + 1].isdigit():
                end += 1
            return int(text[at:end]), end


def types(body):
    """The tree of types in BODY."""
    if isinstance(body[0], list):
        parts = [part for part in body if isinstance(part, list)]
        return ("multipart/" + body[-1].decode().lower(), [types(part) for part in parts])
    name = f"{body[0].decode()}/{body[1].decode()}".lower()
    return (name, [types(body[8])] if name == "message/rfc822" else [])


def types_by_email(part):
    children = part.get_payload() if part.is_multipart() else []
    return (part.get_content_type(), [types_by_email(child) for child in children])


def leaves_by_email(part, path, *, is_body):
    """Part specifier and part of each leaf (RFC 9051 section 6.4.5.1)."""
    if part.get_content_maintype() == "multipart":
        for number, child in enumerate(part.get_payload(), 1):
            yield from leaves_by_email(child, [*path, number], is_body=False)
        return
    own = [*path, 1] if is_body else path
    if part.get_content_type() == "message/rfc822":
        yield from leaves_by_email(part.get_payload(0), own, is_body=True)
    else:
        yield ".".join(map(str, own)), part


# --- generated messages ---------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)
lines = st.lists(words, max_size=6).map(" ".join)
texts = st.lists(lines, max_size=5).map("\n".join)
addresses = st.tuples(words, st.sampled_from(["joe", "x.y", "a"])).map(
    lambda pair: email.utils.formataddr((pair[0], pair[1] + "@example.org"))
)
trees = st.recursive(
    st.tuples(
        st.just("text"),
        st.sampled_from(["plain", "html"]),
        st.sampled_from(["base64", "quoted-printable", "8bit"]),
        texts,
    )
    | st.tuples(st.just("bytes"), words, st.binary(max_size=200)),
    lambda children: (
        st.tuples(
            st.just("multipart"),
            st.sampled_from(["mixed", "alternative"]),
            st.lists(children, min_size=1, max_size=4),
        )
        | st.tuples(st.just("message"), lines, children)
    ),
    max_leaves=12,
)


def build(tree, numbers):
    """Return a part as `email` writes it, with numbered boundaries instead of random ones."""
    part = EmailMessage(policy=SMTP)
    match tree:
        case ("text", subtype, cte, text):
            part.set_content(text, subtype=subtype, cte=cte)
        case ("bytes", name, data):
            part.set_content(data, "application", "octet-stream", filename=name)
        case ("multipart", subtype, children):
            part["Content-Type"] = f'multipart/{subtype}; boundary="b{next(numbers)}"'
            part.set_payload([build(child, numbers) for child in children])
        case ("message", subject, child):
            inner = build(child, numbers)
            inner["Subject"] = subject
            part["Content-Type"] = "message/rfc822"
            part.set_payload([inner])
    return part


def write(tree, subject, sender, recipients, when):
    message = build(tree, itertools.count())
    message["Subject"] = subject
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Date"] = email.utils.format_datetime(when)
    message["Message-ID"] = "<1.2@example.org>"
    return message.as_bytes(policy=SMTP)


messages = st.builds(
    write,
    trees,
    lines,
    addresses,
    st.lists(addresses, min_size=1, max_size=4),
    st.datetimes(
        datetime(1970, 1, 1),  # noqa: DTZ001 - the zone is drawn below
        datetime(2100, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))]),
    ),
)


@settings(max_examples=30, deadline=None)
@given(messages, st.integers(1, 300))
def test_parts_agree_with_the_email_package(message, portion):
    stored = scan(message)
    assert scan(message, portion) == stored
    metadata = MessageMetadata(stored)
    parsed = email.message_from_bytes(message, policy=compat32)
    assert metadata.size == len(message)
    assert types(read_list(metadata.body)) == types_by_email(parsed)
    found = list(leaves_by_email(parsed, [], is_body=True))
    assert metadata.part_count == len(found)
    for path, part in found:
        offset, length = metadata.locate(path)
        raw = part.get_payload().encode("utf-8", "surrogateescape")
        assert message[offset : offset + length] == raw
        decoder = TransferDecoder(ENCODINGS.get(part.get("Content-Transfer-Encoding"), 0))
        decoded = b"".join(
            decoder.feed(raw[at : at + portion]) for at in range(0, len(raw), portion)
        )
        assert decoded + decoder.finish() == part.get_payload(decode=True)


@settings(max_examples=75, deadline=None)
@given(messages)
def test_headers_agree_with_the_email_package(message):
    metadata = MessageMetadata(scan(message))
    parsed: Message = email.message_from_bytes(message, policy=default)
    assert metadata.subject == " ".join(parsed["Subject"].split())
    assert metadata.message_id == parsed["Message-ID"].strip("<> ").encode()
    assert metadata.sent == int(parsed["Date"].datetime.timestamp())
    header, _ = message.split(b"\r\n\r\n", 1)
    assume(b"=2C?=" not in header)  # `email` folds a comma as text, and then finds fewer addresses
    assert metadata.header_size == len(header) + 4
    assert metadata.locate("HEADER") == (0, metadata.header_size)
    assert metadata.locate("TEXT") == (metadata.header_size, len(message) - metadata.header_size)
    envelope = read_list(metadata.envelope)
    assert len(envelope) == 10
    for field, found in [("From", envelope[2]), ("From", envelope[3]), ("To", envelope[5])]:
        pairs = [(mailbox.decode(), host.decode()) for _, _, mailbox, host in found]
        assert pairs == [(one.username, one.domain) for one in parsed[field].addresses]


# --- attributes that Python reads -----------------------------------------------------------------


def test_metadata_of_a_message():
    stored = scan(
        b"Subject: Re: =?utf-8?q?Gr=C3=BC=C3=9Fe?= (fwd)\r\n"
        b"Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n"
        b"In-Reply-To: <1@x> <2@x>\r\n"
        b"\r\n"
        b"Hello,\r\n  world\r\n"
    )
    metadata = MessageMetadata(stored)
    assert metadata.subject == "Re: Grüße (fwd)"
    assert metadata.base_subject == "Grüße"
    assert metadata.sent == 880127706
    assert metadata.message_id is None
    assert metadata.references == [b"1@x"]
    assert metadata.preview == "Hello, world"
    assert metadata.body == b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 17 2)'
    assert metadata.bodystructure == metadata.body[:-1] + b" NIL NIL NIL NIL)"


@pytest.mark.parametrize(
    ("section", "found"),
    [
        ("", (0, 45)),
        ("HEADER", (0, 31)),
        ("text", (31, 14)),
        ("1", (31, 14)),
        ("1.MIME", (0, 31)),
        ("1.HEADER", (31, 13)),
        ("1.1", (44, 1)),
        ("2", None),
        ("MIME", None),
        ("1.", None),
        (".1", None),
        ("1.NONSENSE", None),
        ("99999999999", None),
        ("-1", None),
    ],
)
def test_sections_by_name(section, found):
    message = b"Content-Type: message/rfc822\r\n\nSubject: x\n\r\nb"
    assert len(message) == 45
    assert MessageMetadata(scan(message)).locate(section) == found


def test_corrupt_metadata_is_refused():
    stored = scan(b"Subject: x\r\n\r\nbody")
    for corrupt in (b"", stored[:-1], stored + b"\0", b"\x01" + stored[1:]):
        with pytest.raises(CorruptError):
            MessageMetadata(corrupt)


def test_a_scanner_finishes_once():
    scanner = Scanner()
    scanner.finish()
    with pytest.raises(ValueError, match="finished"):
        scanner.feed(b"x")
    with pytest.raises(ValueError, match="finished"):
        scanner.finish()


def test_unknown_encodings_are_refused():
    for encoding in (-1, 3, 1 << 40):
        with pytest.raises(ValueError, match="encoding"):
            TransferDecoder(encoding)
