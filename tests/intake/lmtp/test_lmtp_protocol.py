"""LMTP without sockets: known replies, whole and cut at every byte (RFC 2033, 5321, 3030)."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapvm.intake.lmtp import protocol as lmtp_protocol
from imapvm.intake.lmtp.protocol import (
    TIMED_OUT,
    LmtpProtocol,
    MessageAborted,
    MessageEnd,
    MessageStart,
    RecipientRequest,
)
from imapvm.intake.lmtp.states import TRANSITIONS, LmtpState
from imapvm.intake.replies import DELIVERED, UNKNOWN_RECIPIENT
from imapvm.model.limits import (
    INCOMING_MAX,
    INTAKE_LINE_MAX,
    LMTP_ERRORS_MAX,
    LMTP_RECIPIENTS_MAX,
)

GREETING = "220 host LMTP imapvm"
LHLO = [
    "250-host",
    "250-PIPELINING",
    "250-8BITMIME",
    "250-SMTPUTF8",
    "250-ENHANCEDSTATUSCODES",
    "250-CHUNKING",
    f"250 SIZE {INCOMING_MAX}",
]
MAIL, RCPT, DATA = "250 2.1.0", "250 2.1.5 recipient", "354"
STORED, CHUNK = "250 2.1.5 delivered", "250 2.0.0 chunk"
HEAD = b"LHLO client.example\r\n"
ADA = b"MAIL FROM:<ada@x.example>\r\n"
BOB = b"RCPT TO:<bob@x.example>\r\n"
UNKNOWN = b"RCPT TO:<unknown@x.example>\r\n"
GREETED = [GREETING, *LHLO]
BEGUN = [*GREETED, MAIL, RCPT]

CASES = {
    "RFC 2033 section 4.2": (
        b"LHLO foo.edu\r\nMAIL FROM:<chris@bar.com>\r\nRCPT TO:<pat@foo.edu>\r\n"
        b"RCPT TO:<unknown@foo.edu>\r\nRCPT TO:<full@foo.edu>\r\nDATA\r\n"
        b"Blah blah blah...\r\n...etc. etc. etc.\r\n.\r\nQUIT\r\n",
        [*GREETED, MAIL, RCPT, "550 5.1.1", RCPT, DATA, STORED, "452 4.3.1", "221 2.0.0 host"],
        [
            (
                "chris@bar.com",
                ["pat@foo.edu", "full@foo.edu"],
                b"Blah blah blah...\r\n..etc. etc. etc.\r\n",
            )
        ],
    ),
    "one reply for each RCPT, the same address twice": (
        HEAD + ADA + BOB + BOB + b"DATA\r\nx\r\n.\r\n",
        [*GREETED, MAIL, RCPT, RCPT, DATA, STORED, STORED],
        [("ada@x.example", ["bob@x.example", "bob@x.example"], b"x\r\n")],
    ),
    "empty message": (
        HEAD + ADA + BOB + b"DATA\r\n.\r\n",
        [*BEGUN, DATA, STORED],
        [("ada@x.example", ["bob@x.example"], b"")],
    ),
    "a dot after a bare LF ends nothing": (
        HEAD + ADA + BOB + b"DATA\r\na\n.\n.\r\nMAIL FROM:<evil>\r\n.\r\n",
        [*BEGUN, DATA, STORED],
        [("ada@x.example", ["bob@x.example"], b"a\n.\n.\r\nMAIL FROM:<evil>\r\n")],
    ),
    "two messages, null sender": (
        HEAD + ADA + BOB + b"DATA\r\n1\r\n.\r\nMAIL FROM:<>\r\n" + BOB + b"DATA\r\n2\r\n.\r\n",
        [*BEGUN, DATA, STORED, MAIL, RCPT, DATA, STORED],
        [("ada@x.example", ["bob@x.example"], b"1\r\n"), ("", ["bob@x.example"], b"2\r\n")],
    ),
    "quoted local parts": (
        HEAD + b'MAIL FROM:<"a d a"@x.example>\r\nRCPT TO:<"b\\"ob"@x.example>\r\nDATA\r\n.\r\n',
        [*BEGUN, DATA, STORED],
        [('"a d a"@x.example', ['"b\\"ob"@x.example'], b"")],
    ),
    "no recipient: DATA is 503": (
        HEAD + ADA + b"DATA\r\n" + UNKNOWN + b"DATA\r\nQUIT\r\n",
        [*GREETED, MAIL, "503 5.5.1", "550 5.1.1", "503 5.5.1", "221"],
        [],
    ),
    "HELO and EHLO are 500": (
        b"HELO x\r\nEHLO x\r\n" + HEAD,
        [GREETING, "500 5.5.1", "500 5.5.1", *LHLO],
        [],
    ),
    "before LHLO": (
        ADA + BOB + b"DATA\r\nNOOP\r\nVRFY bob\r\nRSET\r\n" + ADA + b"QUIT\r\n",
        [GREETING, "503", "503", "503", "250 2.0.0", "252 2.5.0", "250 2.0.0", "503", "221"],
        [],
    ),
    "order": (
        HEAD + BOB + ADA + ADA + b"RSET\r\n" + BOB,
        [*GREETED, "503", MAIL, "503", "250 2.0.0", "503"],
        [],
    ),
    "LHLO resets the transaction": (
        HEAD + ADA + BOB + HEAD + b"DATA\r\n",
        [*BEGUN, *LHLO, "503"],
        [],
    ),
    "LHLO and RSET at any time": (
        b"RSET\r\n" + HEAD + HEAD + b"RSET\r\n" + ADA + HEAD + ADA + BOB + b"RSET\r\nDATA\r\n",
        [GREETING, "250", *LHLO, *LHLO, "250", MAIL, *LHLO, MAIL, RCPT, "250", "503"],
        [],
    ),
    "LHLO without a name": (b"LHLO\r\nLHLO \r\n", [GREETING, "501", "501"], []),
    "lower case and spaces": (
        b"lhlo  x \r\nmail from:<a> \r\nrcpt to: <bob>\r\ndata \r\n.\r\nquit\r\n",
        [*BEGUN, DATA, STORED, "221"],
        [("a", ["bob"], b"")],
    ),
    "malformed": (
        HEAD
        + b"MAIL FROM:ada\r\nMAIL FROM:<a b>\r\nMAIL TO:<a>\r\nMAIL FROM:<a> X=1\r\n"
        + b"MAIL FROM:<a> BODY=BINARYMIME\r\nMAIL FROM:<\xff>\r\nMAIL FROM:<\xc3\xa4>\r\n"
        + ADA
        + b"RCPT TO:<>\r\nRCPT TO:<a@>\r\nDATA x\r\n",
        [
            *(*GREETED, "501", "501 5.1.7", "501", "555", "501", "501", "553 5.6.7", MAIL),
            *("501", "501 5.1.3", "501"),
        ],
        [],
    ),
    "SMTPUTF8": (
        HEAD + "MAIL FROM:<adä> SMTPUTF8\r\nRCPT TO:<böb>\r\nDATA\r\nü\r\n.\r\n".encode(),
        [*BEGUN, DATA, STORED],
        [("adä", ["böb"], "ü\r\n".encode())],
    ),
    "UTF-8 without SMTPUTF8": (
        HEAD + ADA + "RCPT TO:<böb>\r\n".encode(),
        [*GREETED, MAIL, "553"],
        [],
    ),
    "SIZE": (
        HEAD
        + b"MAIL FROM:<a> SIZE=%d\r\nMAIL FROM:<a> SIZE=%d\r\n" % (INCOMING_MAX + 1, INCOMING_MAX),
        [*GREETED, "552 5.3.4", MAIL],
        [],
    ),
    "unknown command": (
        HEAD + b"FROB\r\n\r\n \r\nNOOP x\r\n",
        [*GREETED, "500", "500", "500", "250"],
        [],
    ),
    "a bare LF ends no command": (HEAD + b"NOOP\nNOOP\r\n", [*GREETED, "500"], []),
    "BDAT": (
        HEAD + ADA + BOB + b"BDAT 5\r\nhel\r\nBDAT 3\r\n.\r\nBDAT 4 LAST\r\nend.",
        [*BEGUN, CHUNK, CHUNK, STORED],
        [("ada@x.example", ["bob@x.example"], b"hel\r\n.\r\nend.")],
    ),
    "RFC 3030 section 4.2, lower case": (
        HEAD + ADA + BOB + BOB + b"bdat 3\r\nabcBDAT 0 last\r\nQUIT\r\n",
        [*GREETED, MAIL, RCPT, RCPT, CHUNK, STORED, STORED, "221"],
        [("ada@x.example", ["bob@x.example"] * 2, b"abc")],
    ),
    "BDAT data that looks like commands": (
        HEAD + ADA + BOB + b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
        [*BEGUN, STORED, "250 2.0.0"],
        [("ada@x.example", ["bob@x.example"], b"QUIT\r\n")],
    ),
    "BDAT without recipients has no reply at LAST (RFC 2033 section 4.3)": (
        HEAD
        + (ADA + UNKNOWN + b"BDAT 3\r\nabcBDAT 3 LAST\r\nabcNOOP\r\n")
        + (ADA + b"BDAT 3 LAST\r\nabcNOOP\r\n" + ADA),
        [*GREETED, MAIL, "550", "503", "250 2.0.0", MAIL, "250 2.0.0", MAIL],
        [],
    ),
    "BDAT out of sequence is skipped": (
        b"BDAT 6 LAST\r\nQUIT\r\nBDAT 1\r\nx"
        + (HEAD + b"BDAT 6\r\nQUIT\r\nBDAT 1 LAST\r\nxNOOP\r\n"),
        [GREETING, "503", "503", *LHLO, "503", "503", "250"],
        [],
    ),
    "BDAT and other commands": (
        HEAD + ADA + BOB + b"BDAT 1\r\nxMAIL FROM:<b>\r\n" + BOB + b"DATA\r\nBDAT 1 LAST\r\ny",
        [*BEGUN, CHUNK, "503", "503", "503", STORED],
        [("ada@x.example", ["bob@x.example"], b"xy")],
    ),
    "RSET aborts a message started by BDAT": (
        HEAD + ADA + BOB + b"BDAT 1\r\nxRSET\r\n" + ADA + BOB + b"BDAT 1 LAST\r\ny",
        [*BEGUN, CHUNK, "250 2.0.0", MAIL, RCPT, STORED],
        ["aborted", ("ada@x.example", ["bob@x.example"], b"y")],
    ),
    "LHLO aborts a message started by BDAT": (
        HEAD + ADA + BOB + b"BDAT 1\r\nx" + HEAD + b"NOOP\r\n",
        [*BEGUN, CHUNK, *LHLO, "250"],
        ["aborted"],
    ),
    "QUIT aborts a message started by BDAT": (
        HEAD + ADA + BOB + b"BDAT 1\r\nxQUIT\r\n",
        [*BEGUN, CHUNK, "221"],
        ["aborted"],
    ),
    "BDAT of unknown size ends the connection": (
        HEAD + ADA + BOB + b"BDAT many\r\nNOOP\r\n",
        [*BEGUN, "501"],
        [],
    ),
    "BDAT without a size ends the connection": (
        HEAD + ADA + BOB + b"BDAT\r\nNOOP\r\n",
        [*BEGUN, "501"],
        [],
    ),
    "BDAT of zero bytes": (
        HEAD + ADA + BOB + BOB + b"BDAT 1\r\nxBDAT 0\r\nBDAT 1 LAST\r\ny",
        [*GREETED, MAIL, RCPT, RCPT, CHUNK, CHUNK, STORED, STORED],
        [("ada@x.example", ["bob@x.example"] * 2, b"xy")],
    ),
}


def converse(*portions):
    """Return replies, stored messages and protocol. full@ is over quota, unknown@ is unknown."""
    protocol = LmtpProtocol("host")
    out, stored, envelope, body = b"", [], None, []
    for portion in portions:
        protocol.receive(portion)
        while (event := protocol.next_event()) is not None:
            match event:
                case RecipientRequest(recipient):
                    if recipient.address.startswith("unknown"):
                        protocol.refuse_recipient(UNKNOWN_RECIPIENT)
                    else:
                        protocol.accept_recipient(recipient)
                case MessageStart(envelope):
                    body = []
                case bytes():
                    body.append(event)
                case MessageEnd():
                    names = [r.address for r in envelope.recipients]
                    stored.append((envelope.sender.address, names, b"".join(body)))
                    protocol.answer_message([answer(name).line for name in names])
                case MessageAborted():
                    stored.append("aborted")
        out += protocol.take()
    return (out + protocol.take()).decode().splitlines(), stored, protocol


def answer(name):
    return lmtp_protocol.Reply(452, "4.3.1", "full") if name.startswith("full") else DELIVERED


def check(replies, stored, case):
    _, expected, expected_stored = case
    assert len(replies) == len(expected), replies
    for line, beginning in zip(replies, expected, strict=True):
        assert line.startswith(beginning)
    assert stored == expected_stored


@pytest.mark.parametrize("name", CASES)
def test_a_dialogue_has_known_replies(name):
    case = CASES[name]
    replies, stored, _ = converse(case[0])
    check(replies, stored, case)


@pytest.mark.parametrize("name", CASES)
def test_replies_do_not_depend_on_where_the_input_is_cut(name):
    case = CASES[name]
    for at in range(1, len(case[0])):
        replies, stored, _ = converse(case[0][:at], case[0][at:])
        check(replies, stored, case)


@pytest.mark.parametrize("name", CASES)
def test_replies_are_the_same_byte_by_byte(name):
    case = CASES[name]
    replies, stored, _ = converse(*(case[0][i : i + 1] for i in range(len(case[0]))))
    check(replies, stored, case)


@pytest.mark.parametrize("name", CASES)
def test_every_reply_but_greetings_and_354_has_an_enhanced_status_code(name):
    for line in converse(CASES[name][0])[0]:
        if not re.match(r"220 |354 |250-|250 SIZE", line):
            code, status, _ = line.split(" ", 2)
            assert re.fullmatch(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", status)
            assert code[0] == status[0]


def test_input_after_the_close_is_ignored():
    _, _, protocol = converse(HEAD + b"QUIT\r\nNOOP\r\n")
    assert protocol.is_closed
    protocol.receive(b"NOOP\r\n")
    assert protocol.next_event() is None
    assert protocol.take() == b""


def test_a_started_message_is_aborted_by_close():
    protocol = LmtpProtocol("host")
    protocol.receive(HEAD + ADA + BOB + b"DATA\r\nhalf")
    request = protocol.next_event()
    assert isinstance(request, RecipientRequest)
    protocol.accept_recipient(request.recipient)
    assert isinstance(protocol.next_event(), MessageStart)
    assert protocol.next_event() == b"half"
    assert protocol.next_event() is None
    protocol.close(TIMED_OUT)
    assert isinstance(protocol.next_event(), MessageAborted)
    assert protocol.next_event() is None
    assert protocol.take().endswith(b"421 4.4.2 idle for too long, closing\r\n")


def test_the_envelope_has_the_name_from_lhlo():
    protocol = LmtpProtocol("host")
    protocol.receive(b"LHLO [192.0.2.7]\r\n" + ADA + BOB + b"DATA\r\n")
    protocol.accept_recipient(protocol.next_event().recipient)
    begins = protocol.next_event()
    assert begins.envelope.greeting == "[192.0.2.7]"


@given(st.lists(st.binary(max_size=80) | st.sampled_from([HEAD, ADA, BOB, b"DATA\r\n", b".\r\n"])))
def test_random_input_has_replies_and_raises_nothing(portions):
    replies, _, protocol = converse(*portions)
    assert all(re.match(r"[245][0-9]{2}[ -]|354 ", line) for line in replies)
    assert not protocol.state.name.endswith("ASKED")


# --- the table of transitions ---------------------------------------------------------------------


def test_the_known_dialogues_take_every_transition(monkeypatch):
    taken = set()
    move = LmtpProtocol._move

    def recorded(self, input_):
        taken.add((self.state, input_))
        move(self, input_)

    monkeypatch.setattr(LmtpProtocol, "_move", recorded)
    monkeypatch.setattr(lmtp_protocol, "INCOMING_MAX", 40)
    for sent, _, _ in CASES.values():
        converse(sent)
    converse(HEAD + ADA + BOB + b"DATA\r\n" + b"x" * 50 + b"\r\n.\r\n")
    closing = {(state, "close") for state in LmtpState}
    table = {(state, i) for state, row in TRANSITIONS.items() for i in row}
    assert table - closing == taken - closing


def test_every_state_but_closed_can_be_closed():
    closable = {state for state, row in TRANSITIONS.items() if "close" in row}
    assert closable == set(LmtpState) - {LmtpState.CLOSED}
    assert TRANSITIONS[LmtpState.CLOSED] == {}


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.at_limit("INTAKE_LINE_MAX")
@pytest.mark.past_limit("INTAKE_LINE_MAX")
@pytest.mark.parametrize("cut", [1, INTAKE_LINE_MAX - 2, INTAKE_LINE_MAX - 1, INTAKE_LINE_MAX])
def test_the_length_of_a_command_is_limited(cut):
    line = b"NOOP " + b"x" * (INTAKE_LINE_MAX - 7) + b"\r\n"
    assert len(line) == INTAKE_LINE_MAX
    replies, _, _ = converse(line[:cut], line[cut:] + b"NOOP\r\n")
    assert [reply[:3] for reply in replies] == ["220", "250", "250"]
    line = line[:-2] + b"x\r\n"
    replies, _, _ = converse(line[:cut], line[cut:] + b"NOOP\r\n")
    assert [reply[:3] for reply in replies] == ["220", "500", "250"]


def test_an_endless_line_is_one_error_and_is_not_buffered():
    replies, _, _ = converse(*[b"x" * 10_000] * 100, b"\r", b"\nNOOP\r\n")
    assert [reply[:3] for reply in replies] == ["220", "500", "250"]
    _, _, protocol = converse(*[b"x" * 10_000] * 100)
    assert len(protocol._buffer) <= INTAKE_LINE_MAX


@pytest.mark.at_limit("LMTP_RECIPIENTS_MAX")
@pytest.mark.past_limit("LMTP_RECIPIENTS_MAX")
def test_the_number_of_recipients_is_limited_and_the_next_gets_452():
    begun = HEAD + ADA + BOB * LMTP_RECIPIENTS_MAX
    replies, stored, _ = converse(begun + BOB + b"DATA\r\n.\r\n")
    replies = replies[len(GREETED) + 1 :]
    assert all(line.startswith(RCPT) for line in replies[:LMTP_RECIPIENTS_MAX])
    assert replies[LMTP_RECIPIENTS_MAX].startswith("452 4.5.3")
    assert len(replies) == 2 * LMTP_RECIPIENTS_MAX + 2
    assert len(stored[0][1]) == LMTP_RECIPIENTS_MAX


@pytest.mark.at_limit("LMTP_ERRORS_MAX")
@pytest.mark.past_limit("LMTP_ERRORS_MAX")
def test_too_many_unknown_commands_end_the_connection():
    replies, _, protocol = converse(b"GET / HTTP/1.1\r\n" * LMTP_ERRORS_MAX)
    assert not protocol.is_closed
    replies, _, protocol = converse(b"GET / HTTP/1.1\r\n" * (LMTP_ERRORS_MAX + 1) + b"NOOP\r\n")
    assert protocol.is_closed
    assert replies[-1].startswith("421 4.7.0")
    assert len(replies) == LMTP_ERRORS_MAX + 3


def test_refused_recipients_and_addresses_do_not_count_as_errors():
    refused = ADA + UNKNOWN + b"DATA\r\nRSET\r\nMAIL FROM:<a b>\r\n"
    replies, _, protocol = converse(HEAD + refused * 50 + b"NOOP\r\n")
    assert not protocol.is_closed
    assert replies[-1].startswith("250 2.0.0")


@pytest.mark.at_limit("INCOMING_MAX")
@pytest.mark.past_limit("INCOMING_MAX")
@pytest.mark.parametrize("chunked", [False, True])
def test_the_size_of_a_message_is_limited(chunked):
    piece = b"x" * 1_000_000
    for size, reply, stored in (
        (INCOMING_MAX, STORED, INCOMING_MAX),
        (INCOMING_MAX + 1, f"552 5.3.4 message is larger than {INCOMING_MAX} bytes", None),
    ):
        if chunked:
            head, tail, left = b"BDAT %d LAST\r\n" % size, b"", size
        else:
            head, tail, left = b"DATA\r\n", b"\r\n.\r\n", size - 2
        pieces = [piece] * (left // len(piece)) + [piece[: left % len(piece)]]
        replies, found, _ = converse(HEAD + ADA + BOB + BOB, head, *pieces, tail + b"NOOP\r\n")
        assert replies[-3:-1] == [replies[-2]] * 2
        assert replies[-2].startswith(reply)
        assert replies[-1].startswith("250 2.0.0")
        if stored is None:
            assert found == ["aborted"]
        else:
            assert len(found[0][2]) == stored


def test_a_chunk_past_the_limit_and_all_further_chunks_are_refused(monkeypatch):
    monkeypatch.setattr(lmtp_protocol, "INCOMING_MAX", 10)
    replies, stored, _ = converse(
        HEAD + ADA + BOB + BOB + b"BDAT 10\r\n0123456789BDAT 1\r\n0BDAT 1\r\n1BDAT 1 LAST\r\n2"
        b"MAIL FROM:<>\r\n" + BOB + b"BDAT 1 LAST\r\n3"
    )
    codes = [line[:3] for line in replies[len(GREETED) :]]
    assert codes == ["250"] * 4 + ["552", "552", "552", "552"] + ["250"] * 3
    assert stored == ["aborted", ("", ["bob@x.example"], b"3")]


def test_every_command_of_the_table_is_in_the_documentation():
    text = (Path(__file__).parents[3] / "docs/intake.md").read_text()
    for row in lmtp_protocol.COMMANDS:
        assert row.verb.decode() in text
    for extension in lmtp_protocol.EXTENSIONS:
        assert extension.split()[0] in text
