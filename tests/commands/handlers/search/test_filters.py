"""FILTER among the keys of SEARCH: limits, and filters that cannot be parsed any more."""

import pytest
from tests.commands.fakes import send

from imapvm.commands.handlers.search import filters
from imapvm.filepool.store import SERVER, Annotation
from imapvm.model.limits import FILTERS_PER_SEARCH_MAX
from imapvm.session.syntax import Disabled


async def store(ctx, **values: str) -> None:
    """Store filters, also such as SETMETADATA refuses."""
    made = [
        Annotation(filters.PATH + name.encode(), value.encode("latin-1"))
        for name, value in values.items()
    ]
    await ctx.session.store.set_annotations(SERVER, made, origin=b"sess-1")


@pytest.fixture
async def selected(signed_in):
    await send(signed_in, b"a SELECT INBOX\r\n")
    return signed_in


@pytest.mark.at_limit("FILTERS_PER_SEARCH_MAX")
@pytest.mark.past_limit("FILTERS_PER_SEARCH_MAX")
async def test_a_search_has_a_limited_number_of_filters(selected):
    names = [f"f{number}" for number in range(FILTERS_PER_SEARCH_MAX + 1)]
    await store(selected, **dict.fromkeys(names, "ALL"))
    keys = " ".join(f"FILTER {name}" for name in names[1:])
    assert await send(selected, f"a SEARCH {keys} {keys}\r\n".encode()) == [
        "* SEARCH",
        "a OK SEARCH completed",
    ]
    for command in (f"SEARCH {keys} FILTER f0", "SEARCH FILTER all"):
        await store(selected, all=f"{keys} FILTER f0")
        assert await send(selected, f"a {command}\r\n".encode()) == [
            f"a NO [LIMIT] more than {FILTERS_PER_SEARCH_MAX} filters"
        ]


async def test_filters_that_grow_are_limited(selected):
    """Each filter names the next a thousand times: a billion keys."""
    await store(selected, a="FILTER b " * 1000 + "ALL", b="FILTER c " * 1000 + "ALL", c="ALL ALL")
    assert await send(selected, b"a SEARCH FILTER a\r\n") == [
        f"a NO [LIMIT] more than {filters.KEYS} search keys in filters"
    ]


@pytest.mark.parametrize(
    "value",
    ["", "OR SMALLER", "ALL\r\nb IDLE", "ALL\r\nb APPEND INBOX {1+}\r\nx", "RETURN (SAVE) ALL",
     "BODY {5}\r\n", "BODY \xff", "ALL)", "(ALL", "SEARCH ALL", "NOT " * 100 + "ALL"],
)  # fmt: skip
async def test_a_value_that_is_not_the_keys_of_a_search_is_no_filter(selected, value):
    await store(selected, x=value)
    assert await send(selected, b"a SEARCH FILTER x\r\n") == [
        "a NO [UNDEFINED-FILTER x] filter does not exist or cannot be used"
    ]


async def test_a_name_that_no_annotation_can_have_is_no_filter(selected):
    for length in (239, 240, 5000):
        (line,) = await send(selected, b"a SEARCH FILTER %b\r\n" % (b"n" * length))
        assert line.startswith(f"a NO [UNDEFINED-FILTER {'n' * length}]")


async def test_a_filter_has_no_disabled_syntax(selected):
    await store(selected, x="OLDER 5")
    assert (await send(selected, b"a SEARCH FILTER x\r\n"))[-1] == "a OK SEARCH completed"
    selected.disable(Disabled.of(frozenset({"WITHIN"})))
    assert (await send(selected, b"a SEARCH FILTER x\r\n"))[-1].startswith("a NO [UNDEFINED-FILTER")


async def test_message_numbers_in_a_filter_are_refused_after_enable_uidonly(signed_in):
    await store(signed_in, x="1:5")
    await send(signed_in, b"a ENABLE UIDONLY\r\nb SELECT INBOX\r\n")
    (line,) = await send(signed_in, b"a UID SEARCH FILTER x\r\n")
    assert line.startswith("a BAD [UIDREQUIRED]")
