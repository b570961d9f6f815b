"""FILTER among the keys of SEARCH: stored filters (RFC 5466).

A filter is a private annotation of the server, /private/filters/values/NAME, or else a shared one,
which administrators set.
Its value is the keys of a SEARCH. They are used as if they were in parentheses.
"""

from typing import Final

from imapvm._core import CommandReader, LiteralWanted, Search, SearchProgram
from imapvm.commands.context import AccountContext, disabled_syntax
from imapvm.commands.outcome import Refusal
from imapvm.filepool.store import SERVER, SHARED, Scope
from imapvm.model.limits import ANNOTATION_NAME_MAX, FILTERS_PER_SEARCH_MAX

PASSES: Final = 3
"""Replacements of the filters in filters, as RFC 5466 section 3.1 asks; so a loop ends."""
KEYS: Final = 8_192
"""Keys of a SEARCH, those of its filters included: as without filters (`Limits::items`)."""
PATH: Final = b"/filters/values/"
"""Entries of filters, without /private or /shared."""


async def with_filters(ctx: AccountContext, program: SearchProgram | None) -> SearchProgram | None:
    """Return the keys with all filters replaced.

    Raises:
        Refusal: a filter does not exist or cannot be used, filters are nested too deep or in a
            loop, or there are too many filters or keys.
    """
    if program is None or not program.filters:
        return program
    for _ in range(PASSES):
        names = program.filters
        if len(names) > FILTERS_PER_SEARCH_MAX:
            raise Refusal(f"more than {FILTERS_PER_SEARCH_MAX} filters", code="LIMIT")
        known = {}
        for name in names:
            known[name] = _stored(ctx, name)
            await ctx.yield_control()
        program = program.replace_filters(known, KEYS)
        if program is None:
            raise Refusal(f"more than {KEYS} search keys in filters", code="LIMIT")
        if not program.filters:
            return program
    raise _undefined(program.filters[0])


def is_filter(entry: bytes) -> bool:
    """Return True for the entry of a filter: without its scope, in lower case."""
    return entry.startswith(PATH) and b"/" not in entry.removeprefix(PATH)


def parse_filter(ctx: AccountContext, value: bytes) -> SearchProgram | None:
    """Return the keys of a filter, which is in UTF-8; None if it is not the keys of a SEARCH."""
    reader = CommandReader()
    syntax = ctx.session.disabled.syntax
    # A stored value is not sent: its literals wait for nothing.
    reader.disable(disabled_syntax(tuple(e for e in syntax if not e.startswith("LITERAL"))))
    # With CHARSET, neither RETURN nor another CHARSET can follow.
    reader.feed(b"a SEARCH CHARSET UTF-8 %b\r\n" % value)
    event = reader.next()
    while isinstance(event, LiteralWanted):
        event = reader.next()
    return event.program if isinstance(event, Search) and not reader.buffered else None


def _stored(ctx: AccountContext, name: str) -> SearchProgram:
    path = PATH + name.encode()
    if len(path) > ANNOTATION_NAME_MAX:
        raise _undefined(name)
    with ctx.own.reading() as reader:
        value = reader.annotation(Scope(SERVER, ctx.own.account.id), path)
    if value is None:
        with ctx.services.pool.server().reading() as reader:
            value = reader.annotation(Scope(SERVER, SHARED), path)
    program = None if value is None else parse_filter(ctx, value)
    if program is None:
        raise _undefined(name)
    return program


def _undefined(name: str) -> Refusal:
    return Refusal("filter does not exist or cannot be used", code=f"UNDEFINED-FILTER {name}")
