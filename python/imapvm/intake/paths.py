r"""Envelope addresses: the path of RFC 5321 section 4.1.2, with UTF-8 (RFC 6531).

A parsed address is a `str` in one form: `local@domain`, or `local` if there was no domain, with
the fewest quotes that the local part needs. The null sender is the empty string. A parsed address
has no control characters, so that it can be written into a header field.

Lenient, since refusing would lose mail that other systems accepted: dots anywhere in a local part
(`a..b@`, `a.@` are in use), underscores in domains, a local part without a domain.

Imports nothing but `re`: `imapvm-smtpexit` is started once for each message.
"""

import re

PATH_MAX = 512
"""UTF-8 bytes of one address. RFC 5321 section 4.5.3.1.3 asks for 256; this is twice that, and
keeps a Return-Path line well below 998 bytes. It is not in `model.limits`, since that imports
`typing`: 4 of 20 milliseconds."""

# Negated classes: a class that lists all of Unicode takes 20 ms to compile.
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
    """Not an address. The text is the reason."""


def parse_path(text: str) -> tuple[str, str]:
    """Parse a path at the start of `text`; return its address and the remaining text.

    `<>` is the null sender. A source route is ignored (RFC 5321 appendix C).

    Raises:
        PathError: no angle brackets, or no address between them.
    """
    if not text.startswith("<"):
        raise PathError("expected an address in angle brackets")
    if text.startswith("<>"):
        return "", text[2:]
    start = 1
    if text.startswith("@", start) and (route := _ROUTE.match(text, start)):
        start = route.end()
    found = _ADDRESS.match(text, start)
    if found is None or text[found.end() : found.end() + 1] != ">":
        raise PathError("expected local@domain in the angle brackets")
    return _address(found), text[found.end() + 1 :]


def parse_address(text: str) -> str:
    """Parse an address from a command line, with or without angle brackets.

    `""` and `<>` are the null sender.

    Raises:
        PathError: not an address.
    """
    if not text:
        return ""
    if text.startswith("<"):
        address, remaining = parse_path(text)
        if remaining:
            raise PathError("unexpected text after the closing angle bracket")
        return address
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise PathError("expected local@domain")
    return _address(found)


def split_address(address: str) -> tuple[str, str | None]:
    """Return the local part without quotes, and the domain or None.

    Raises:
        PathError: not an address.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise PathError("expected local@domain")
    return _unquoted(found["local"]), found["domain"]


def _address(found: re.Match[str]) -> str:
    """Return an address in its one form (RFC 5321 section 4.1.2: minimal quoting)."""
    address = found[0]
    if address.startswith('"'):
        local = _unquoted(found["local"])
        if not _PLAIN_LOCAL.fullmatch(local):
            local = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
        address = local if found["domain"] is None else f"{local}@{found['domain']}"
    if not address.isascii() and any(map(_is_control, address)):
        raise PathError("address contains control characters")
    if len(address.encode()) > PATH_MAX:
        raise PathError(f"address is longer than {PATH_MAX} bytes")
    return address


def _is_control(char: str) -> bool:
    """Return True for C1 controls, Unicode line separators and lone surrogates."""
    return "\x80" <= char <= "\x9f" or char in "\u2028\u2029" or "\ud800" <= char <= "\udfff"


def _unquoted(local: str) -> str:
    return re.sub(r"\\(.)", r"\1", local[1:-1]) if local.startswith('"') else local
