"""FETCH responses as pieces, with message text in its place."""

import random

import pytest

from imapvm._core import (
    BinarySlice,
    BodySlice,
    CommandReader,
    CorruptError,
    Fetch,
    FetchItems,
    Record,
    Scanner,
    UidMap,
    UidSet,
    render_fetch,
    segment_append,
)

MESSAGE = (
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n"
    b"From: Fred Foobar <foobar@blurdybloop.example>\r\n"
    b"Subject: afternoon\r\n meeting\r\n"
    b"X-Odd: 1\r\n"
    b"\r\n"
    b"Hello Joe\r\n"
)
MULTIPART = (
    b"Subject: two\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="cut"\r\n'
    b"\r\n"
    b"preamble\r\n"
    b"--cut\r\n"
    b"Content-Type: text/plain\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n"
    b"SGVsbG8=\r\n"
    b"--cut\r\n"
    b"Content-Type: message/rfc822\r\n"
    b"\r\n"
    b"Subject: inner\r\n"
    b"Content-Type: text/html\r\n"
    b"\r\n"
    b"<b>inside</b>\r\n"
    b"--cut--\r\n"
)
EMPTY = UidSet()


def fetch_items(text):
    """Items as a client asks for them."""
    reader = CommandReader()
    reader.feed(b"a FETCH 1 " + text + b"\r\n")
    command = reader.next()
    assert isinstance(command, Fetch), command
    return command.items


def metadata_of(message):
    scanner = Scanner()
    scanner.feed(message)
    return scanner.finish()


class Mailbox:
    """Messages with UIDs, all of them in the client's view."""

    def __init__(self, messages, **fields):
        self.bodies = {uid + 100: message for uid, message in messages.items()}
        plain = {
            "flags": 1,
            "keyword_set": 0,
            "modseq": 7,
            "date": 837596665,
            "zone": -420,
            "saved": 0,
            "thread": 0,
        }
        records = [
            Record(uid=uid, size=len(message), body=uid + 100, **(plain | fields))
            for uid, message in messages.items()
        ]
        self.segments = [segment_append(b"", records)]
        self.uids = UidSet.of(messages)
        self.metadata = {body: metadata_of(message) for body, message in self.bodies.items()}

    def pieces(self, items, *, wanted=None, recent=None, keywords=None, flags_too=None):
        return render_fetch(
            items if isinstance(items, FetchItems) else fetch_items(items),
            UidMap(self.uids),
            self.uids if wanted is None else wanted,
            self.segments,
            keywords=keywords or {},
            recent=recent,
            metadata=self.metadata,
            flags_too=flags_too,
        )

    def sent(self, items, **also):
        out = []
        for piece in self.pieces(items, **also):
            match piece:
                case BodySlice():
                    assert piece.length > 0
                    data = self.bodies[piece.body][piece.offset : piece.offset + piece.length]
                    assert len(data) == piece.length
                    out.append(data)
                case bytes():
                    out.append(piece)
                case BinarySlice():
                    raise AssertionError(piece)
        return b"".join(out)


def literal(data):
    return b"{%d}\r\n" % len(data) + data


def test_items_of_the_index_are_one_piece():
    mailbox = Mailbox({5: MESSAGE, 9: b""}, keyword_set=3)
    line = (
        b"* %d FETCH (FLAGS (\\Seen $Forwarded Junk) UID %d"
        b' INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE %d MODSEQ (7))\r\n'
    )
    pieces = mailbox.pieces(
        b"(FLAGS UID INTERNALDATE RFC822.SIZE MODSEQ)", keywords={3: b"$Forwarded Junk"}
    )
    assert pieces == [line % (1, 5, len(MESSAGE)) + line % (2, 9, 0)]


def test_empty_set_gives_no_piece():
    assert Mailbox({5: MESSAGE}).pieces(b"FLAGS", wanted=UidSet.of([6])) == []


def test_cached_header_fields_are_one_piece():
    mailbox = Mailbox({5: MESSAGE, 9: MESSAGE})
    head = b"* %d FETCH (UID %d BODY[HEADER.FIELDS (date FROM Cc X-None)] "
    data = literal(MESSAGE[: MESSAGE.index(b"Subject")] + b"\r\n")
    asked = b"(UID BODY.PEEK[HEADER.FIELDS (date FROM Cc X-None)])"
    assert mailbox.pieces(asked) == [
        head % (1, 5) + data + b")\r\n" + head % (2, 9) + data + b")\r\n"
    ]
    pieces = mailbox.pieces(b"BODY.PEEK[HEADER.FIELDS (Subject X-Odd)]", wanted=UidSet.of([5]))
    assert [type(piece) for piece in pieces] == [bytes, BodySlice, bytes]


def test_header_field_with_nul_is_read_from_the_message():
    pieces = Mailbox({5: b"Subject: a\0b\r\n\r\n"}).pieces(b"BODY.PEEK[HEADER.FIELDS (Subject)]")
    assert [type(piece) for piece in pieces] == [bytes, BodySlice, bytes]


def test_object_ids():
    mailbox = Mailbox({5: MESSAGE})
    assert mailbox.sent(b"(EMAILID THREADID)") == (
        b"* 1 FETCH (EMAILID (M0000000000000069) THREADID NIL)\r\n"
    )
    threaded = Mailbox({5: MESSAGE}, thread=2**64 - 1)
    assert threaded.sent(b"THREADID") == b"* 1 FETCH (THREADID (Tffffffffffffffff))\r\n"


def test_unsolicited_flags():
    mailbox = Mailbox({5: MESSAGE, 6: MESSAGE})
    items = FetchItems.flags(uid=True, modseq=True)
    assert mailbox.sent(items, recent=UidSet.of([6])) == (
        b"* 1 FETCH (UID 5 MODSEQ (7) FLAGS (\\Seen))\r\n"
        b"* 2 FETCH (UID 6 MODSEQ (7) FLAGS (\\Recent \\Seen))\r\n"
    )


def test_flags_too_are_written_once():
    mailbox = Mailbox({5: MESSAGE, 6: MESSAGE})
    flagged = UidSet.of([6])
    assert mailbox.sent(b"(UID)", flags_too=flagged) == (
        b"* 1 FETCH (UID 5)\r\n* 2 FETCH (UID 6 FLAGS (\\Seen))\r\n"
    )
    assert mailbox.sent(b"(FLAGS)", flags_too=flagged).count(b"FLAGS") == 2


def test_sections_of_a_simple_message():
    mailbox = Mailbox({5: MESSAGE})
    header, text = MESSAGE[: -len(b"Hello Joe\r\n")], b"Hello Joe\r\n"
    fields = b"Subject: afternoon\r\n meeting\r\n\r\n"
    for items, expected in {
        b"BODY[]": b"BODY[] " + literal(MESSAGE),
        b"RFC822": b"RFC822 " + literal(MESSAGE),
        b"BODY.PEEK[HEADER]": b"BODY[HEADER] " + literal(header),
        b"RFC822.HEADER": b"RFC822.HEADER " + literal(header),
        b"body[text]": b"BODY[TEXT] " + literal(text),
        b"RFC822.TEXT": b"RFC822.TEXT " + literal(text),
        b"BODY[1]": b"BODY[1] " + literal(text),
        b"BODY[2]": b"BODY[2] NIL",
        b"BODY[TEXT]<6.3>": b"BODY[TEXT]<6> " + literal(b"Joe"),
        b"BODY[TEXT]<11.3>": b'BODY[TEXT]<11> ""',
        b"BODY[HEADER.FIELDS (subject CC)]": b"BODY[HEADER.FIELDS (subject CC)] " + literal(fields),
        b"BODY[HEADER.FIELDS (Cc)]": b"BODY[HEADER.FIELDS (Cc)] " + literal(b"\r\n"),
        b"BODY[HEADER.FIELDS.NOT (Date From x-odd)]": (
            b"BODY[HEADER.FIELDS.NOT (Date From x-odd)] " + literal(fields)
        ),
        b"BINARY.SIZE[1]": b"BINARY.SIZE[1] 11",
    }.items():
        assert mailbox.sent(items) == b"* 1 FETCH (" + expected + b")\r\n", items


def test_sections_of_a_message_with_parts():
    mailbox = Mailbox({5: MULTIPART})
    inner = b"Subject: inner\r\nContent-Type: text/html\r\n\r\n<b>inside</b>"
    for items, expected in {
        b"BODY[1]": literal(b"SGVsbG8="),
        b"BODY[1.MIME]": literal(
            b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        ),
        b"BODY[2]": literal(inner),
        b"BODY[2.MIME]": literal(b"Content-Type: message/rfc822\r\n\r\n"),
        b"BODY[2.HEADER]": literal(inner[: -len(b"<b>inside</b>")]),
        b"BODY[2.TEXT]": literal(b"<b>inside</b>"),
        b"BODY[2.1]": literal(b"<b>inside</b>"),
        b"BODY[2.HEADER.FIELDS (SUBJECT)]": literal(b"Subject: inner\r\n\r\n"),
        b"BODY[2.HEADER.FIELDS.NOT (SUBJECT)]": literal(b"Content-Type: text/html\r\n\r\n"),
        b"BODY[1.HEADER]": b"NIL",
        b"BODY[3]": b"NIL",
        b"BODY[2.2]": b"NIL",
    }.items():
        assert mailbox.sent(items) == b"* 1 FETCH (%b %b)\r\n" % (items, expected), items


def test_binary_is_left_to_the_caller():
    mailbox = Mailbox({5: MULTIPART})
    start, slice_, end = mailbox.pieces(b"BINARY.PEEK[1]<2.3>")
    assert (start, end) == (b"* 1 FETCH (BINARY[1]<2> ", b")\r\n")
    assert isinstance(slice_, BinarySlice)
    assert MULTIPART[slice_.offset : slice_.offset + slice_.length] == b"SGVsbG8="
    assert (slice_.body, slice_.encoding, slice_.start, slice_.count) == (105, 1, 2, 3)
    assert not slice_.size_only
    [_, slice_, _] = Mailbox({5: MESSAGE}).pieces(b"BINARY[1]<6.3>")
    assert (slice_.encoding, slice_.start, slice_.count, slice_.length) == (0, 6, 3, 11)
    start, slice_, end = mailbox.pieces(b"BINARY.SIZE[1]")
    assert start == b"* 1 FETCH (BINARY.SIZE[1] "
    assert isinstance(slice_, BinarySlice)
    assert (slice_.start, slice_.count, slice_.size_only) == (0, None, True)
    assert mailbox.sent(b"(BINARY.PEEK[9] BINARY.SIZE[9])") == (
        b"* 1 FETCH (BINARY[9] NIL BINARY.SIZE[9] 0)\r\n"
    )


def test_envelope_and_bodystructure_are_sent_as_stored():
    mailbox = Mailbox({5: MESSAGE})
    sent = mailbox.sent(b"(ENVELOPE BODY BODYSTRUCTURE PREVIEW)")
    assert sent.startswith(b'* 1 FETCH (ENVELOPE ("Mon, 7 Feb 1994 21:52:25 -0800" ')
    assert b') BODY ("' in sent
    assert b') BODYSTRUCTURE ("' in sent
    assert sent.endswith(b'PREVIEW "Hello Joe")\r\n')


def test_a_preview_outside_ascii_is_a_literal():
    mailbox = Mailbox(
        {5: b"Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"}
    )
    assert mailbox.sent(b"PREVIEW") == b"* 1 FETCH (PREVIEW {7}\r\nGr\xc3\xbc\xc3\x9fe)\r\n"


def test_partial_is_a_range_of_the_whole():
    mailbox = Mailbox({5: MULTIPART})
    dice = random.Random(3)
    for section in (b"", b"HEADER.FIELDS (SUBJECT Content-Type)", b"TEXT", b"2.TEXT"):
        whole = mailbox.sent(b"BODY[%b]" % section)
        data = whole[whole.index(b"\r\n") + 2 : -len(b")\r\n")]
        for _ in range(40):
            start, count = dice.randint(0, len(data) + 5), dice.randint(1, len(data) + 5)
            cut = data[start : start + count]
            value = literal(cut) if cut else b'""'
            sent = mailbox.sent(b"BODY[%b]<%d.%d>" % (section, start, count))
            assert sent == b"* 1 FETCH (BODY[%b]<%d> %b)\r\n" % (section, start, value)


def test_missing_metadata_is_a_key_error():
    mailbox = Mailbox({5: MESSAGE}, keyword_set=9)
    with pytest.raises(KeyError):
        mailbox.pieces(b"FLAGS")
    mailbox.metadata.clear()
    with pytest.raises(KeyError):
        mailbox.pieces(b"ENVELOPE")
    mailbox.pieces(b"BODY[]")  # the length is in the index


def test_corrupt_data_raises_corrupt_error():
    mailbox = Mailbox({5: MESSAGE})
    stored = mailbox.metadata[105]
    mailbox.metadata[105] = stored[:-1] + bytes([stored[-1] ^ 1])
    with pytest.raises(CorruptError):
        mailbox.pieces(b"ENVELOPE")
    mailbox.segments = [mailbox.segments[0][:-1]]
    with pytest.raises(CorruptError):
        mailbox.pieces(b"FLAGS")
