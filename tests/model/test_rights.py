"""Rights and identifiers of ACLs (RFC 4314 sections 2 and 3, RFC 4013)."""

import pytest

from imapvm.model.rights import (
    ALL_RIGHTS,
    ANYONE,
    NEW_RIGHTS,
    NO_RIGHTS,
    AclEntry,
    Rights,
    RightsChange,
    join_rights,
    parse_change,
    prepare_identifier,
)


@pytest.mark.parametrize(
    ("letters", "shown"),
    [
        ("", ""),
        ("lrs", "lrs"),
        ("srl", "lrs"),
        ("lrswida", "lrswitead"),
        ("lrswikda", "lrswikteacd"),
        ("cda", "kxteacd"),
        ("k", "kc"),
        ("x", "xc"),
        ("t", "td"),
        ("e", "ed"),
        ("p", "p"),
        ("lrswipkxtea", "lrswipkxteacd"),
    ],
)
def test_virtual_rights_are_shown_beside_their_members(letters, shown):
    """The server must include "c" and "d" if one of their members is granted (section 2.1.1)."""
    assert str(Rights.parse(letters)) == shown


@pytest.mark.parametrize("letter", ["q", "L", "0", "9", "+", " ", "é"])
def test_other_letters_are_no_rights(letter):
    with pytest.raises(ValueError, match="unknown right"):
        Rights.parse("l" + letter)


def test_all_rights_are_the_eleven_letters():
    assert Rights.parse("lrswipkxtea") == ALL_RIGHTS
    assert set(NEW_RIGHTS) == set("texk")  # section 5.1.1


@pytest.mark.parametrize(
    ("text", "after"),
    [("lr", "lr"), ("+w", "lsw"), ("-l", "s"), ("+", "ls"), ("-", "ls"), ("", ""), ("-d", "ls")],
)
def test_a_prefix_adds_or_removes(text, after):
    change, rights = parse_change(text)
    assert change.apply(Rights.parse("ls"), rights) == Rights.parse(after)


def test_a_second_prefix_is_no_right():
    with pytest.raises(ValueError, match="unknown right"):
        parse_change("+-l")


def test_negative_rights_are_taken_from_the_sum():
    entries = [
        AclEntry(ANYONE, Rights.parse("lr"), Rights.parse("w")),
        AclEntry(ANYONE, Rights.parse("sw"), NO_RIGHTS),
    ]
    assert join_rights(iter(entries)) == Rights.parse("lrs")
    assert join_rights(iter(())) == NO_RIGHTS
    assert RightsChange("") is RightsChange.REPLACE


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),  # the examples of RFC 4013 section 3
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("\u0627\u0628", "\u0627\u0628"),
    ],
)
def test_identifiers_are_prepared(text, prepared):
    assert prepare_identifier(text) == prepared


@pytest.mark.parametrize(
    "text", ["", "\u00ad", "\u0007", "\u0627\u0031", "a\u0627", "\ue000", "\u0378"]
)
def test_identifiers_that_cannot_be_prepared_are_refused(text):
    with pytest.raises(ValueError, match="identifier"):
        prepare_identifier(text)
