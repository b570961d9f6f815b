r"""Addresses as they stand in envelopes: the path of RFC 5321 section 4.1.2, with UTF-8 (RFC 6531).

An address is a `str` in one form: `local@domain`, or `local` alone where none was given, with
the fewest quotes that the local part needs. The null sender is the empty string. Whatever comes
from here has no control characters, so that it can stand in a header field as it is.

Lenient on purpose, since refusing loses mail that others have taken: dots anywhere in a local part
(`a..b@`, `a.@` are in daily use), underscores in domains, a local part without a domain.

Imports nothing but `re`: `imapvm-smtpexit` is started once for each message.
"""

import re

PATH_MAX = 512
"""UTF-8 octets of one address. RFC 5321 section 4.5.3.1.3 asks for 256; this is twice that, and
leaves a Return-Path line well below 998 octets. It stands here, and not in `model.limits`, since
that imports `typing`: 4 of 20 milliseconds."""

# Written as what is not allowed: a class with all of Unicode in it takes 20 ms to compile.
_ATEXT_OR_DOT = r"[^\x00-\x20\"(),:;<>@\[\\\]\x7f]"
_LABEL = r"[^\x00-,./:-@\[-^`{-\x7f]+"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_LITERAL = r"\[(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[A-Za-z0-9\-]+:[!-Z^-~]+)\]"
_ADDRESS = re.compile(
    rf"(?P<local>{_ATEXT_OR_DOT}+|\"(?:[^\"\\\x00-\x1f\x7f]|\\[ -~])*\")"
    rf"(?:@(?P<domain>{_DOMAIN}|{_LITERAL}))?"
)
_ROUTE = re.compile(rf"@{_DOMAIN}(?:,@{_DOMAIN})*:")
_PLAIN_LOCAL = re.compile(rf"{_ATEXT_OR_DOT}+")


class PathError(ValueError):
    """What was given is no address; the text says why, in words that can follow a colon."""


def parse_path(text: str) -> tuple[str, str]:
    """Read a path at the beginning of `text`, and return its address and what comes behind.

    `<>` is the null sender. A source route is passed over, as RFC 5321 appendix C asks.

    Raises:
        PathError: no angle brackets, or no address between them.
    """
    if not text.startswith("<"):
        raise PathError("an address stands in angle brackets")
    if text.startswith("<>"):
        return "", text[2:]
    start = 1
    if text.startswith("@", start) and (route := _ROUTE.match(text, start)):
        start = route.end()
    found = _ADDRESS.match(text, start)
    if found is None or text[found.end() : found.end() + 1] != ">":
        raise PathError("what stands in the angle brackets is not an address")
    return _address(found), text[found.end() + 1 :]


def parse_address(text: str) -> str:
    """Read an address as it stands on a command line, with or without angle brackets.

    `""` and `<>` are the null sender.

    Raises:
        PathError: it is no address.
    """
    if not text:
        return ""
    if text.startswith("<"):
        address, rest = parse_path(text)
        if rest:
            raise PathError("something follows the closing angle bracket")
        return address
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise PathError("it is not of the form local@domain")
    return _address(found)


def split_address(address: str) -> tuple[str, str | None]:
    """Return the local part without its quotes, and the domain or None."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise PathError("it is not of the form local@domain")
    return _unquoted(found["local"]), found["domain"]


def _address(found: re.Match[str]) -> str:
    """Build the one form of an address (RFC 5321 section 4.1.2: minimal quoting)."""
    address = found[0]
    if address.startswith('"'):
        local = _unquoted(found["local"])
        if not _PLAIN_LOCAL.fullmatch(local):
            local = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
        address = local if found["domain"] is None else f"{local}@{found['domain']}"
    if not address.isascii() and any(map(_is_control, address)):
        raise PathError("an address cannot hold control characters")
    if len(address.encode()) > PATH_MAX:
        raise PathError(f"an address has at most {PATH_MAX} octets")
    return address


def _is_control(char: str) -> bool:
    """C1 controls, the separators that some readers take for line ends, and lone surrogates."""
    return "\x80" <= char <= "\x9f" or char in "\u2028\u2029" or "\ud800" <= char <= "\udfff"


def _unquoted(local: str) -> str:
    return re.sub(r"\\(.)", r"\1", local[1:-1]) if local.startswith('"') else local
