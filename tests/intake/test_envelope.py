"""MAIL and RCPT with their parameters (RFC 5321 section 4.1.1, 1870, 6152, 6531, 3461)."""

import pytest

from imapvm.intake.envelope import Recipient, Sender, parse_mail, parse_rcpt
from imapvm.intake.replies import Reply

SENDERS = [
    ("FROM:<ada@example.org>", Sender("ada@example.org")),
    ("from:<>", Sender("")),
    ("FROM: <ada@example.org>", Sender("ada@example.org")),  # a space that many programs write
    ("FROM:<ada@example.org> SIZE=1000", Sender("ada@example.org", size=1000)),
    ("FROM:<ada@example.org> body=8bitmime size=0", Sender("ada@example.org", size=0)),
    ("FROM:<ada@example.org> BODY=7BIT", Sender("ada@example.org")),
    ("FROM:<adá@example.org> SMTPUTF8", Sender("adá@example.org", utf8=True)),
    ("FROM:<a@b.example> RET=FULL", Sender("a@b.example", full_return=True)),
    ("FROM:<a@b.example> RET=hdrs", Sender("a@b.example")),
    ("FROM:<a@b.example> ENVID=QQ+2B1+20x", Sender("a@b.example", envelope_id="QQ+1 x")),
    ("FROM:<a@b.example> ENVID=a+0D+0Ab", Sender("a@b.example", envelope_id="a??b")),
]

BAD_SENDERS = [
    ("", 501),
    ("ada@example.org", 501),
    ("TO:<ada@example.org>", 501),
    ("FROM:ada@example.org", 501),
    ("FROM:<ada@example.org>SIZE=1", 501),
    ("FROM:<ada lovelace@example.org>", 501),
    ("FROM:<ada@example.org> SIZE", 501),
    ("FROM:<ada@example.org> SIZE=x", 501),
    ("FROM:<ada@example.org> SIZE=-1", 501),
    ("FROM:<ada@example.org> SIZE=" + "1" * 21, 501),
    ("FROM:<ada@example.org> BODY=BINARYMIME", 501),
    ("FROM:<ada@example.org> SMTPUTF8=yes", 501),
    ("FROM:<ada@example.org> RET=SOME", 501),
    ("FROM:<ada@example.org> =x", 501),
    ("FROM:<ada@example.org> UNKNOWN=x", 555),
    ("FROM:<ada@example.org> NOTIFY=NEVER", 555),
    ("FROM:<adá@example.org>", 553),
]

RECIPIENTS = [
    ("TO:<bob@example.org>", Recipient("bob@example.org")),
    ("To: <bob>", Recipient("bob")),
    ("TO:<bob> NOTIFY=NEVER", Recipient("bob", wants_failures=False)),
    ("TO:<bob> NOTIFY=SUCCESS,DELAY", Recipient("bob", wants_failures=False)),
    ("TO:<bob> notify=failure,delay", Recipient("bob")),
    ("TO:<bob> ORCPT=rfc822;b+2Bx@y", Recipient("bob", original="rfc822;b+x@y")),
]

BAD_RECIPIENTS = [
    ("TO:<>", 501),
    ("FROM:<bob>", 501),
    ("TO:bob", 501),
    ("TO:<bob", 501),
    ("TO:<bob> NOTIFY=NEVER,FAILURE", 501),
    ("TO:<bob> NOTIFY", 501),
    ("TO:<bob> NOTIFY=SOMETIMES", 501),
    ("TO:<bob> ORCPT=bob", 501),
    ("TO:<bob> SIZE=1", 555),
    ("TO:<böb>", 553),
]


@pytest.mark.parametrize(("argument", "sender"), SENDERS)
def test_mail_is_parsed(argument, sender):
    assert parse_mail(argument) == sender


@pytest.mark.parametrize(("argument", "code"), BAD_SENDERS)
def test_a_syntax_error_in_mail_is_a_reply(argument, code):
    found = parse_mail(argument)
    assert isinstance(found, Reply)
    assert (found.code, found.status[:2]) == (code, "5.")


@pytest.mark.parametrize(("argument", "recipient"), RECIPIENTS)
def test_rcpt_is_parsed(argument, recipient):
    assert parse_rcpt(argument, utf8=False) == recipient


@pytest.mark.parametrize(("argument", "code"), BAD_RECIPIENTS)
def test_a_syntax_error_in_rcpt_is_a_reply(argument, code):
    found = parse_rcpt(argument, utf8=False)
    assert isinstance(found, Reply)
    assert (found.code, found.status[:2]) == (code, "5.")


def test_utf8_requires_smtputf8_unless_it_is_implied():
    assert parse_rcpt("TO:<böb>", utf8=True) == Recipient("böb")
    assert parse_mail("FROM:<adá>", utf8=True) == Sender("adá", utf8=True)
    assert parse_mail("FROM:<ada>", utf8=True) == Sender("ada", utf8=False)


def test_a_reply_line_is_ascii():
    assert Reply(550, "5.1.1", "no ü\r\n250 ok").line == b"550 5.1.1 no ???250 ok\r\n"
    assert Reply(354, "", "go on").line == b"354 go on\r\n"
