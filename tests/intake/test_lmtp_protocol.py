"""LMTP without sockets: known answers, whole and cut at every octet (RFC 2033, 5321, 3030)."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapvm.intake.lmtp import protocol as lmtp_protocol
from imapvm.intake.lmtp.protocol import (
    TIMED_OUT,
    TRANSITIONS,
    LmtpProtocol,
    LmtpState,
    MessageAborted,
    MessageEnd,
    MessageStart,
    RecipientRequest,
)
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
NOBODY = b"RCPT TO:<nobody@x.example>\r\n"
GREETED = [GREETING, *LHLO]
BEGUN = [*GREETED, MAIL, RCPT]

CASES = {
    "RFC 2033 section 4.2": (
        b"LHLO foo.edu\r\nMAIL FROM:<chris@bar.com>\r\nRCPT TO:<pat@foo.edu>\r\n"
        b"RCPT TO:<nobody@foo.edu>\r\nRCPT TO:<full@foo.edu>\r\nDATA\r\n"
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
    "a dot that ends nothing (bare LF)": (
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
        HEAD + ADA + b"DATA\r\n" + NOBODY + b"DATA\r\nQUIT\r\n",
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
    "LHLO again forgets": (HEAD + ADA + BOB + HEAD + b"DATA\r\n", [*BEGUN, *LHLO, "503"], []),
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
    "no command": (
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
    "BDAT that is commands": (
        HEAD + ADA + BOB + b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
        [*BEGUN, STORED, "250 2.0.0"],
        [("ada@x.example", ["bob@x.example"], b"QUIT\r\n")],
    ),
    "BDAT without recipients has no reply at LAST (RFC 2033 section 4.3)": (
        HEAD + ADA + NOBODY + b"BDAT 3\r\nabcBDAT 3 LAST\r\nabcNOOP\r\n" + ADA,
        [*GREETED, MAIL, "550", "503", "250 2.0.0", MAIL],
        [],
    ),
    "BDAT out of place is counted off": (
        b"BDAT 6 LAST\r\nQUIT\r\n" + HEAD + b"BDAT 6\r\nQUIT\r\nNOOP\r\n",
        [GREETING, "503", *LHLO, "503", "250"],
        [],
    ),
    "BDAT and other commands": (
        HEAD + ADA + BOB + b"BDAT 1\r\nxMAIL FROM:<b>\r\n" + BOB + b"DATA\r\nBDAT 1 LAST\r\ny",
        [*BEGUN, CHUNK, "503", "503", "503", STORED],
        [("ada@x.example", ["bob@x.example"], b"xy")],
    ),
    "RSET drops what BDAT began": (
        HEAD + ADA + BOB + b"BDAT 1\r\nxRSET\r\n" + ADA + BOB + b"BDAT 1 LAST\r\ny",
        [*BEGUN, CHUNK, "250 2.0.0", MAIL, RCPT, STORED],
        ["dropped", ("ada@x.example", ["bob@x.example"], b"y")],
    ),
    "LHLO drops it, too": (
        HEAD + ADA + BOB + b"BDAT 1\r\nx" + HEAD + b"NOOP\r\n",
        [*BEGUN, CHUNK, *LHLO, "250"],
        ["dropped"],
    ),
    "QUIT drops it, too": (
        HEAD + ADA + BOB + b"BDAT 1\r\nxQUIT\r\n",
        [*BEGUN, CHUNK, "221"],
        ["dropped"],
    ),
    "BDAT of unknown size ends the connection": (
        HEAD + ADA + BOB + b"BDAT many\r\nNOOP\r\n",
        [*BEGUN, "501"],
        [],
    ),
    "BDAT without a size, too": (HEAD + ADA + BOB + b"BDAT\r\nNOOP\r\n", [*BEGUN, "501"], []),
    "BDAT of no octets": (
        HEAD + ADA + BOB + BOB + b"BDAT 1\r\nxBDAT 0\r\nBDAT 1 LAST\r\ny",
        [*GREETED, MAIL, RCPT, RCPT, CHUNK, CHUNK, STORED, STORED],
        [("ada@x.example", ["bob@x.example"] * 2, b"xy")],
    ),
}


def converse(*portions):
    """What the server says and would store: full@ has no room, nobody@ is unknown."""
    protocol = LmtpProtocol("host")
    out, stored, envelope, body = b"", [], None, []
    for portion in portions:
        protocol.receive(portion)
        while (event := protocol.next_event()) is not None:
            match event:
                case RecipientRequest(recipient):
                    if recipient.address.startswith("nobody"):
                        protocol.refuse_recipient(UNKNOWN_RECIPIENT)
                    else:
                        protocol.accept_recipient()
                case MessageStart(envelope):
                    body = []
                case bytes():
                    body.append(event)
                case MessageEnd():
                    names = [r.address for r in envelope.recipients]
                    stored.append((envelope.sender.address, names, b"".join(body)))
                    protocol.answer_message([answer(name) for name in names])
                case MessageAborted():
                    stored.append("dropped")
        out += protocol.take()
    return (out + protocol.take()).decode().splitlines(), stored, protocol


def answer(name):
    return lmtp_protocol.Reply(452, "4.3.1", "full") if name.startswith("full") else DELIVERED


def check(said, stored, case):
    _, expected, expected_stored = case
    assert len(said) == len(expected), said
    for line, beginning in zip(said, expected, strict=True):
        assert line.startswith(beginning)
    assert stored == expected_stored


@pytest.mark.parametrize("name", CASES)
def test_a_dialogue_has_known_answers(name):
    case = CASES[name]
    said, stored, _ = converse(case[0])
    check(said, stored, case)


@pytest.mark.parametrize("name", CASES)
def test_answers_do_not_depend_on_where_the_octets_are_cut(name):
    case = CASES[name]
    for at in range(1, len(case[0])):
        said, stored, _ = converse(case[0][:at], case[0][at:])
        check(said, stored, case)


@pytest.mark.parametrize("name", CASES)
def test_answers_are_the_same_octet_by_octet(name):
    case = CASES[name]
    said, stored, _ = converse(*(case[0][i : i + 1] for i in range(len(case[0]))))
    check(said, stored, case)


@pytest.mark.parametrize("name", CASES)
def test_every_reply_but_greetings_and_354_has_an_enhanced_status_code(name):
    for line in converse(CASES[name][0])[0]:
        if not re.match(r"220 |354 |250-|250 SIZE", line):
            code, status, _ = line.split(" ", 2)
            assert re.fullmatch(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", status)
            assert code[0] == status[0]


def test_a_dialogue_goes_on_only_until_it_is_closed():
    _, _, protocol = converse(HEAD + b"QUIT\r\nNOOP\r\n")
    assert protocol.is_closed
    protocol.receive(b"NOOP\r\n")
    assert protocol.next_event() is None
    assert protocol.take() == b""


def test_a_message_that_began_is_dropped_when_we_close():
    protocol = LmtpProtocol("host")
    protocol.receive(HEAD + ADA + BOB + b"DATA\r\nhalf")
    assert isinstance(protocol.next_event(), RecipientRequest)
    protocol.accept_recipient()
    assert isinstance(protocol.next_event(), MessageStart)
    assert protocol.next_event() == b"half"
    assert protocol.next_event() is None
    protocol.close(TIMED_OUT)
    assert isinstance(protocol.next_event(), MessageAborted)
    assert protocol.next_event() is None
    assert protocol.take().endswith(b"421 4.4.2 idle for too long, closing\r\n")


def test_the_client_is_named_as_it_named_itself():
    protocol = LmtpProtocol("host")
    protocol.receive(b"LHLO [192.0.2.7]\r\n" + ADA + BOB + b"DATA\r\n")
    protocol.next_event()
    protocol.accept_recipient()
    begins = protocol.next_event()
    assert begins.envelope.greeting == "[192.0.2.7]"


@given(st.lists(st.binary(max_size=80) | st.sampled_from([HEAD, ADA, BOB, b"DATA\r\n", b".\r\n"])))
def test_noise_is_answered_or_waited_for_and_never_breaks_anything(portions):
    said, _, protocol = converse(*portions)
    assert all(re.match(r"[245][0-9]{2}[ -]|354 ", line) for line in said)
    assert not protocol.state.name.endswith("ASKED")


# --- the table of transitions ---------------------------------------------------------------------


def test_every_transition_is_taken_by_a_known_dialogue(monkeypatch):
    taken = set()
    move = LmtpProtocol._move

    def noted(self, input_):
        taken.add((self.state, input_))
        move(self, input_)

    monkeypatch.setattr(LmtpProtocol, "_move", noted)
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


# --- bounds ---------------------------------------------------------------------------------------


@pytest.mark.at_limit("INTAKE_LINE_MAX")
@pytest.mark.past_limit("INTAKE_LINE_MAX")
@pytest.mark.parametrize("cut", [1, INTAKE_LINE_MAX - 2, INTAKE_LINE_MAX - 1, INTAKE_LINE_MAX])
def test_a_command_has_a_longest_line(cut):
    line = b"NOOP " + b"x" * (INTAKE_LINE_MAX - 7) + b"\r\n"
    assert len(line) == INTAKE_LINE_MAX
    said, _, _ = converse(line[:cut], line[cut:] + b"NOOP\r\n")
    assert [reply[:3] for reply in said] == ["220", "250", "250"]
    line = line[:-2] + b"x\r\n"
    said, _, _ = converse(line[:cut], line[cut:] + b"NOOP\r\n")
    assert [reply[:3] for reply in said] == ["220", "500", "250"]


def test_a_line_without_end_is_one_fault_and_takes_no_room():
    said, _, _ = converse(*[b"x" * 10_000] * 100, b"\r", b"\nNOOP\r\n")
    assert [reply[:3] for reply in said] == ["220", "500", "250"]
    _, _, protocol = converse(*[b"x" * 10_000] * 100)
    assert len(protocol._buffer) <= INTAKE_LINE_MAX


@pytest.mark.at_limit("LMTP_RECIPIENTS_MAX")
@pytest.mark.past_limit("LMTP_RECIPIENTS_MAX")
def test_a_message_has_so_many_recipients_and_the_next_is_told_to_come_again():
    begun = HEAD + ADA + BOB * LMTP_RECIPIENTS_MAX
    said, stored, _ = converse(begun + BOB + b"DATA\r\n.\r\n")
    replies = said[len(GREETED) + 1 :]
    assert all(line.startswith(RCPT) for line in replies[:LMTP_RECIPIENTS_MAX])
    assert replies[LMTP_RECIPIENTS_MAX].startswith("452 4.5.3")
    assert len(replies) == 2 * LMTP_RECIPIENTS_MAX + 2
    assert len(stored[0][1]) == LMTP_RECIPIENTS_MAX


@pytest.mark.at_limit("LMTP_ERRORS_MAX")
@pytest.mark.past_limit("LMTP_ERRORS_MAX")
def test_too_many_words_that_are_no_command_end_the_connection():
    said, _, protocol = converse(b"GET / HTTP/1.1\r\n" * LMTP_ERRORS_MAX)
    assert not protocol.is_closed
    said, _, protocol = converse(b"GET / HTTP/1.1\r\n" * (LMTP_ERRORS_MAX + 1) + b"NOOP\r\n")
    assert protocol.is_closed
    assert said[-1].startswith("421 4.7.0")
    assert len(said) == LMTP_ERRORS_MAX + 3


def test_unknown_recipients_and_wrong_addresses_are_no_such_faults():
    refused = ADA + NOBODY + b"DATA\r\nRSET\r\nMAIL FROM:<a b>\r\n"
    said, _, protocol = converse(HEAD + refused * 50 + b"NOOP\r\n")
    assert not protocol.is_closed
    assert said[-1].startswith("250 2.0.0")


@pytest.mark.at_limit("INCOMING_MAX")
@pytest.mark.past_limit("INCOMING_MAX")
@pytest.mark.parametrize("chunked", [False, True])
def test_a_message_has_so_many_octets_and_no_more(chunked):
    piece = b"x" * 1_000_000
    for size, reply, stored in (
        (INCOMING_MAX, STORED, INCOMING_MAX),
        (INCOMING_MAX + 1, f"552 5.3.4 message is larger than {INCOMING_MAX} bytes", None),
    ):
        if chunked:
            head, tail, rest = b"BDAT %d LAST\r\n" % size, b"", size
        else:
            head, tail, rest = b"DATA\r\n", b"\r\n.\r\n", size - 2
        pieces = [piece] * (rest // len(piece)) + [piece[: rest % len(piece)]]
        said, found, _ = converse(HEAD + ADA + BOB + BOB, head, *pieces, tail + b"NOOP\r\n")
        assert said[-3:-1] == [said[-2]] * 2
        assert said[-2].startswith(reply)
        assert said[-1].startswith("250 2.0.0")
        if stored is None:
            assert found == ["dropped"]
        else:
            assert len(found[0][2]) == stored


def test_a_chunk_too_many_is_refused_and_so_is_all_that_follows(monkeypatch):
    monkeypatch.setattr(lmtp_protocol, "INCOMING_MAX", 10)
    said, stored, _ = converse(
        HEAD + ADA + BOB + BOB + b"BDAT 10\r\n0123456789BDAT 1\r\n0BDAT 1\r\n1BDAT 1 LAST\r\n2"
        b"MAIL FROM:<>\r\n" + BOB + b"BDAT 1 LAST\r\n3"
    )
    codes = [line[:3] for line in said[len(GREETED) :]]
    assert codes == ["250"] * 4 + ["552", "552", "552", "552"] + ["250"] * 3
    assert stored == ["dropped", ("", ["bob@x.example"], b"3")]


def test_every_command_of_the_table_is_in_the_documentation():
    text = (Path(__file__).parents[2] / "docs/intake.md").read_text()
    for row in lmtp_protocol.COMMANDS:
        assert row.verb.decode() in text
    for extension in lmtp_protocol.EXTENSIONS:
        assert extension.split()[0] in text
