"""Addresses of envelopes (RFC 5321 section 4.1.2)."""

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
    ("<a..b.@docomo.example>", "a..b.@docomo.example", ""),  # lenient on purpose
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


@pytest.mark.parametrize(("text", "address", "rest"), PATHS)
def test_a_path_is_read_and_what_follows_is_left(text, address, rest):
    assert parse_path(text) == (address, rest)


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_no_path_is_refused(text):
    with pytest.raises(PathError):
        parse_path(text)


@pytest.mark.parametrize(("text", "address", "_rest"), [p for p in PATHS if not p[2]])
def test_an_address_that_was_read_reads_the_same_again(text, address, _rest):
    assert parse_path(f"<{address}>") == (address, "")
    assert parse_address(address) == address
    assert parse_address(text) == address


def test_on_a_command_line_nothing_may_follow():
    with pytest.raises(PathError):
        parse_address("<ada@example.org> x")
    with pytest.raises(PathError):
        parse_address("ada@example.org x")


def test_quotes_do_not_belong_to_a_local_part():
    assert split_address('"ada lovelace"@example.org') == ("ada lovelace", "example.org")
    assert split_address("ada@example.org") == ("ada", "example.org")
    assert split_address("ada") == ("ada", None)


def test_an_address_has_a_longest_form():
    local = "a" * (PATH_MAX - len("@example.org"))
    assert parse_address(local + "@example.org")
    with pytest.raises(PathError, match="512 octets"):
        parse_address(local + "a@example.org")


@given(st.text(max_size=40))
def test_any_text_is_an_address_without_controls_or_none(text):
    try:
        address, _ = parse_path(text)
    except PathError:
        return
    assert not any(ord(c) < 32 or ord(c) == 127 for c in address)
    if address:
        assert parse_path(f"<{address}>") == (address, "")
