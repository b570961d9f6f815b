"""Capabilities that the server announces, compared with the table."""

from tests.commands.fakes import connection, send

from imapvm.commands.context import Context
from imapvm.session.capabilities import TABLE
from imapvm.session.syntax import Disabled


async def announced(ctx: Context) -> set[str]:
    first, last = await send(ctx, b"a CAPABILITY\r\n")
    assert last == "a OK CAPABILITY completed"
    words = first.split(" ")
    assert words[:2] == ["*", "CAPABILITY"]
    assert len(set(words)) == len(words)
    return set(words[2:])


async def test_each_offered_row_is_announced_in_a_state_and_nothing_else_is(signed_in):
    without_tls = connection()
    without_tls.session.tls = False
    without_tls.channel.can_start_tls = True
    states = [connection(), without_tls, signed_in]
    found = set().union(*[await announced(ctx) for ctx in states])
    signed_in.services.administrators = frozenset({"alice"})
    assert await announced(signed_in) - found == {"QUOTASET"}
    found.add("QUOTASET")
    included = {row.unless for row in TABLE if row.unless}
    signed_in.disable(Disabled.of(frozenset(included)))
    more = await announced(signed_in) - found
    assert more == {row.name for row in TABLE if row.unless}
    found |= more
    fixed = [row for row in TABLE if row.when is not None and isinstance(row.value, str)]
    assert found == {row.name + row.value for row in fixed}  # the others are off by default
    assert not any(row.name in found for row in TABLE if row.when is None)
