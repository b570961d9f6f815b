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
    SPOOL_COMMANDS_MAX,
    SPOOL_MESSAGES_MAX,
    SPOOL_READ_MAX,
    SPOOL_RECIPIENTS_MAX,
)

ADA_TO_BOB = b"MAIL FROM:<ada>\r\nRCPT TO:<bob>\r\n"


class Portions(io.BytesIO):
    """File that returns at most `limit` bytes at a time."""

    def __init__(self, data, limit):
        super().__init__(data)
        self.limit = limit

    def read(self, size=-1):
        return super().read(min(size, self.limit))


def messages(data, limit=SPOOL_READ_MAX):
    """Return envelope and data of each message."""
    found = []
    for part in read_bsmtp(Portions(data, limit)):
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
    "a bare LF or CR in a file with CRLF is kept, and a dot after it ends nothing": (
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
    "RSET discards the envelope": (
        b"MAIL FROM:<cyn>\r\nRCPT TO:<cyn>\r\nRSET\r\n" + ADA_TO_BOB + b"DATA\r\nx\r\n.\r\n",
        [(envelope(), b"x\r\n")],
    ),
    "no recipient (RFC 2442: DATA is accepted)": (
        b"MAIL FROM:<ada>\r\nDATA\r\nx\r\n.\r\n",
        [(Envelope(Sender("ada"), ()), b"x\r\n")],
    ),
    "ignored commands": (
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

ERRORS = {
    "empty file": (b"", 1, "no message"),
    "only greetings": (b"EHLO a\r\nQUIT\r\n", 3, "no message"),
    "no MAIL": (b"RCPT TO:<bob>\r\n", 1, "before MAIL"),
    "DATA first": (b"EHLO a\r\nDATA\r\n", 2, "before MAIL"),
    "two MAIL": (b"MAIL FROM:<a>\r\nMAIL FROM:<a>\r\n", 2, "MAIL after a MAIL"),
    "no DATA": (ADA_TO_BOB, 3, "MAIL without a message"),
    "DATA with an argument": (ADA_TO_BOB + b"DATA x\r\n", 3, "no argument"),
    "no address": (b"MAIL FROM:ada\r\n", 1, "angle brackets"),
    "bad parameter": (b"MAIL FROM:<ada> X=1\r\n", 1, "unknown parameter X"),
    "recipient is empty": (b"MAIL FROM:<ada>\r\nRCPT TO:<>\r\n", 2, "is empty"),
    "a mail without an envelope": (b"From: ada\r\n\r\nhi\r\n", 1, "not a command"),
    "truncated message": (ADA_TO_BOB + b"DATA\r\nhi\r\n.", 3, "does not end"),
    "truncated message with LF": (b"MAIL FROM:<a>\nDATA\nhi\n", 2, "does not end"),
    "truncated command": (b"MAIL FROM:<ada>", 1, "no line end"),
    "command after QUIT": (ADA_TO_BOB + b"DATA\r\n.\r\nQUIT\r\nx\r\n", 6, "after QUIT"),
    "text after the dot": (ADA_TO_BOB + b"DATA\r\na\r\nb\r\n.\r\nmore\r\n", 7, "not a command"),
    "MAIL and QUIT": (b"MAIL FROM:<a>\r\nQUIT\r\n", 3, "MAIL without a message"),
    "not UTF-8": (b"MAIL FROM:<\xff>\r\n", 1, "UTF-8"),
    "declared too large": (
        b"MAIL FROM:<a> SIZE=%d\r\n" % (INCOMING_MAX + 1),
        1,
        f"larger than {INCOMING_MAX} bytes",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_parsed(name):
    data, expected = FILES[name]
    assert messages(data) == expected


@pytest.mark.parametrize("name", FILES)
def test_the_result_does_not_depend_on_the_size_of_reads(name):
    data, expected = FILES[name]
    for limit in (1, 2, 3, 7):
        assert messages(data, limit) == expected


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("limit", [1, SPOOL_READ_MAX])
def test_a_syntax_error_is_reported_with_line_and_reason(name, limit):
    data, line, reason = ERRORS[name]
    with pytest.raises(BsmtpError, match=f"^line {line}: .*{reason}") as caught:
        messages(data, limit)
    assert caught.value.line == line


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_an_error_or_has_complete_messages(name):
    data, expected = FILES[name]
    for end in range(len(data)):
        try:
            found = messages(data[:end])
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


def cut(data, at):
    edges = sorted({0, len(data), *(c for c in at if c < len(data))})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(LINES, CUTS, st.integers(1, 50))
def test_a_written_message_is_read_back_byte_for_byte(lines, cuts, limit):
    message = b"".join(line + b"\r\n" for line in lines)
    written = b"".join(write_bsmtp("ada", ["bob", "c@d.example"], cut(message, cuts)))
    ((found, data),) = messages(written, limit)
    assert data == message
    assert found.sender == Sender("ada")
    assert [r.address for r in found.recipients] == ["bob", "c@d.example"]
    assert found.greeting


@given(st.binary(max_size=60), CUTS)
def test_crlf_is_added_to_a_last_line_without_it(message, cuts):
    written = b"".join(write_bsmtp("", ["bob"], cut(message, cuts)))
    whole = message if not message or message.endswith(b"\r\n") else message + b"\r\n"
    assert messages(written)[0][1] == whole


@given(st.binary(max_size=60), CUTS)
def test_dot_stuffing_and_line_ends_do_not_depend_on_the_portions(message, cuts):
    portions = cut(message, cuts)
    assert b"".join(dot_stuffed(portions)) == b"".join(dot_stuffed([message] if message else []))
    lines = b"".join(crlf_lines(portions))
    assert lines == b"".join(crlf_lines([message]))
    assert lines.replace(b"\r\n", b"\n") == message.replace(b"\r\n", b"\n")
    assert b"\n" not in lines.replace(b"\r\n", b"")


def test_the_writer_adds_smtputf8_if_an_address_requires_it():
    assert b" SMTPUTF8" in b"".join(write_bsmtp("adá", ["bob"], []))
    assert b"SMTPUTF8" not in b"".join(write_bsmtp("ada", ["bob"], []))


@pytest.mark.parametrize("address", ["a b", "a@b c", "x\r\nRCPT TO:<y>"])
def test_the_writer_refuses_malformed_addresses(address):
    with pytest.raises(ValueError, match=r"expected"):
        list(write_bsmtp(address, ["bob"], []))
    with pytest.raises(ValueError, match=r"expected"):
        list(write_bsmtp("ada", [address], []))


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.at_limit("INTAKE_LINE_MAX")
@pytest.mark.past_limit("INTAKE_LINE_MAX")
@pytest.mark.parametrize("limit", [100, SPOOL_READ_MAX])
def test_the_length_of_a_command_is_limited(limit):
    line = b"NOOP " + b"x" * (INTAKE_LINE_MAX - 7) + b"\r\n"
    message = ADA_TO_BOB + b"DATA\r\n.\r\n"
    assert len(line) == INTAKE_LINE_MAX
    assert messages(line + message, limit)
    with pytest.raises(BsmtpError, match="line 1: command is longer than"):
        messages(line[:-2] + b"x\r\n" + message, limit)


def test_a_file_without_line_ends_is_not_read_completely():
    file = Portions(b"x" * 10_000_000, SPOOL_READ_MAX)
    with pytest.raises(BsmtpError, match="command is longer than"):
        list(read_bsmtp(file))
    assert file.tell() <= 2 * SPOOL_READ_MAX


@pytest.mark.at_limit("SPOOL_RECIPIENTS_MAX")
@pytest.mark.past_limit("SPOOL_RECIPIENTS_MAX")
def test_the_number_of_recipients_is_limited():
    many = b"".join(b"RCPT TO:<u%d>\r\n" % n for n in range(SPOOL_RECIPIENTS_MAX))
    ((found, _),) = messages(b"MAIL FROM:<a>\r\n" + many + b"DATA\r\n.\r\n")
    assert len(found.recipients) == SPOOL_RECIPIENTS_MAX
    with pytest.raises(BsmtpError, match=f"more than {SPOOL_RECIPIENTS_MAX} recipients"):
        messages(b"MAIL FROM:<a>\r\n" + many + b"RCPT TO:<x>\r\nDATA\r\n.\r\n")


@pytest.mark.at_limit("SPOOL_COMMANDS_MAX")
@pytest.mark.past_limit("SPOOL_COMMANDS_MAX")
def test_the_size_of_all_commands_of_a_file_is_limited():
    end = ADA_TO_BOB + b"DATA\r\n" + b"x" * 10_000 + b"\r\n.\r\n"  # messages do not count
    size = len(ADA_TO_BOB + b"DATA\r\n") + len(b"NOOP \r\n")
    line = b"x" * 60 + b"\r\n"
    lines, left = divmod(SPOOL_COMMANDS_MAX - size, 5 + len(line))
    many = (b"NOOP " + line) * lines + b"NOOP " + b"x" * left + b"\r\n"
    assert len(messages(many + end)) == 1
    with pytest.raises(BsmtpError, match=f"longer than {SPOOL_COMMANDS_MAX} bytes"):
        messages(b"\n" + many + end)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_the_reader_yields_after_some_lines_without_a_result(line_end):
    steps = list(read_bsmtp(io.BytesIO(line_end * 1000 + ADA_TO_BOB + b"DATA\r\n.\r\n")))
    assert steps.count(None) >= 1000 // bsmtp.LINES_PER_STEP


@pytest.mark.at_limit("SPOOL_MESSAGES_MAX")
@pytest.mark.past_limit("SPOOL_MESSAGES_MAX")
def test_the_number_of_messages_in_a_file_is_limited():
    one = ADA_TO_BOB + b"DATA\r\n.\r\n"
    assert len(messages(one * SPOOL_MESSAGES_MAX)) == SPOOL_MESSAGES_MAX
    with pytest.raises(BsmtpError, match=f"more than {SPOOL_MESSAGES_MAX} messages"):
        messages(one * (SPOOL_MESSAGES_MAX + 1))


@pytest.mark.at_limit("INCOMING_MAX")
@pytest.mark.past_limit("INCOMING_MAX")
def test_the_size_of_a_message_is_limited():
    size = 0
    for part in read_bsmtp(io.BytesIO(b"".join(write_bsmtp("", ["b"], sized(INCOMING_MAX))))):
        size += len(part) if isinstance(part, bytes) else 0
        assert not isinstance(part, bytes) or len(part) <= SPOOL_READ_MAX
    assert size == INCOMING_MAX
    with pytest.raises(BsmtpError, match=f"larger than {INCOMING_MAX} bytes"):
        for _ in read_bsmtp(io.BytesIO(b"".join(write_bsmtp("", ["b"], sized(INCOMING_MAX + 1))))):
            pass


def sized(size):
    yield from [b"x" * 1_000_000] * ((size - 2) // 1_000_000)
    yield b"x" * ((size - 2) % 1_000_000) + b"\r\n"


@pytest.mark.at_limit("SPOOL_READ_MAX")
@pytest.mark.past_limit("SPOOL_READ_MAX")
@pytest.mark.parametrize("more", [0, 1])
def test_the_size_of_one_read_is_limited(more):
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


def test_the_module_exports_the_reader_and_the_writer():
    assert bsmtp.write_bsmtp is write_bsmtp
