"""Envelope addresses (RFC 5321 section 4.1.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapvm.intake.paths import PATH_MAX, PathError, parse_address, parse_path, split_address

PATHS = [
    ("<ada@example.org>", "ada@example.org", ""),
    ("<>", "", ""),
    ("<> BODY=8BITMIME", "", " BODY=8BITMIME"),
    ("<ada@example.org> SIZE=1", "ada@example.org", " SIZE=1"),
    ("<postmaster>", "postmaster", ""),
    ('<"ada lovelace"@example.org>', '"ada lovelace"@example.org', ""),
    ('<"ada"@example.org>', "ada@example.org", ""),  # minimal quoting
    (r'<"a\"b\\c"@example.org>', r'"a\"b\\c"@example.org', ""),
    (r'<"\a\d\a"@example.org>', "ada@example.org", ""),
    ('<"a@b"@example.org>', '"a@b"@example.org', ""),
    ('<"<>"@example.org>', '"<>"@example.org', ""),
    ('<""@example.org>', '""@example.org', ""),
    ("<@a.example,@b.example:ada@example.org>", "ada@example.org", ""),  # appendix C
    ("<ada@[192.0.2.1]>", "ada@[192.0.2.1]", ""),
    ("<ada@[IPv6:2001:db8::1]>", "ada@[IPv6:2001:db8::1]", ""),
    ("<ada+lists@example.org>", "ada+lists@example.org", ""),
    ("<o'hara/dept=x&y%z#1!@example.org>", "o'hara/dept=x&y%z#1!@example.org", ""),
    ("<josé@exämple.org>", "josé@exämple.org", ""),
    ("<a..b.@docomo.example>", "a..b.@docomo.example", ""),  # lenient
    ("<ada@under_score.example>", "ada@under_score.example", ""),
]

MALFORMED = [
    "",
    "ada@example.org",
    "<ada@example.org",
    "<ada@>",
    "<@example.org>",
    "<@example.org:>",
    "<ada@@example.org>",
    "<ada lovelace@example.org>",
    '<"ada@example.org>',
    '<ada"@example.org>',
    "<ada@exam ple.org>",
    "<ada@example..org>",
    "<ada@.org>",
    "<ada@example.org.>",
    "<ada@[192.0.2]>",
    "<ada@[nonsense]>",
    "<a\x00b@example.org>",
    '<"a\rb"@example.org>',
    '<"a\nb"@example.org>',
    "<a\x85b@example.org>",
    "<a\u2028b@example.org>",
    "< ada@example.org>",
    "<ada@example.org >",
    "<a,b@example.org>",
]


@pytest.mark.parametrize(("text", "address", "remaining"), PATHS)
def test_a_path_is_parsed_and_the_remaining_text_returned(text, address, remaining):
    assert parse_path(text) == (address, remaining)


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_path_is_refused(text):
    with pytest.raises(PathError):
        parse_path(text)


@pytest.mark.parametrize(("text", "address", "_remaining"), [p for p in PATHS if not p[2]])
def test_a_parsed_address_parses_to_itself(text, address, _remaining):
    assert parse_path(f"<{address}>") == (address, "")
    assert parse_address(address) == address
    assert parse_address(text) == address


def test_text_after_an_address_is_refused_on_the_command_line():
    with pytest.raises(PathError):
        parse_address("<ada@example.org> x")
    with pytest.raises(PathError):
        parse_address("ada@example.org x")


def test_quotes_are_not_part_of_the_local_part():
    assert split_address('"ada lovelace"@example.org') == ("ada lovelace", "example.org")
    assert split_address("ada@example.org") == ("ada", "example.org")
    assert split_address("ada") == ("ada", None)


def test_the_length_of_an_address_is_limited():
    local = "a" * (PATH_MAX - len("@example.org"))
    assert parse_address(local + "@example.org")
    with pytest.raises(PathError, match="512 bytes"):
        parse_address(local + "a@example.org")


@given(st.text(max_size=40))
def test_any_text_is_refused_or_an_address_without_control_characters(text):
    try:
        address, _ = parse_path(text)
    except PathError:
        return
    assert not any(ord(c) < 32 or ord(c) == 127 for c in address)
    if address:
        assert parse_path(f"<{address}>") == (address, "")
