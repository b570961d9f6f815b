"""Long results of SEARCH: sent in pieces, and the same as a short result."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.commands.fakes import send

from imapvm._core import UidSet
from imapvm.commands.handlers.search import results, search

RETURNS = (
    "",
    "RETURN () ",
    "RETURN (ALL) ",
    "RETURN (MIN MAX ALL COUNT) ",
    "RETURN (SAVE ALL) ",
    "RETURN (PARTIAL 2:30) ",
    "RETURN (SAVE MIN PARTIAL -20:-1) ",
    "RETURN (SAVE COUNT PARTIAL 1:4294967295) ",
    "RETURN (PARTIAL 50:60) ",
)
SHORT = ("RETURN (COUNT) ", "RETURN (MIN MAX) ", "RETURN (SAVE) ", "RETURN (SAVE MIN) ")
KEYS = ("ALL", "SEEN", "NOT SEEN", "1:7 SEEN", "OR 1:12 20:30", "5", "MODSEQ 1 SEEN", "MODSEQ 99")


@given(st.sets(st.integers(1, 60)), st.integers(1, 9))
def test_pieces_join_to_the_whole_set(numbers, size):
    whole = UidSet.of(numbers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "RESULT_NUMBERS", size)
        assert b"".join(results._ranges(whole)) == whole.to_imap()
        assert b"".join(results._words(whole)) == b"".join(b" %d" % n for n in sorted(numbers))
        assert all(len(piece.split()) <= size for piece in results._words(whole))


@pytest.fixture
async def mailbox(signed_in):
    """INBOX with 40 messages, every third with \\Seen, without number 4."""
    messages = b"".join(
        b" %b{1+}\r\nx" % (b"(\\Seen) " if number % 3 == 0 else b"") for number in range(41)
    )
    await send(signed_in, b"a APPEND INBOX" + messages + b"\r\nb SELECT INBOX\r\n")
    await send(signed_in, b"c STORE 4 FLAGS (\\Deleted)\r\nd EXPUNGE\r\n")
    return signed_in


@pytest.mark.parametrize("rev2", [False, True])
@pytest.mark.parametrize("uid", ["", "UID "])
async def test_long_result_is_the_same_as_a_short_one(mailbox, monkeypatch, rev2, uid):
    if rev2:
        await send(mailbox, b"a ENABLE IMAP4rev2\r\n")
    await send(mailbox, b"a STATUS INBOX (HIGHESTMODSEQ)\r\n")  # enables CONDSTORE
    commands = ["SEARCH RETURN (SAVE) UID 999"]
    commands += [f"{uid}SEARCH {returns}{key}" for returns in RETURNS + SHORT for key in KEYS]
    text = "".join(f"t {command}\r\nu SEARCH $\r\n" for command in commands).encode()
    expected = await send(mailbox, text)
    assert len(expected) > len(commands)
    for module in (results, search):
        monkeypatch.setattr(module, "RESULT_NUMBERS", 3)
    assert await send(mailbox, text) == expected


async def test_long_result_is_sent_in_pieces(mailbox, monkeypatch):
    for module in (results, search):
        monkeypatch.setattr(module, "RESULT_NUMBERS", 3)
    for command, pieces in (
        (b"SEARCH ALL", 14),
        (b"SEARCH RETURN (ALL) NOT SEEN", 9),
        (b"SEARCH RETURN (PARTIAL 1:20) NOT SEEN", 7),
    ):
        before = mailbox.channel.writes
        await send(mailbox, b"t %b\r\n" % command)
        assert mailbox.channel.writes - before >= pieces - 1
