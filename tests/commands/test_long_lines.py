"""A line over its limit is refused by its tag, and the connection continues."""

import pytest
from tests.commands.fakes import connection, send

from imapvm.model.limits import LINE_BEFORE_LOGIN_MAX


@pytest.mark.parametrize("ending", [b"\r\n", b" {10+}\r\nz LOGOUT\r\n"])
async def test_a_long_line_is_refused_and_the_next_command_runs(ending):
    ctx = connection()
    line = b"a LOGIN x " + b"y" * LINE_BEFORE_LOGIN_MAX + ending
    lines = await send(ctx, line + (b"\r\n" if b"+" in ending else b"") + b"b NOOP\r\n")
    assert lines == ["a NO [TOOBIG] LOGIN: line over 8192 bytes", "b OK NOOP completed"]
    assert not ctx.session.over


async def test_a_long_line_without_a_tag_ends_the_connection():
    ctx = connection()
    lines = await send(ctx, b"y" * (LINE_BEFORE_LOGIN_MAX + 1))
    assert lines[-1].startswith("* BYE")
    assert ctx.session.over
