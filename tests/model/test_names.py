"""Mailbox names: valid names, INBOX in any case, and levels of hierarchy."""

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
def test_valid_names(name):
    assert name_error(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
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
def test_invalid_names(name, reason):
    assert reason in name_error(name)


@pytest.mark.at_limit("MAILBOX_NAME_MAX")
@pytest.mark.past_limit("MAILBOX_NAME_MAX")
@pytest.mark.parametrize("letter", ["a", "é", "下", "😀"])
def test_longest_name_is_counted_in_bytes_of_utf8(letter):
    width = len(letter.encode())
    longest = letter * (MAILBOX_NAME_MAX // width)
    longest += "x" * (MAILBOX_NAME_MAX - len(longest.encode()))
    assert name_error(longest) is None
    assert str(MAILBOX_NAME_MAX) in name_error(longest + "x")


@pytest.mark.at_limit("MAILBOX_DEPTH_MAX")
@pytest.mark.past_limit("MAILBOX_DEPTH_MAX")
def test_deepest_name():
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
def test_canonical_name_of_inbox_and_form_c(name, canonical):
    assert canonical_name(name) == canonical


@given(st.text())
def test_canonical_name_is_idempotent(name):
    assert canonical_name(canonical_name(name)) == canonical_name(name)


def test_parents_and_children():
    assert parents("a/b/c") == ["a", "a/b"]
    assert parents("a") == []
    assert is_below("a/b/c", "a")
    assert not is_below("ab", "a")
    assert not is_below("a", "a")


def test_mailboxes_of_a_new_account_have_valid_names():
    for name, use in NEW_ACCOUNT_MAILBOXES:
        assert name_error(name) is None
        assert canonical_name(name) == name != INBOX
        assert use in SPECIAL_USES
