"""APPEND at its limits, and one past them."""

import pytest
from tests.commands.fakes import FailingStore, send

from imapvm.commands.outcome import Disconnected
from imapvm.filepool.errors import CorruptDataError, StoreUnavailableError
from imapvm.model.limits import MESSAGE_MAX, MULTIAPPEND_MAX


@pytest.mark.at_limit("MULTIAPPEND_MAX")
async def test_the_largest_number_of_messages_is_appended(signed_in):
    answers = await send(signed_in, b"a APPEND INBOX" + b" {1+}\r\nx" * MULTIAPPEND_MAX + b"\r\n")
    assert "APPENDUID" in answers[-1]
    assert f" 1:{MULTIAPPEND_MAX}]" in answers[-1]


@pytest.mark.past_limit("MULTIAPPEND_MAX")
async def test_one_message_more_is_refused_with_all_others(signed_in):
    many = b" {1+}\r\nx" * (MULTIAPPEND_MAX + 1)
    answers = await send(signed_in, b"a APPEND INBOX" + many + b"\r\nb STATUS INBOX (MESSAGES)\r\n")
    assert answers[0].startswith("a NO [LIMIT]")
    assert answers[1] == "* STATUS INBOX (MESSAGES 0)"


@pytest.mark.at_limit("MESSAGE_MAX")
async def test_the_largest_message_is_accepted(signed_in):
    with pytest.raises(Disconnected):  # the client closes instead of sending it
        await send(signed_in, b"a APPEND INBOX {%d}\r\n" % MESSAGE_MAX)
    assert signed_in.channel.sent.startswith(b"+ ")


@pytest.mark.past_limit("MESSAGE_MAX")
async def test_a_larger_message_is_refused_before_it_is_sent(signed_in):
    answers = await send(signed_in, b"a APPEND INBOX {%d}\r\nb NOOP\r\n" % (MESSAGE_MAX + 1))
    assert answers[0].startswith("a NO [TOOBIG]")
    assert answers[1].startswith("b OK")


@pytest.mark.parametrize("error", [CorruptDataError("x"), StoreUnavailableError("x")])
@pytest.mark.parametrize("plus", ["+", ""])
async def test_messages_are_skipped_if_the_mailbox_cannot_be_read(signed_in, error, plus):
    whole, signed_in.session.store = signed_in.session.store, FailingStore(error)
    sent = b"a APPEND INBOX {3%b}\r\n" % plus.encode() + (b"abc {3+}\r\nabc\r\n" if plus else b"")
    answers = await send(signed_in, sent)
    assert len(answers) == 1
    assert answers[0].startswith("a NO [")
    signed_in.session.store = whole
    assert (await send(signed_in, b"b NOOP\r\n"))[-1].startswith("b OK")
