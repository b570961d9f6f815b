"""Comparators that match the arguments of COMPARATOR (RFC 4790 section 3, RFC 5255 section 4.7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapvm.model.limits import COMPARATOR_NAME_MAX
from imapvm.session.comparators import COMPARATORS, DEFAULT, InvalidOrderError, matching

UNICODE, ASCII, BYTES = (one.name for one in COMPARATORS)


@pytest.mark.parametrize(
    ("orders", "names"),
    [
        (["default"], [UNICODE]),
        (["DEFAULT"], [UNICODE]),
        (["i;ascii-casemap"], [ASCII]),
        (["I;OCTET"], [BYTES]),
        (["+i;octet"], [BYTES]),
        (["-i;octet"], [f"-{BYTES}"]),
        (["-*casemap"], [f"-{UNICODE}", ASCII]),
        (["*"], [UNICODE, ASCII, BYTES]),
        (["i;*"], [UNICODE, ASCII, BYTES]),
        (["*;*-*"], [UNICODE, ASCII]),
        (["cz;*", "i;basic"], []),
        (["cz;*", "i;basic", "i;octet"], [BYTES]),
        (["i;octet", "*"], [BYTES, UNICODE, ASCII]),
        (["i;octet", "-i;octet"], [BYTES]),
        (["casemap"], []),
        (["i;octet;x=1"], []),
    ],
)
def test_first_argument_that_matches_wins(orders, names):
    found = matching(orders)
    assert [one.selected for one in found] == names


@pytest.mark.parametrize("order", ["", "**", "+", "-", "1", ";x", "a b", "a_b", "+-i;octet", "ä"])
def test_what_is_no_collation_order_is_refused(order):
    with pytest.raises(InvalidOrderError):
        matching([DEFAULT.name, order])


@pytest.mark.at_limit("COMPARATOR_NAME_MAX")
@pytest.mark.past_limit("COMPARATOR_NAME_MAX")
def test_length_of_an_argument_is_limited():
    name = "i;" + "x" * (COMPARATOR_NAME_MAX - 2)
    assert matching([name]) == ()
    with pytest.raises(InvalidOrderError):
        matching([name + "x"])


@given(st.lists(st.sampled_from(["*", "a", "i", ";", "o*", "c", "e*", "t", "-"]), max_size=60))
def test_patterns_with_many_wildcards_end(parts):
    order = "".join(parts)
    try:
        found = matching([order])
    except InvalidOrderError:
        return
    assert {one.name for one in found} <= {UNICODE, ASCII, BYTES}
