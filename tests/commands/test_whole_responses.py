"""An error at any step of a command leaves whole responses, or closes the connection."""

import itertools

import pytest
import trio
from tests.commands.fakes import exchange, send
from tests.dialogues.responses import grammar
from tests.dialogues.responses.tokens import GrammarError

from imapvm._core import CorruptError
from imapvm.commands.context import Context
from imapvm.commands.handlers.fetch import binary_parts, stream
from imapvm.filepool.errors import BodyGoneError
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import AccountStore
from imapvm.session.view import View

TEXT = b"0123456789abcdefghijklmnopqrstuvwxyz\r\n" * 8_000
MESSAGE = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n" + TEXT
STEPS = [
    (Reader, "__enter__"),
    (Reader, "mailbox_by_id"),
    (Reader, "fetch"),
    (Reader, "write"),
    (Reader, "body"),
    (Reader, "undecodable"),
    (Reader, "segments"),
    (AccountStore, "store_flags"),
    (Context, "flush"),
    (Context, "yield_control"),
    (View, "write_keywords"),
    (stream, "write_decoded"),
    (binary_parts, "_portions"),
    (binary_parts, "TransferDecoder"),
]
COMMANDS = [
    b"FETCH 1:4 (UID FLAGS BODY.PEEK[] RFC822.SIZE)",
    b"FETCH 1:4 (BODY[TEXT] BODY[TEXT]<10.5> FLAGS)",
    b"UID FETCH 1:4 (BINARY.PEEK[1] BINARY.SIZE[1] FLAGS)",
    pytest.param(b"FETCH 1:4 BINARY[1]", marks=pytest.mark.slow),
    b"FETCH 1:4 (FLAGS ENVELOPE)",
    b"STORE 1:4 +FLAGS (new)",
    b"UID SEARCH TEXT xyz",
    b'LIST "" * RETURN (STATUS (MESSAGES RECENT))',
    b"SELECT INBOX",
]


class Injected(Exception):
    """Error that no handler catches."""


ERRORS = [Injected, lambda: CorruptError("injected"), lambda: BodyGoneError("injected")]


def check(ctx: Context, sent: bytes) -> bool:
    """Assert that responses are whole; return True if the connection was closed."""
    reader = grammar.Reader(sent)
    tags = []
    while reader.at < len(sent):
        try:
            tags.append(reader.response().tag)
        except GrammarError:
            assert ctx.session.over, "a response is cut off, and the connection continues"
            assert b"SERVERBUG" not in sent
            assert b"\r\na " not in sent
            return True
    assert ctx.session.over or "a" in tags
    return ctx.session.over


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split(b" (")[0].decode())
async def test_an_error_at_any_step_leaves_whole_responses(signed_in, command, monkeypatch):
    ctx = signed_in
    literals = b"".join(b" {%d+}\r\n%b" % (len(m), m) for m in [b"A: b\r\n\r\nc", MESSAGE] * 2)
    assert (await send(ctx, b"x APPEND INBOX%b\r\n" % literals))[-1].startswith("x OK")
    countdown = 0
    make = Injected

    def step(before):
        def injected(*args, **kwargs):
            nonlocal countdown
            countdown -= 1
            if countdown == 0:
                raise make()
            return before(*args, **kwargs)

        return injected

    for owner, name in STEPS:
        monkeypatch.setattr(owner, name, step(getattr(owner, name)))
    store = ctx.session.store
    closed = 0
    for error in ERRORS:
        make = error
        for number in itertools.count(1):
            countdown = 0
            ctx.session.over = ctx.session.aborted = False
            ctx.session.store = store
            ctx.out.take()
            fresh = Context(ctx.channel, ctx.services, ctx.session)
            fresh.sign_in(store)
            assert b"z OK" in await exchange(fresh, b"z SELECT INBOX\r\n")
            await exchange(fresh, b"z STORE 1:* -FLAGS (\\Seen)\r\n")
            countdown = number
            closed += check(fresh, await exchange(fresh, b"a %b\r\n" % command))
            if countdown > 0:
                break  # the command has fewer steps
            if not fresh.session.over:
                countdown = 0
                assert await exchange(fresh, b"a NOOP\r\n")
            await trio.lowlevel.checkpoint()
        assert number > 1
    if b"BODY" in command:
        assert closed, "no error was in the middle of a literal that is sent in part"


async def test_a_corrupt_body_is_found_before_its_response_begins(signed_in):
    """A message that fits one step: NO, and the connection continues."""
    ctx = signed_in
    await send(ctx, b"x APPEND INBOX {9+}\r\nA: b\r\n\r\nc {9+}\r\nA: b\r\n\r\nd\r\n")
    await send(ctx, b"y SELECT INBOX\r\n")
    group = ctx.session.store._group
    with group.env.begin(write=True) as txn, txn.cursor(group.tables.bodies) as cursor:
        assert cursor.last()
        txn.put(cursor.key(), b"\xff", db=group.tables.bodies)
    sent = await exchange(ctx, b"a FETCH 1:2 (UID BODY.PEEK[])\r\n")
    assert [response.kind for response in grammar.Reader(sent).all()] == ["FETCH", "NO"]
    assert b"a NO [CORRUPTION]" in sent
    assert b"a OK" in await exchange(ctx, b"a FETCH 1 BODY.PEEK[]\r\n")
