"""Mailbox names: what one can be, INBOX in any case, and the levels of a hierarchy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapvm.model.limits import MAILBOX_DEPTH_MAX, MAILBOX_NAME_MAX
from imapvm.model.names import (
    INBOX,
    NEW_ACCOUNT_MAILBOXES,
    SPECIAL_USES,
    canonical_name,
    is_below,
    name_error,
    parents,
)


@pytest.mark.parametrize(
    "name", ["INBOX", "Archive/2026", "Entwürfe", "日本語/下", "a b", "x&y", "~"]
)
def test_names_that_can_be(name):
    assert name_error(name) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "is empty"),
        ("a//b", "a level of the mailbox name is empty"),
        ("/a", "a level of the mailbox name is empty"),
        ("a/", "a level of the mailbox name is empty"),
        ("a*", "wildcards"),
        ("%", "wildcards"),
        ("a\0b", "control characters"),
        ("a\r\nb", "control characters"),
        ("a\x7f", "control characters"),
        ("a\u0085", "control characters"),
        ("a\u2028b", "control characters"),
    ],
)
def test_names_that_cannot_be(name, says):
    assert says in name_error(name)


@pytest.mark.at_limit("MAILBOX_NAME_MAX")
@pytest.mark.past_limit("MAILBOX_NAME_MAX")
@pytest.mark.parametrize("letter", ["a", "é", "下", "😀"])
def test_the_longest_name_is_counted_in_octets_of_utf8(letter):
    width = len(letter.encode())
    longest = letter * (MAILBOX_NAME_MAX // width)
    longest += "x" * (MAILBOX_NAME_MAX - len(longest.encode()))
    assert name_error(longest) is None
    assert str(MAILBOX_NAME_MAX) in name_error(longest + "x")


@pytest.mark.at_limit("MAILBOX_DEPTH_MAX")
@pytest.mark.past_limit("MAILBOX_DEPTH_MAX")
def test_the_deepest_name():
    deepest = "/".join("d" * MAILBOX_DEPTH_MAX)
    assert name_error(deepest) is None
    assert f"more than {MAILBOX_DEPTH_MAX} levels" in name_error(deepest + "/d")


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("inbox", "INBOX"),
        ("InBox", "INBOX"),
        ("iNbOx/Lists", "INBOX/Lists"),
        ("inboxes", "inboxes"),
        ("a/inbox", "a/inbox"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("", ""),
    ],
)
def test_one_name_for_all_ways_to_write_it(name, canonical):
    assert canonical_name(name) == canonical


@given(st.text())
def test_a_canonical_name_stays_as_it_is(name):
    assert canonical_name(canonical_name(name)) == canonical_name(name)


def test_what_lies_above_and_below():
    assert parents("a/b/c") == ["a", "a/b"]
    assert parents("a") == []
    assert is_below("a/b/c", "a")
    assert not is_below("ab", "a")
    assert not is_below("a", "a")


def test_what_an_enrolled_user_gets_can_be_made():
    for name, use in NEW_ACCOUNT_MAILBOXES:
        assert name_error(name) is None
        assert canonical_name(name) == name != INBOX
        assert use in SPECIAL_USES
