"""Capabilities that are disabled: for all clients, and from ID on for some."""

import pytest
from tests.commands.fakes import FakeChannel, NoAccounts, send

from imapvm.commands.context import Context
from imapvm.commands.handlers.anytime import offered
from imapvm.commands.services import Services
from imapvm.session.client_rules import CapabilityRules, ClientRule
from imapvm.session.session import Session

RULES = CapabilityRules(
    ["SORT"],
    [
        ClientRule(name="Example*", version="3.*", disabled=("UTF8=ACCEPT", "WITHIN")),
        ClientRule(name="Other", disabled=("ID",)),
    ],
)


@pytest.fixture
def ctx(signed_in):
    """Return a second connection of alice, with rules, before login."""
    services = Services(
        pool=signed_in.services.pool,
        authenticator=NoAccounts(),
        clock=lambda: 0.0,
        capability_rules=RULES,
    )
    session = Session(peer="192.0.2.1", tls=True, plain_allowed=False)
    return Context(FakeChannel(), services, session)


def names(ctx) -> set[str]:
    return set(offered(ctx).split())


async def test_disabled_for_all_from_the_greeting_on(ctx, signed_in):
    ctx.sign_in(signed_in.session.store)
    assert not {"SORT", "SORT=DISPLAY", "ESORT"} & names(ctx)
    assert "THREAD=REFS" in names(ctx)
    assert await send(ctx, b"a SORT (DATE) UTF-8 ALL\r\n") == [
        "a BAD [CLIENTBUG] expected a command at column 3"
    ]
    assert "IMAP4rev2" in names(ctx)


async def test_a_rule_applies_from_id_on_before_login(ctx, signed_in):
    lines = await send(ctx, b'a ID ("name" "EXAMPLE Mail" "version" "3.1")\r\n')
    # CAPABILITY before login is the same, so it is not sent.
    assert [line.split(" ")[1] for line in lines] == ["ID", "OK"]
    ctx.sign_in(signed_in.session.store)
    assert not {"UTF8=ACCEPT", "WITHIN", "SORT"} & names(ctx)
    assert await send(ctx, b"b ENABLE UTF8=ACCEPT IMAP4rev2\r\n") == [
        "* ENABLED IMAP4rev2",
        "b OK ENABLE completed",
    ]


async def test_a_rule_that_changes_capabilities_after_login_is_announced(ctx, signed_in):
    ctx.sign_in(signed_in.session.store)
    assert "WITHIN" in names(ctx)
    lines = await send(ctx, b'a ID ("version" "3.1" "name" "Example")\r\n')
    assert [line.split(" ")[1] for line in lines] == ["ID", "CAPABILITY", "OK"]
    assert set(lines[1].split()[2:]) == names(ctx)
    assert "WITHIN" not in names(ctx)
    await send(ctx, b"b SELECT INBOX\r\n")
    assert await send(ctx, b"c SEARCH OLDER 1\r\n") == [
        "c BAD [CLIENTBUG] SEARCH: expected a search key at column 10"
    ]
    # The same ID again changes nothing; another one does.
    assert len(await send(ctx, b'd ID ("version" "3.1" "name" "Example")\r\n')) == 2
    lines = await send(ctx, b'e ID ("name" "Example" "version" "4.0")\r\n')
    assert [line.split(" ")[1] for line in lines] == ["ID", "CAPABILITY", "OK"]
    assert "WITHIN" in names(ctx)
    assert (await send(ctx, b"f SEARCH OLDER 1\r\n"))[-1] == "f OK SEARCH completed"


@pytest.mark.parametrize(
    "params",
    [b"NIL", b"()", b'("os" "x")', b'("name" NIL "version" "3.1")', b'("name" "Example")'],
)
async def test_an_id_without_a_matching_name_and_version_changes_nothing(ctx, params):
    before = names(ctx)
    assert len(await send(ctx, b"a ID %b\r\n" % params)) == 2
    assert names(ctx) == before


async def test_what_has_been_enabled_stays_enabled(ctx, signed_in):
    ctx.sign_in(signed_in.session.store)
    await send(ctx, b"a ENABLE UTF8=ACCEPT\r\n")
    lines = await send(ctx, b'b ID ("name" "Example" "version" "3.1")\r\n')
    assert len(lines) == 3
    assert ctx.session.utf8
    assert await send(ctx, b"c ENABLE UTF8=ACCEPT\r\n") == ["* ENABLED", "c OK ENABLE completed"]


async def test_id_itself_can_be_disabled_for_a_client(ctx):
    lines = await send(ctx, b'a ID ("name" "other")\r\nb ID NIL\r\n')
    assert [line.split(" ")[1] for line in lines] == ["ID", "CAPABILITY", "OK", "BAD"]
    assert "ID" not in names(ctx)
