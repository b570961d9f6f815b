"""Headers that break the RFCs, as many programs write them: known answers."""

import time

import pytest

from imapvm._core import MessageMetadata, Scanner

KIB_64 = 64 * 1024


def scan(message: bytes) -> MessageMetadata:
    scanner = Scanner()
    scanner.feed(message)
    return MessageMetadata(scanner.finish())


def envelope_from(value: str) -> str:
    """Return From of the ENVELOPE."""
    envelope = scan(f"From: {value}\r\n\r\n".encode()).envelope.decode()
    lists = envelope.removeprefix("(NIL NIL ").split(" ((")
    return lists[0].removesuffix(")")


def parameters(field: str) -> str:
    """Return the parameters that BODYSTRUCTURE has for a Content-Type field."""
    structure = scan(f"Content-Type: a/b; {field}\r\n\r\n".encode()).bodystructure.decode()
    found = structure.removeprefix('("A" "B" ')
    return found[: found.index(" NIL NIL")]


@pytest.mark.parametrize(
    ("subject", "decoded"),
    [
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe aus Bonn?=", "Grüße aus Bonn"),
        ("=?utf-8?Q?What is it? A test!?=", "What is it? A test!"),
        ("=?utf-8?Q?Who??= =?utf-8?Q?_Me?=", "Who? Me"),
        ("=?utf-8?B?R3LDvMOf ZQ==?=", "Grüße"),
        ('=?"utf-8"?Q?Gr=C3=BC=C3=9Fe?=', "Grüße"),
        ("=?'iso-8859-1'?Q?Gr=FC=DFe?=", "Grüße"),
        # RFC 2047 section 2 in folded form
        ("=?utf-8?Q?one\r\n two?=", "one two"),
        # A word without an end does not hide the next
        ("=?utf-8?Q?lost =?utf-8?Q?found?=", "=?utf-8?Q?lost found"),
        ("=?utf-8?Q?no end", "=?utf-8?Q?no end"),
        ("is 1 =? 2", "is 1 =? 2"),
    ],
)
def test_encoded_words_may_have_spaces_question_marks_and_quotes(subject, decoded):
    assert scan(f"Subject: {subject}\r\n\r\n".encode()).subject == decoded


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (
            "=?utf-8?Q?Doe, J. (x)?= <j@shop.example>",
            '(("=?utf-8?Q?Doe, J. (x)?=" NIL "j" "shop.example"))',
        ),
        ('"Ada <ada@shop.example>', '(("Ada" NIL "ada" "shop.example"))'),
        (
            '"Ada <a@x.example>, "Bob" <b@y.example>',
            '(("Ada" NIL "a" "x.example")("Bob" NIL "b" "y.example"))',
        ),
        (
            '"Ada <a@x>, "Bob, Jr." <b@y>, c@z',
            '(("Ada" NIL "a" "x")("Bob, Jr." NIL "b" "y")(NIL NIL "c" "z"))',
        ),
        ('"ada@x.example" <a@x.example>', '(("ada@x.example" NIL "a" "x.example"))'),
        ("<<g@h.example>>", '((NIL NIL "g" "h.example"))'),
        ("G <mailto:g@h.example>", '(("G" NIL "g" "h.example"))'),
        ("mailto:g@h.example", '((NIL NIL "g" "h.example"))'),
        (
            "Ada <a@x.example> Bob <b@y.example>",
            '(("Ada" NIL "a" "x.example")("Bob" NIL "b" "y.example"))',
        ),
    ],
)
def test_addresses_with_common_errors_are_kept(value, found):
    assert envelope_from(value) == found.removesuffix(")")


@pytest.mark.parametrize(
    ("field", "found"),
    [
        # RFC 9051 section 7.5.2: `baz` and `foo*`
        ('baz*0=one; baz*1="two, "; baz*2=three', '("BAZ" "onetwo, three")'),
        (
            "foo*0*=utf-8'en'Gr%C3%BC; foo*1*=%C3%9Fe",
            '("FOO*" "utf-8\'en\'Gr%C3%BC%C3%9Fe")',
        ),
        # Out of order
        ("baz*1=b; x=y; baz*0=a", '("BAZ" "ab" "X" "y")'),
        # A piece is missing: the pieces after it are kept
        ("baz*0=a; baz*2=c", '("BAZ" "a" "BAZ*2" "c")'),
        ("baz*1=b", '("BAZ*1" "b")'),
        # The first of two counts
        ("baz*0=a; baz*0=b; baz*1=c", '("BAZ" "ac")'),
        # With and without escapes (RFC 2231 section 4.1)
        (
            "foo*0*=utf-8''%41%20; foo*1=\"100% b\"",
            '("FOO*" "utf-8\'\'%41%20100%25%20b")',
        ),
        ("foo*0=a; foo*1*=%20b", '("FOO*" "\'\'a%20b")'),
        # Beside the parameter in one piece
        ("foo=a; foo*0*=utf-8''%C3; foo*1*=%A4", '("FOO" "a" "FOO*" "utf-8\'\'%C3%A4")'),
        ("foo=ab; foo*0=a; foo*1=b", '("FOO" "ab" "FOO*0" "a" "FOO*1" "b")'),
        # In one piece: as received
        ("foo*=utf-8''%C3%A4", '("FOO*" "utf-8\'\'%C3%A4")'),
        # File names without quotes
        (
            "name=Annual report (final) 2024.pdf; x=y",
            '("NAME" "Annual report (final) 2024.pdf" "X" "y")',
        ),
    ],
)
def test_parameters_in_pieces_are_joined(field, found):
    assert parameters(field) == found


def test_disposition_has_joined_parameters():
    structure = scan(
        b"Content-Type: application/pdf\r\n"
        b'Content-Transfer-Encoding: "base64"\r\n'
        b"Content-Disposition: attachment; filename*1=port.pdf; filename*0=re\r\n\r\nQQ==\r\n"
    ).bodystructure
    assert structure == (
        b'("APPLICATION" "PDF" NIL NIL NIL "BASE64" 6 NIL'
        b' ("ATTACHMENT" ("FILENAME" "report.pdf")) NIL NIL)'
    )


def test_boundary_and_charset_in_pieces_are_used():
    metadata = scan(
        b"Content-Type: multipart/mixed; boundary*0=ab; boundary*1=cd\r\n\r\n"
        b"--abcd\r\nContent-Type: text/plain; charset*0=iso-; charset*1=8859-1\r\n\r\n"
        b"\xfc\r\n--abcd--\r\n"
    )
    assert metadata.part_count == 1
    assert metadata.preview == "ü"


@pytest.mark.parametrize("piece", ["=?", "=?a?q? ", "<", "(", '"', '"@"a', '\\"', ";x*0=", "*0="])
@pytest.mark.parametrize(
    "field", ["Subject: ", "To: ", "Content-Type: a/b;", "Content-Disposition: a;"]
)
def test_repeated_openings_take_linear_time(field, piece):
    value = piece * (KIB_64 // len(piece))
    started = time.monotonic()
    scan(f"{field}{value}\r\n\r\n".encode())
    # One pass takes about a millisecond, quadratic time many seconds.
    assert time.monotonic() - started < 2
