"""Batch SMTP files (RFC 2442)."""

import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapvm.intake.envelope import Envelope, Recipient, Sender
from imapvm.intake.spool import bsmtp
from imapvm.intake.spool.bsmtp import BsmtpError, BsmtpMessageEnd, BsmtpMessageStart, read_bsmtp
from imapvm.intake.spool.file import crlf_lines, dot_stuffed, write_bsmtp
from imapvm.model.limits import (
    INCOMING_MAX,
    INTAKE_LINE_MAX,
    SPOOL_MESSAGES_MAX,
    SPOOL_READ_MAX,
    SPOOL_RECIPIENTS_MAX,
)

ADA_TO_BOB = b"MAIL FROM:<ada>\r\nRCPT TO:<bob>\r\n"


class Portions(io.BytesIO):
    """A file that gives at most so many octets at a time."""

    def __init__(self, octets, most):
        super().__init__(octets)
        self.most = most

    def read(self, size=-1):
        return super().read(min(size, self.most))


def messages(octets, most=SPOOL_READ_MAX):
    """Envelope and octets of each message."""
    found = []
    for part in read_bsmtp(Portions(octets, most)):
        match part:
            case BsmtpMessageStart(envelope):
                found.append((envelope, []))
            case bytes():
                found[-1][1].append(part)
            case BsmtpMessageEnd():
                found[-1] = (found[-1][0], b"".join(found[-1][1]))
    return found


def envelope(sender="ada", *recipients, greeting=None):
    return Envelope(Sender(sender), tuple(map(Recipient, recipients or ("bob",))), greeting)


FILES = {
    "whole": (
        b"EHLO relay.example\r\nMAIL FROM:<ada> BODY=8BITMIME SIZE=9\r\nRCPT TO:<bob>\r\n"
        b"RCPT TO:<cyn>\r\nDATA\r\nS: x\r\n\r\nhi\r\n.\r\nQUIT\r\n",
        [
            (
                Envelope(
                    Sender("ada", size=9), (Recipient("bob"), Recipient("cyn")), "relay.example"
                ),
                b"S: x\r\n\r\nhi\r\n",
            )
        ],
    ),
    "least": (ADA_TO_BOB + b"DATA\r\n.\r\n", [(envelope(), b"")]),
    "dots": (
        ADA_TO_BOB + b"DATA\r\n..\r\n...x\r\na.b\r\n.x\r\n.\r\n",
        [(envelope(), b".\r\n..x\r\na.b\r\nx\r\n")],
    ),
    "a bare LF or CR in a file with CRLF is kept, and a dot behind it ends nothing": (
        ADA_TO_BOB + b"DATA\r\na\n.\nb\r.\rc\n.\r\nd\r\n.\r\n",
        [(envelope(), b"a\n.\nb\r.\rc\n.\r\nd\r\n")],
    ),
    "LF only": (
        b"mail from:<ada>\nrcpt to:<bob>\ndata\nS: x\n\n..hi\n.\nquit\n",
        [(envelope(), b"S: x\r\n\r\n.hi\r\n")],
    ),
    "first line LF, message CRLF": (
        b"MAIL FROM:<ada>\nRCPT TO:<bob>\nDATA\nS: x\r\n\r\nhi\r\n.\n",
        [(envelope(), b"S: x\r\n\r\nhi\r\n")],
    ),
    "first line CRLF, other commands LF": (
        b"MAIL FROM:<ada>\r\nRCPT TO:<bob>\nDATA\r\nhi\r\n.\r\nQUIT\n",
        [(envelope(), b"hi\r\n")],
    ),
    "two messages": (
        b"HELO a\r\n" + ADA_TO_BOB + b"DATA\r\none\r\n.\r\n"
        b"MAIL FROM:<>\r\nRCPT TO:<cyn>\r\nDATA\r\ntwo\r\n.\r\n",
        [(envelope(greeting="a"), b"one\r\n"), (envelope("", "cyn", greeting="a"), b"two\r\n")],
    ),
    "RSET begins anew": (
        b"MAIL FROM:<cyn>\r\nRCPT TO:<cyn>\r\nRSET\r\n" + ADA_TO_BOB + b"DATA\r\nx\r\n.\r\n",
        [(envelope(), b"x\r\n")],
    ),
    "nobody is addressed (RFC 2442: DATA is accepted)": (
        b"MAIL FROM:<ada>\r\nDATA\r\nx\r\n.\r\n",
        [(Envelope(Sender("ada"), ()), b"x\r\n")],
    ),
    "commands that do nothing": (
        b"VERB ON\r\nNOOP\r\nTICK 17\r\n" + ADA_TO_BOB + b"DATA\r\nx\r\n.\r\n\r\nQUIT\r\n\r\n\r\n",
        [(envelope(), b"x\r\n")],
    ),
    "UTF-8": (
        "MAIL FROM:<adá>\r\nRCPT TO:<böb>\r\nDATA\r\nü\r\n.\r\n".encode(),
        [(Envelope(Sender("adá", utf8=True), (Recipient("böb"),)), "ü\r\n".encode())],
    ),
    "8-bit and NUL": (
        ADA_TO_BOB + b"DATA\r\n\x00\xff\x80\r\n.\r\n",
        [(envelope(), b"\x00\xff\x80\r\n")],
    ),
    "DSN": (
        b"MAIL FROM:<ada> RET=FULL ENVID=x\r\nRCPT TO:<bob> NOTIFY=NEVER ORCPT=rfc822;bob\r\n"
        b"DATA\r\n.\r\n",
        [
            (
                Envelope(
                    Sender("ada", envelope_id="x", full_return=True),
                    (Recipient("bob", wants_failures=False, original="rfc822;bob"),),
                ),
                b"",
            )
        ],
    ),
}

MISTAKES = {
    "nothing": (b"", 1, "no message"),
    "only greetings": (b"EHLO a\r\nQUIT\r\n", 3, "no message"),
    "no MAIL": (b"RCPT TO:<bob>\r\n", 1, "after MAIL"),
    "DATA first": (b"EHLO a\r\nDATA\r\n", 2, "after MAIL"),
    "two MAIL": (b"MAIL FROM:<a>\r\nMAIL FROM:<a>\r\n", 2, "MAIL came before"),
    "no DATA": (ADA_TO_BOB, 3, "message is missing"),
    "DATA with an argument": (ADA_TO_BOB + b"DATA x\r\n", 3, "alone"),
    "no address": (b"MAIL FROM:ada\r\n", 1, "angle brackets"),
    "bad parameter": (b"MAIL FROM:<ada> X=1\r\n", 1, "X is not known"),
    "recipient is empty": (b"MAIL FROM:<ada>\r\nRCPT TO:<>\r\n", 2, "cannot be empty"),
    "a mail without an envelope": (b"From: ada\r\n\r\nhi\r\n", 1, "no command"),
    "truncated message": (ADA_TO_BOB + b"DATA\r\nhi\r\n.", 3, "has no end"),
    "truncated message with LF": (b"MAIL FROM:<a>\nDATA\nhi\n", 2, "has no end"),
    "truncated command": (b"MAIL FROM:<ada>", 1, "within a line"),
    "something behind QUIT": (ADA_TO_BOB + b"DATA\r\n.\r\nQUIT\r\nx\r\n", 6, "follows QUIT"),
    "something behind the dot": (ADA_TO_BOB + b"DATA\r\na\r\nb\r\n.\r\nmore\r\n", 7, "no command"),
    "MAIL and QUIT": (b"MAIL FROM:<a>\r\nQUIT\r\n", 3, "message is missing"),
    "not UTF-8": (b"MAIL FROM:<\xff>\r\n", 1, "UTF-8"),
    "announced as too big": (
        b"MAIL FROM:<a> SIZE=%d\r\n" % (INCOMING_MAX + 1),
        1,
        f"at most {INCOMING_MAX} octets",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read(name):
    octets, expected = FILES[name]
    assert messages(octets) == expected


@pytest.mark.parametrize("name", FILES)
def test_what_is_read_does_not_depend_on_the_portions(name):
    octets, expected = FILES[name]
    for most in (1, 2, 3, 7):
        assert messages(octets, most) == expected


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("most", [1, SPOOL_READ_MAX])
def test_a_mistake_is_named_by_line_and_reason(name, most):
    octets, line, reason = MISTAKES[name]
    with pytest.raises(BsmtpError, match=f"^line {line}: .*{reason}") as caught:
        messages(octets, most)
    assert caught.value.line == line


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_short_is_a_mistake_or_reads_as_whole_messages(name):
    octets, expected = FILES[name]
    for end in range(len(octets)):
        try:
            found = messages(octets[:end])
        except BsmtpError:
            continue
        assert found == expected[: len(found)]


LINES = st.lists(
    st.one_of(
        st.binary(max_size=30).map(lambda b: b.replace(b"\r\n", b"")),
        st.sampled_from([b".", b"..", b".x", b"", b"\n.", b"\r", b"x\n", b"From x", b".\r"]),
    ),
    max_size=12,
)
CUTS = st.lists(st.integers(0, 200), max_size=6)


def cut(octets, at):
    edges = sorted({0, len(octets), *(c for c in at if c < len(octets))})
    return [octets[a:b] for a, b in itertools.pairwise(edges)]


@given(LINES, CUTS, st.integers(1, 50))
def test_what_was_written_is_read_back_octet_for_octet(lines, cuts, most):
    message = b"".join(line + b"\r\n" for line in lines)
    written = b"".join(write_bsmtp("ada", ["bob", "c@d.example"], cut(message, cuts)))
    ((found, octets),) = messages(written, most)
    assert octets == message
    assert found.sender == Sender("ada")
    assert [r.address for r in found.recipients] == ["bob", "c@d.example"]
    assert found.greeting


@given(st.binary(max_size=60), CUTS)
def test_a_last_line_without_an_end_gets_one(message, cuts):
    written = b"".join(write_bsmtp("", ["bob"], cut(message, cuts)))
    whole = message if not message or message.endswith(b"\r\n") else message + b"\r\n"
    assert messages(written)[0][1] == whole


@given(st.binary(max_size=60), CUTS)
def test_dots_and_line_ends_do_not_depend_on_the_portions(message, cuts):
    portions = cut(message, cuts)
    assert b"".join(dot_stuffed(portions)) == b"".join(dot_stuffed([message] if message else []))
    lines = b"".join(crlf_lines(portions))
    assert lines == b"".join(crlf_lines([message]))
    assert lines.replace(b"\r\n", b"\n") == message.replace(b"\r\n", b"\n")
    assert b"\n" not in lines.replace(b"\r\n", b"")


def test_the_writer_says_smtputf8_where_it_is_needed():
    assert b" SMTPUTF8" in b"".join(write_bsmtp("adá", ["bob"], []))
    assert b"SMTPUTF8" not in b"".join(write_bsmtp("ada", ["bob"], []))


@pytest.mark.parametrize("address", ["a b", "a@b c", "x\r\nRCPT TO:<y>"])
def test_the_writer_takes_no_address_that_is_none(address):
    with pytest.raises(ValueError, match=r"form|angle"):
        list(write_bsmtp(address, ["bob"], []))
    with pytest.raises(ValueError, match=r"form|angle"):
        list(write_bsmtp("ada", [address], []))


# --- bounds ---------------------------------------------------------------------------------------


@pytest.mark.at_limit("INTAKE_LINE_MAX")
@pytest.mark.past_limit("INTAKE_LINE_MAX")
@pytest.mark.parametrize("most", [100, SPOOL_READ_MAX])
def test_a_command_has_a_longest_line(most):
    line = b"NOOP " + b"x" * (INTAKE_LINE_MAX - 7) + b"\r\n"
    rest = ADA_TO_BOB + b"DATA\r\n.\r\n"
    assert len(line) == INTAKE_LINE_MAX
    assert messages(line + rest, most)
    with pytest.raises(BsmtpError, match="line 1: a command has at most"):
        messages(line[:-2] + b"x\r\n" + rest, most)


def test_a_file_without_line_ends_is_not_read_to_its_end():
    file = Portions(b"x" * 10_000_000, SPOOL_READ_MAX)
    with pytest.raises(BsmtpError, match="a command has at most"):
        list(read_bsmtp(file))
    assert file.tell() <= 2 * SPOOL_READ_MAX


@pytest.mark.at_limit("SPOOL_RECIPIENTS_MAX")
@pytest.mark.past_limit("SPOOL_RECIPIENTS_MAX")
def test_a_message_has_so_many_recipients_and_no_more():
    many = b"".join(b"RCPT TO:<u%d>\r\n" % n for n in range(SPOOL_RECIPIENTS_MAX))
    ((found, _),) = messages(b"MAIL FROM:<a>\r\n" + many + b"DATA\r\n.\r\n")
    assert len(found.recipients) == SPOOL_RECIPIENTS_MAX
    with pytest.raises(BsmtpError, match=f"at most {SPOOL_RECIPIENTS_MAX} recipients"):
        messages(b"MAIL FROM:<a>\r\n" + many + b"RCPT TO:<x>\r\nDATA\r\n.\r\n")


@pytest.mark.at_limit("SPOOL_MESSAGES_MAX")
@pytest.mark.past_limit("SPOOL_MESSAGES_MAX")
def test_a_file_holds_so_many_messages_and_no_more():
    one = ADA_TO_BOB + b"DATA\r\n.\r\n"
    assert len(messages(one * SPOOL_MESSAGES_MAX)) == SPOOL_MESSAGES_MAX
    with pytest.raises(BsmtpError, match=f"at most {SPOOL_MESSAGES_MAX} messages"):
        messages(one * (SPOOL_MESSAGES_MAX + 1))


@pytest.mark.at_limit("INCOMING_MAX")
@pytest.mark.past_limit("INCOMING_MAX")
def test_a_message_has_so_many_octets_and_no_more():
    size = 0
    for part in read_bsmtp(io.BytesIO(b"".join(write_bsmtp("", ["b"], sized(INCOMING_MAX))))):
        size += len(part) if isinstance(part, bytes) else 0
        assert not isinstance(part, bytes) or len(part) <= SPOOL_READ_MAX
    assert size == INCOMING_MAX
    with pytest.raises(BsmtpError, match=f"at most {INCOMING_MAX} octets"):
        for _ in read_bsmtp(io.BytesIO(b"".join(write_bsmtp("", ["b"], sized(INCOMING_MAX + 1))))):
            pass


def sized(octets):
    yield from [b"x" * 1_000_000] * ((octets - 2) // 1_000_000)
    yield b"x" * ((octets - 2) % 1_000_000) + b"\r\n"


@pytest.mark.at_limit("SPOOL_READ_MAX")
@pytest.mark.past_limit("SPOOL_READ_MAX")
@pytest.mark.parametrize("more", [0, 1])
def test_a_file_is_read_a_bounded_piece_at_a_time(more):
    asked = []

    class Asked(io.BytesIO):
        def read(self, size=-1):
            asked.append(size)
            return super().read(size)

    head, tail = ADA_TO_BOB + b"DATA\r\n", b"\r\n.\r\n"
    body = b"x" * (SPOOL_READ_MAX + more - len(head) - len(tail))
    parts = list(read_bsmtp(Asked(head + body + tail)))
    assert b"".join(p for p in parts if isinstance(p, bytes)) == body + b"\r\n"
    assert set(asked) == {SPOOL_READ_MAX}
    assert len(asked) == 2 + more


def test_the_face_of_the_package_has_both_directions():
    assert bsmtp.write_bsmtp is write_bsmtp
