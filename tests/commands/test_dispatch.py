"""How commands end: refusals, failures, faults; what is one client's trouble and what is ours."""

import logging

import pytest
from tests.commands.fakes import FailingStore, connection, say

from imapvm._core import CorruptError
from imapvm.commands.outcome import Disconnected
from imapvm.filepool import errors
from imapvm.model.limits import (
    ERRORS_BEFORE_LOGIN_MAX,
    LINE_BEFORE_LOGIN_MAX,
    LITERAL_BEFORE_LOGIN_MAX,
)
from imapvm.session.states import State

STATUS = b"a1 STATUS INBOX (MESSAGES)\r\n"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errors.NoSuchMailboxError, "NONEXISTENT"),
        (errors.MailboxExistsError, "ALREADYEXISTS"),
        (errors.MailboxHasChildrenError, "HASCHILDREN"),
        (errors.InvalidNameError, "CANNOT"),
        (errors.LimitError, "LIMIT"),
        (errors.StoreUnavailableError, "UNAVAILABLE"),
        (errors.SpecialUseError, "USEATTR"),
        (errors.BodyGoneError, "EXPUNGEISSUED"),
    ],
)
async def test_what_the_filepool_refuses_is_no_with_a_code(fault, code, caplog):
    """RFC 5530; the text is the filepool's, and nothing is logged: nobody is to be woken."""
    ctx = connection(store=FailingStore(fault("It cannot be.")))
    assert await say(ctx, STATUS) == [f"a1 NO [{code}] It cannot be."]
    assert ctx.session.state is State.AUTHENTICATED
    assert not caplog.records


@pytest.mark.parametrize("fault", [CorruptError("checksum"), errors.CorruptDataError("checksum")])
async def test_damaged_data_is_told_to_the_client_and_logged(fault, caplog):
    ctx = connection(store=FailingStore(fault))
    (answer,) = await say(ctx, STATUS)
    assert answer.startswith("a1 NO [CORRUPTION] ")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_our_own_mistake_costs_one_command(caplog):
    """DESIGN promise 7: the session goes on, the log has it, the client does not see it."""
    ctx = connection(store=FailingStore(ZeroDivisionError("secret detail")))
    (answer,) = await say(ctx, STATUS)
    assert answer.startswith("a1 NO [SERVERBUG] ")
    assert "secret" not in answer
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert await say(ctx, b"a2 NOOP\r\n") == ["a2 OK NOOP completed"]


async def test_a_deleted_account_ends_the_connection():
    ctx = connection(store=FailingStore(errors.NoSuchAccountError("gone")))
    (answer,) = await say(ctx, STATUS)
    assert answer.startswith("* BYE ")
    assert ctx.session.over


async def test_a_panic_of_the_extension_is_not_caught_here():
    class Panic(BaseException):
        pass

    ctx = connection(store=FailingStore(Panic()))
    with pytest.raises(Panic):
        await say(ctx, STATUS)


async def test_a_client_that_goes_away_inside_a_command_is_nobodys_mistake(caplog):
    ctx = connection(store=FailingStore(AssertionError()))
    with pytest.raises(Disconnected):
        await say(ctx, b"a1 IDLE\r\n")
    assert not caplog.records


async def test_nothing_is_carried_out_behind_logout():
    ctx = connection()
    answers = await say(ctx, b"a1 LOGOUT\r\na2 NOOP\r\n")
    assert [answer.split()[1] for answer in answers] == ["BYE", "OK"]
    assert ctx.session.state is State.LOGOUT


@pytest.mark.at_limit("ERRORS_BEFORE_LOGIN_MAX")
async def test_a_stranger_may_be_wrong_a_few_times():
    ctx = connection()
    answers = await say(ctx, b"x NONSENSE\r\n" * ERRORS_BEFORE_LOGIN_MAX)
    assert len(answers) == ERRORS_BEFORE_LOGIN_MAX
    assert not ctx.session.over


@pytest.mark.past_limit("ERRORS_BEFORE_LOGIN_MAX")
@pytest.mark.parametrize("fault", [b"x NONSENSE\r\n", b"x LOGIN a b\r\n", b"x SELECT INBOX\r\n"])
async def test_a_stranger_that_goes_on_being_wrong_is_let_go(fault):
    ctx = connection()
    answers = await say(ctx, fault * (ERRORS_BEFORE_LOGIN_MAX + 2))
    assert len(answers) == ERRORS_BEFORE_LOGIN_MAX + 2
    assert answers[-1].startswith("* BYE ")
    assert ctx.session.over


async def test_right_commands_before_login_are_not_counted():
    ctx = connection()
    assert not any(
        answer.startswith("* BYE")
        for answer in await say(ctx, b"x NOOP\r\n" * (ERRORS_BEFORE_LOGIN_MAX + 5))
    )


@pytest.mark.at_limit("LITERAL_BEFORE_LOGIN_MAX")
@pytest.mark.past_limit("LITERAL_BEFORE_LOGIN_MAX")
@pytest.mark.parametrize(("more", "answer"), [(0, "x NO [AUTHENTICATIONFAILED]"), (1, "x ")])
async def test_a_strangers_literal_is_bounded(more, answer):
    size = LITERAL_BEFORE_LOGIN_MAX + more
    (told,) = await say(connection(), b"x LOGIN a {%d+}\r\n%b\r\n" % (size, b"p" * size))
    assert told.startswith(answer)
    assert ("AUTHENTICATIONFAILED" in told) == (more == 0)


@pytest.mark.at_limit("LINE_BEFORE_LOGIN_MAX")
@pytest.mark.past_limit("LINE_BEFORE_LOGIN_MAX")
@pytest.mark.parametrize(("more", "known"), [(0, True), (1, False)])
async def test_a_strangers_line_is_bounded(more, known):
    head, tail = b'x ID ("name" "', b'")'
    line = head + b"n" * (LINE_BEFORE_LOGIN_MAX + more - len(head) - len(tail)) + tail
    ctx = connection()
    answers = await say(ctx, line + b"\r\n")
    assert (answers[-1].split()[:2] == ["x", "OK"]) == known, answers
    assert ctx.reader.buffered == 0


async def test_what_a_stranger_sends_is_not_kept_beyond_the_bounds():
    """DESIGN promise 5: whatever it sends, and however it is cut."""
    ctx = connection()
    most = 0
    for _ in range(200):
        ctx.reader.feed(b"x" * 1024)
        while ctx.reader.next() is not None:
            pass
        most = max(most, ctx.reader.buffered)
    assert most <= LINE_BEFORE_LOGIN_MAX + 1024


async def test_bounds_widen_at_login():
    line = b'x ID ("name" "%b")\r\n' % (b"n" * 2 * LINE_BEFORE_LOGIN_MAX)
    assert not (await say(connection(), line))[-1].startswith("x OK")
    signed_in = connection(store=FailingStore(AssertionError()))
    assert (await say(signed_in, line))[-1].startswith("x OK")
