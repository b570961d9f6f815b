"""Ends of commands: refusals, and errors of the client, of the disk and of the server."""

import logging

import pytest
from tests.commands.fakes import FailingStore, connection, send

from imapvm._core import CorruptError
from imapvm.commands.dispatch import run
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
    ("error", "code"),
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
async def test_a_refusal_of_the_filepool_is_no_with_a_code(error, code, caplog):
    """RFC 5530; the text is the filepool's, and nothing is logged."""
    ctx = connection(store=FailingStore(error("It cannot be.")))
    assert await send(ctx, STATUS) == [f"a1 NO [{code}] It cannot be."]
    assert ctx.session.state is State.AUTHENTICATED
    assert not caplog.records


@pytest.mark.parametrize("error", [CorruptError("checksum"), errors.CorruptDataError("checksum")])
async def test_corrupt_data_is_reported_to_the_client_and_logged(error, caplog):
    ctx = connection(store=FailingStore(error))
    (answer,) = await send(ctx, STATUS)
    assert answer.startswith("a1 NO [CORRUPTION] ")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_an_internal_error_ends_one_command(caplog):
    """The session continues, the log has the error, the client does not see it."""
    ctx = connection(store=FailingStore(ZeroDivisionError("secret detail")))
    (answer,) = await send(ctx, STATUS)
    assert answer.startswith("a1 NO [SERVERBUG] ")
    assert "secret" not in answer
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert await send(ctx, b"a2 NOOP\r\n") == ["a2 OK NOOP completed"]


async def test_a_deleted_account_ends_the_connection():
    ctx = connection(store=FailingStore(errors.NoSuchAccountError("gone")))
    (answer,) = await send(ctx, STATUS)
    assert answer.startswith("* BYE ")
    assert ctx.session.over


async def test_a_panic_of_the_extension_is_not_caught_here():
    class Panic(BaseException):
        pass

    ctx = connection(store=FailingStore(Panic()))
    with pytest.raises(Panic):
        await send(ctx, STATUS)


async def test_a_client_that_closes_during_a_command_is_not_logged(caplog):
    ctx = connection(store=FailingStore(AssertionError()))
    with pytest.raises(Disconnected):
        await send(ctx, b"a1 IDLE\r\n")
    assert not caplog.records


async def test_commands_after_logout_are_not_run():
    ctx = connection()
    answers = await send(ctx, b"a1 LOGOUT\r\na2 NOOP\r\n")
    assert [answer.split()[1] for answer in answers] == ["BYE", "OK"]
    assert ctx.session.state is State.LOGOUT


@pytest.mark.at_limit("ERRORS_BEFORE_LOGIN_MAX")
async def test_a_few_errors_before_login_are_allowed():
    ctx = connection()
    answers = await send(ctx, b"x NONSENSE\r\n" * ERRORS_BEFORE_LOGIN_MAX)
    assert len(answers) == ERRORS_BEFORE_LOGIN_MAX
    assert not ctx.session.over


@pytest.mark.past_limit("ERRORS_BEFORE_LOGIN_MAX")
@pytest.mark.parametrize("line", [b"x NONSENSE\r\n", b"x LOGIN a b\r\n", b"x SELECT INBOX\r\n"])
async def test_too_many_errors_before_login_end_the_connection(line):
    ctx = connection()
    answers = await send(ctx, line * (ERRORS_BEFORE_LOGIN_MAX + 2))
    assert len(answers) == ERRORS_BEFORE_LOGIN_MAX + 2
    assert answers[-1].startswith("* BYE ")
    assert ctx.session.over


async def test_valid_commands_before_login_are_not_counted():
    ctx = connection()
    assert not any(
        answer.startswith("* BYE")
        for answer in await send(ctx, b"x NOOP\r\n" * (ERRORS_BEFORE_LOGIN_MAX + 5))
    )


@pytest.mark.at_limit("LITERAL_BEFORE_LOGIN_MAX")
@pytest.mark.past_limit("LITERAL_BEFORE_LOGIN_MAX")
@pytest.mark.parametrize(("more", "answer"), [(0, "x NO [AUTHENTICATIONFAILED]"), (1, "x ")])
async def test_a_literal_before_login_is_limited(more, answer):
    size = LITERAL_BEFORE_LOGIN_MAX + more
    (response,) = await send(connection(), b"x LOGIN a {%d+}\r\n%b\r\n" % (size, b"p" * size))
    assert response.startswith(answer)
    assert ("AUTHENTICATIONFAILED" in response) == (more == 0)


@pytest.mark.at_limit("LINE_BEFORE_LOGIN_MAX")
@pytest.mark.past_limit("LINE_BEFORE_LOGIN_MAX")
@pytest.mark.parametrize(("more", "known"), [(0, True), (1, False)])
async def test_a_line_before_login_is_limited(more, known):
    head, tail = b'x ID ("name" "', b'")'
    line = head + b"n" * (LINE_BEFORE_LOGIN_MAX + more - len(head) - len(tail)) + tail
    ctx = connection()
    answers = await send(ctx, line + b"\r\n")
    assert (answers[-1].split()[:2] == ["x", "OK"]) == known, answers
    assert ctx.reader.buffered == 0


async def test_input_before_login_is_not_buffered_beyond_the_limits():
    """For a line without an end, sent in small pieces."""
    ctx = connection()
    largest = 0
    for _ in range(200):
        ctx.reader.feed(b"x" * 1024)
        while ctx.reader.next() is not None:
            pass
        largest = max(largest, ctx.reader.buffered)
    assert largest <= LINE_BEFORE_LOGIN_MAX + 1024


async def test_limits_widen_at_login():
    line = b'x ID ("name" "%b")\r\n' % (b"n" * 2 * LINE_BEFORE_LOGIN_MAX)
    assert not (await send(connection(), line))[-1].startswith("x OK")
    signed_in = connection(store=FailingStore(AssertionError()))
    assert (await send(signed_in, line))[-1].startswith("x OK")


async def test_a_uid_command_completes_with_the_name_of_the_command(signed_in):
    """RFC 9051 section 6.4.9 asks for no text; `UID` would add nothing."""
    await send(signed_in, b"a SELECT INBOX\r\n")
    assert (await send(signed_in, b"b UID SEARCH ALL\r\n"))[-1] == "b OK SEARCH completed"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"x FETCH 1 FLAGS\r\n", "cannot FETCH: not authenticated"),
        (b"x UID FETCH 1 FLAGS\r\n", "cannot UID FETCH: not authenticated"),
    ],
)
async def test_a_command_in_the_wrong_state_is_bad_with_the_reason(line, reason):
    assert await send(connection(), line) == [f"x BAD [CLIENTBUG] {reason}"]


async def test_a_command_that_does_not_wait_is_done_without_a_task(signed_in):
    """SELECT and FETCH are coroutines, and end in their first step."""
    await send(signed_in, b"a SELECT INBOX\r\n")
    for line in (b"b SELECT INBOX\r\n", b"c UID FETCH 1:* FLAGS\r\n", b"d NOOP\r\n"):
        signed_in.reader.feed(line)
        assert run(signed_in, signed_in.reader.next()) is None


async def test_a_command_that_waits_continues_in_the_task_that_awaits_it(signed_in):
    signed_in.reader.feed(b"a CREATE Work\r\n")
    suspended = run(signed_in, signed_in.reader.next())
    assert not signed_in.out.take()
    await suspended
    assert signed_in.out.take().startswith(b"a OK [MAILBOXID")
