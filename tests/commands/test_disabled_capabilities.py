"""A capability that is disabled is not offered, its syntax is BAD, and nothing of it is sent."""

import re
from typing import Final

import pytest
from tests.commands.fakes import FakeChannel, NoAccounts, exchange, send
from tests.session.test_syntax import EXAMPLES

from imapvm.commands.context import Context
from imapvm.commands.handlers.anytime import offered
from imapvm.commands.message_limit import MessageLimit
from imapvm.commands.services import Services
from imapvm.model.quota import UNITS
from imapvm.session.capabilities import ENABLEABLE, TABLE
from imapvm.session.session import Session
from imapvm.session.syntax import SYNTAX, Disabled

ROWS: Final = {row.name: row for row in SYNTAX}
OFFERED: Final = [
    row.name for row in TABLE if row.when is not None and not ROWS[row.name].fixed
]  # fmt: skip
NO_SYNTAX: Final = {
    "CHILDREN": "attributes in LIST",
    "I18NLEVEL=1": "a comparison of texts",
    "IMAP4rev2": "ENABLE, and the syntax of its parts",
    "INPROGRESS": "a response only",
    "METADATA-SERVER": "a part of METADATA",
    "QUOTA=RES-ANNOTATION-STORAGE": "a resource in QUOTA",
    "QUOTA=RES-MAILBOX": "a resource in QUOTA",
    "QUOTA=RES-MESSAGE": "a resource in QUOTA",
    "RIGHTS=": "rights in commands of ACL",
    "SAVELIMIT": "a limit",
    "UIDONLY": "ENABLE",
}
SENT: Final = {
    "CHILDREN": rb"\\Has(No)?Children",
    "CONDSTORE": rb"HIGHESTMODSEQ|MODSEQ",
    "OBJECTID": rb"MAILBOXID",
    "QUOTA=RES-ANNOTATION-STORAGE": rb"ANNOTATION-STORAGE",
    "QUOTA=RES-MAILBOX": rb" \(.*MAILBOX ",
    "QUOTA=RES-MESSAGE": rb"MESSAGE ",
    "QUOTA=RES-STORAGE": rb"[( ]STORAGE ",
    "SPECIAL-USE": rb"\\(Sent|Trash|Drafts)",
    "UIDPLUS": rb"APPENDUID|COPYUID",
}
"""Response data that a server without the capability does not send."""
SCRIPT: Final = [
    b"CREATE a",
    b"APPEND a {1}\r\nx",
    b"SELECT a",
    b"COPY 1 a",
    b"MOVE 1 Trash",
    b"REPLACE 1 a {1}\r\ny",
    b"STORE 1 +FLAGS (\\Deleted)",
    b"EXPUNGE",
    b'LIST "" *',
    b"STATUS a (MESSAGES UIDNEXT)",
    b"GETQUOTAROOT a",
    b"EXAMINE a",
    b"DELETE a",
]
"""Commands without the syntax of an extension, or with that of one only."""


@pytest.fixture
async def ctx(signed_in):
    """Return a connection of alice to a server that offers everything, before login."""
    services = Services(
        pool=signed_in.services.pool,
        authenticator=NoAccounts(),
        clock=lambda: 0.0,
        message_limit=MessageLimit(messages=1000, saved=0),
        administrators=frozenset({"alice"}),
    )
    await signed_in.session.store.set_quota(dict.fromkeys(UNITS, 1000))
    channel = FakeChannel()
    return Context(channel, services, Session(peer="192.0.2.1", tls=True, plain_allowed=False))


def words(ctx) -> set[str]:
    return {re.split(r"(?<=RIGHTS)=|(?<=LIMIT)=", word)[0] for word in offered(ctx).split()}


def plain(name: str) -> str:
    return name.removesuffix("=")


async def played(ctx) -> bytes:
    """Return the responses to all commands of the script."""
    lines = b"".join(b"t%d %b\r\n" % (number, line) for number, line in enumerate(SCRIPT))
    return await exchange(ctx, lines)


def test_each_capability_has_a_sample_or_the_reason_for_none():
    with_syntax = {name for name in OFFERED if ROWS[name].syntax}
    assert set(OFFERED) == with_syntax | NO_SYNTAX.keys()
    assert with_syntax & NO_SYNTAX.keys() == set()
    for name in with_syntax:
        assert all(EXAMPLES[entry] for entry in ROWS[name].syntax)
    assert set(SENT) <= set(OFFERED)


async def test_a_server_with_all_capabilities_sends_all_of_these(ctx, signed_in):
    ctx.sign_in(signed_in.session.store)
    sent = await played(ctx)
    assert [name for name, pattern in SENT.items() if not re.search(pattern, sent)] == []
    assert b"CLOSED" in sent


@pytest.mark.parametrize("name", OFFERED)
async def test_a_disabled_capability_is_as_unknown(ctx, signed_in, name):
    disabled = Disabled.of(frozenset({name}))
    ctx.disable(disabled)
    gone = {plain(one) for one in disabled.names}
    assert not gone & words(ctx)
    ctx.sign_in(signed_in.session.store)
    assert not gone & words(ctx)
    for enableable in ENABLEABLE.values():
        if enableable in disabled.names and "ENABLE" not in disabled.names:
            assert await send(ctx, b"a ENABLE %b\r\n" % enableable.encode()) == [
                "* ENABLED",
                "a OK ENABLE completed",
            ]
    await send(ctx, b"s CREATE a\r\n")
    for entry in ROWS[name].syntax:
        for command in EXAMPLES[entry]:
            last = [line for line in await send(ctx, f"a {command}\r\n".encode()) if line[0] != "+"]
            assert last[-1].startswith("a BAD ["), command
    await send(ctx, b"s DELETE a\r\n")
    sent = await played(ctx)
    for one in disabled.names & SENT.keys():
        assert not re.search(SENT[one], sent), one


async def test_closed_is_a_part_of_two_capabilities(ctx, signed_in):
    ctx.disable(Disabled.of(frozenset({"CONDSTORE", "IMAP4rev2"})))
    ctx.sign_in(signed_in.session.store)
    assert b"CLOSED" not in await played(ctx)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), {"LITERAL+", "IMAP4rev2"}),
        (("LITERAL+",), {"LITERAL-", "IMAP4rev2"}),
        (("LITERAL-",), set()),
        (("LITERAL+", "LITERAL-"), set()),
    ],
)
async def test_one_kind_of_literals_is_offered_at_most(ctx, names, expected):
    ctx.disable(Disabled.of(frozenset(names)))
    assert words(ctx) & {"LITERAL+", "LITERAL-", "IMAP4rev2"} == expected


async def test_literal_minus_bounds_literals_that_do_not_wait(ctx, signed_in):
    ctx.disable(Disabled.of(frozenset({"LITERAL+"})))
    ctx.sign_in(signed_in.session.store)
    for size, status in [(4096, "a OK"), (4097, "a BAD [TOOBIG]")]:
        command = b"a APPEND INBOX {%d+}\r\n%b\r\nb NOOP\r\n" % (size, b"x" * size)
        first, second = await send(ctx, command)
        assert first.startswith(status)
        assert second == "b OK NOOP completed"
        command = b"a LIST {1}\r\nx {%d+}\r\n%b\r\nb NOOP\r\n" % (size, b"*" * size)
        lines = await send(ctx, command)
        code = "a NO [LIMIT]" if size <= 4096 else "a BAD [CLIENTBUG]"
        assert lines[-2].startswith(code)
        assert lines[-1] == "b OK NOOP completed"


async def test_a_refused_literal_is_not_executed(ctx, signed_in):
    ctx.disable(Disabled.of(frozenset({"LITERAL-"})))
    ctx.sign_in(signed_in.session.store)
    text = b'a LOGIN {12+}\r\nb CREATE x\r\n {12+}\r\nc CREATE y\r\n\r\nd LIST "" %\r\n'
    lines = await send(ctx, text)
    assert lines[0] == "a BAD [CLIENTBUG] LOGIN: expected a synchronizing literal"
    assert [line.rpartition(" ")[2] for line in lines[1:-1]] == [
        "INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"
    ]  # fmt: skip
    assert lines[-1] == "d OK LIST completed"
