"""MAIL and RCPT (RFC 5321 section 4.1.1), with parameters of SIZE, 8BITMIME, SMTPUTF8 and DSN.

Shared by LMTP and spool files. A syntax error of the sender is a value: the `Reply`.
"""

import re

from imapvm.intake.paths import PathError, parse_path
from imapvm.intake.replies import Reply
from imapvm.model.values import frozen

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([!-<>-~\u0080-\U0010ffff]+))?")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})
_SIZE_DIGITS_MAX = 20  # RFC 1870 section 3


@frozen
class Sender:
    """MAIL FROM."""

    address: str
    """"" is the null sender, which gets no notifications (RFC 5321 section 4.5.5)."""
    size: int | None = None
    """Declared size in bytes (RFC 1870)."""
    utf8: bool = False
    """SMTPUTF8 (RFC 6531): addresses and header fields may be UTF-8."""
    envelope_id: str | None = None
    """ENVID, decoded from xtext (RFC 3461 section 4.4)."""
    full_return: bool = False
    """RET=FULL (RFC 3461 section 4.3)."""


@frozen
class Recipient:
    """RCPT TO."""

    address: str
    wants_failures: bool = True
    """False for NOTIFY without FAILURE, as in NOTIFY=NEVER (RFC 3461 section 4.1)."""
    original: str | None = None
    """ORCPT, `type;address`, decoded from xtext (RFC 3461 section 4.2)."""


@frozen
class Envelope:
    """Sender and recipients of a message; recipients in the order given, with duplicates."""

    sender: Sender
    recipients: tuple[Recipient, ...]
    greeting: str | None = None
    """Name of the client, from EHLO or LHLO."""


def parse_mail(argument: str, *, utf8: bool = False) -> Sender | Reply:
    """Parse the argument of MAIL.

    Args:
        argument: the text after `MAIL `.
        utf8: True to allow UTF-8 addresses without SMTPUTF8.
    """
    split = _path_and_parameters(argument, "FROM:")
    if isinstance(split, Reply):
        return split
    address, parameters = split
    size: int | None = None
    smtputf8 = full_return = False
    envelope_id: str | None = None
    for name, value in parameters:
        match name, value:
            case "SIZE", str() if value.isascii() and value.isdigit():
                if len(value) > _SIZE_DIGITS_MAX:
                    return _bad_value(name)
                size = int(value)
            case "BODY", str() if value.upper() in {"7BIT", "8BITMIME"}:
                pass  # bytes are stored unchanged in both cases
            case "SMTPUTF8", None:
                smtputf8 = True
            case "RET", str() if value.upper() in {"FULL", "HDRS"}:
                full_return = value.upper() == "FULL"
            case "ENVID", str():
                envelope_id = _xtext(value)
            case (("SIZE" | "BODY" | "SMTPUTF8" | "RET" | "ENVID"), _):
                return _bad_value(name)
            case _:
                return _unknown(name)
    if not (smtputf8 or utf8 or address.isascii()):
        return _needs_smtputf8()
    return Sender(address, size, smtputf8 or not address.isascii(), envelope_id, full_return)


def parse_rcpt(argument: str, *, utf8: bool) -> Recipient | Reply:
    """Parse the argument of RCPT.

    Args:
        argument: the text after `RCPT `.
        utf8: True if MAIL had SMTPUTF8.
    """
    split = _path_and_parameters(argument, "TO:")
    if isinstance(split, Reply):
        return split
    address, parameters = split
    if not address:
        return Reply(501, "5.1.3", "recipient address is empty")
    wants_failures = True
    original: str | None = None
    for name, value in parameters:
        match name, value:
            case "NOTIFY", str():
                wanted = set(value.upper().split(","))
                if wanted != {"NEVER"} and not wanted <= _NOTIFY:
                    return _bad_value(name)
                wants_failures = "FAILURE" in wanted
            case "ORCPT", str() if ";" in value:
                original = _xtext(value)
            case (("NOTIFY" | "ORCPT"), _):
                return _bad_value(name)
            case _:
                return _unknown(name)
    if not utf8 and not address.isascii():
        return _needs_smtputf8()
    return Recipient(address, wants_failures, original)


def _path_and_parameters(
    argument: str, keyword: str
) -> tuple[str, list[tuple[str, str | None]]] | Reply:
    if argument[: len(keyword)].upper() != keyword:
        return Reply(501, "5.5.4", f"expected {keyword}<address>")
    try:
        # Lenient: accept a space after the colon, which many programs write.
        address, remaining = parse_path(argument[len(keyword) :].lstrip(" "))
    except PathError as error:
        return Reply(501, "5.1.7" if keyword == "FROM:" else "5.1.3", str(error))
    if not remaining:
        return address, []
    if not remaining.startswith(" "):
        return Reply(501, "5.5.4", "expected a space after the address")
    parameters = []
    for word in remaining.split():
        found = _PARAMETER.fullmatch(word)
        if found is None:
            return Reply(501, "5.5.4", "expected parameters of the form NAME or NAME=VALUE")
        parameters.append((found[1].upper(), found[2]))
    return address, parameters


def _xtext(value: str) -> str:
    """Decode xtext (RFC 3461 section 4); control characters, which it must not hold, become `?`."""
    text = _XTEXT.sub(lambda found: chr(int(found[1], 16)), value)
    return "".join(c if c.isprintable() else "?" for c in text)


def _unknown(name: str) -> Reply:
    return Reply(555, "5.5.4", f"unknown parameter {name}")


def _bad_value(name: str) -> Reply:
    return Reply(501, "5.5.4", f"invalid value of {name}")


def _needs_smtputf8() -> Reply:
    return Reply(553, "5.6.7", "a UTF-8 address requires SMTPUTF8 on MAIL")
