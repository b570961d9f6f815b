"""Sample messages: their shapes; all but one are well-formed."""

import email
import email.policy
import zlib

import pytest

from imapvm.ops.demo.attachments import pdf, png
from imapvm.ops.demo.sample_messages import sample_messages

NOW = 1_790_000_000.0
ALL = {sample.name[3:]: sample for sample in sample_messages("demo@localhost", NOW)}


def parsed(name):
    return email.message_from_bytes(ALL[name].message, policy=email.policy.default)


def test_names_are_distinct_and_ascending():
    names = [sample.name for sample in sample_messages("demo@localhost", NOW)]
    assert len(names) >= 12
    assert names == sorted(set(names))


@pytest.mark.parametrize("name", ALL)
def test_lines_are_short_and_end_in_crlf(name):
    message = ALL[name].message
    assert b"\n" not in message.replace(b"\r\n", b"")
    assert b"\r" not in message.replace(b"\r\n", b"")
    assert max(map(len, message.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("name", sorted(set(ALL) - {"broken-mime"}))
def test_message_has_no_defects(name):
    message = parsed(name)
    assert [part.defects for part in message.walk() if part.defects] == []
    assert message["Date"].datetime.timestamp() <= NOW
    assert message["Message-ID"] is not None
    assert "demo@localhost" in f"{message['To']} {message['Cc']}"


def test_broken_message_has_defects():
    assert parsed("broken-mime").defects


def test_shapes():
    types = {name: [part.get_content_type() for part in parsed(name).walk()] for name in ALL}
    assert types["welcome"] == ["text/plain"]
    assert types["html-alternative"] == ["multipart/alternative", "text/plain", "text/html"]
    assert types["attachments"][2:] == ["image/png", "application/pdf"]
    assert types["forwarded"][2:4] == ["message/rfc822", "multipart/alternative"]
    assert types["invitation"][2] == "text/calendar"
    assert types["inline-picture"] == ["multipart/related", "text/html", "image/png"]
    assert parsed("flowed").get_param("format") == "flowed"
    assert parsed("mailing-list")["List-Id"]
    assert parsed("encoded-words")["Subject"].startswith("Grüße aus Köln ✉ und viele")
    assert parsed("encoded-words")["From"].addresses[0].display_name == "Jürgen Müller"
    assert "Grüße" in parsed("encoded-words").get_content()
    assert "Доброе утро" in ALL["utf8-body"].message.decode()


def test_thread_references():
    question, answer, thanks = (parsed(f"thread-{n}") for n in ("question", "answer", "thanks"))
    assert answer["In-Reply-To"] == question["Message-ID"]
    assert thanks["References"].split() == [question["Message-ID"], answer["Message-ID"]]


def test_messages_are_deterministic():
    assert sample_messages("a@b", NOW) == sample_messages("a@b", NOW)


def test_png_image(tmp_path):
    image = png(96, 64)
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    start = image.index(b"IDAT") + 4
    rows = zlib.decompressobj().decompress(image[start:])
    assert len(rows) == 64 * (1 + 3 * 96)
    assert len({rows[i : i + 3] for i in range(1, len(rows) - 2, 289)}) >= 1


def test_pdf_cross_reference_table():
    page = pdf(["one", "two"])
    table = int(page.split(b"startxref\n")[1].split(b"\n")[0])
    assert page[table:].startswith(b"xref\n")
    for number, line in enumerate(page[table:].split(b"\n")[3:8], 1):
        assert page[int(line[:10]) :].startswith(b"%d 0 obj" % number)
