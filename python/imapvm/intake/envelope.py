"""What MAIL and RCPT say (RFC 5321 section 4.1.1), and parameters of SIZE, 8BITMIME, SMTPUTF8, DSN.

LMTP and spool files share this. A mistake of whoever wrote the command is a value: the `Reply`.
"""

import re
from dataclasses import dataclass

from imapvm.intake.paths import PathError, parse_path
from imapvm.intake.replies import Reply

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([!-<>-~\u0080-\U0010ffff]+))?")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})
_SIZE_DIGITS_MAX = 20  # RFC 1870 section 3


@dataclass(frozen=True, slots=True)
class Sender:
    """MAIL FROM."""

    address: str
    """"" is the null sender, of whom no notification is wanted (RFC 5321 section 4.5.5)."""
    size: int | None = None
    """Octets announced (RFC 1870)."""
    utf8: bool = False
    """SMTPUTF8 (RFC 6531): addresses and header fields may be UTF-8."""
    envelope_id: str | None = None
    """ENVID, xtext undone (RFC 3461 section 4.4)."""
    full_return: bool = False
    """RET=FULL (RFC 3461 section 4.3)."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """RCPT TO."""

    address: str
    wants_failures: bool = True
    """False for NOTIFY without FAILURE, NEVER above all (RFC 3461 section 4.1)."""
    original: str | None = None
    """ORCPT, `type;address`, xtext undone (RFC 3461 section 4.2)."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends to whom; recipients in the order given, doubles included."""

    sender: Sender
    recipients: tuple[Recipient, ...]
    greeting: str | None = None
    """What EHLO or LHLO gave as the client's name."""


def parse_mail(argument: str, *, utf8: bool = False) -> Sender | Reply:
    """Read what follows `MAIL `.

    Args:
        argument: behind the command's name.
        utf8: True where SMTPUTF8 need not be said.
    """
    split = _path_and_parameters(argument, "FROM:")
    if isinstance(split, Reply):
        return split
    address, parameters = split
    size: int | None = None
    said_utf8 = full_return = False
    envelope_id: str | None = None
    for name, value in parameters:
        match name, value:
            case "SIZE", str() if value.isascii() and value.isdigit():
                if len(value) > _SIZE_DIGITS_MAX:
                    return _bad_value(name)
                size = int(value)
            case "BODY", str() if value.upper() in {"7BIT", "8BITMIME"}:
                pass  # octets are kept as they are: nothing depends on it
            case "SMTPUTF8", None:
                said_utf8 = True
            case "RET", str() if value.upper() in {"FULL", "HDRS"}:
                full_return = value.upper() == "FULL"
            case "ENVID", str():
                envelope_id = _xtext(value)
            case (("SIZE" | "BODY" | "SMTPUTF8" | "RET" | "ENVID"), _):
                return _bad_value(name)
            case _:
                return _unknown(name)
    if not (said_utf8 or utf8 or address.isascii()):
        return _needs_smtputf8()
    return Sender(address, size, said_utf8 or not address.isascii(), envelope_id, full_return)


def parse_rcpt(argument: str, *, utf8: bool) -> Recipient | Reply:
    """Read what follows `RCPT `.

    Args:
        argument: behind the command's name.
        utf8: True where MAIL said SMTPUTF8.
    """
    split = _path_and_parameters(argument, "TO:")
    if isinstance(split, Reply):
        return split
    address, parameters = split
    if not address:
        return Reply(501, "5.1.3", "a recipient cannot be empty")
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
        return Reply(501, "5.5.4", f"{keyword}<address> was expected")
    try:
        # Lenient on purpose: a space behind the colon, which many programs write.
        address, rest = parse_path(argument[len(keyword) :].lstrip(" "))
    except PathError as error:
        return Reply(501, "5.1.7" if keyword == "FROM:" else "5.1.3", str(error))
    if not rest:
        return address, []
    if not rest.startswith(" "):
        return Reply(501, "5.5.4", "a space was expected behind the address")
    parameters = []
    for word in rest.split():
        found = _PARAMETER.fullmatch(word)
        if found is None:
            return Reply(501, "5.5.4", "parameters have the form NAME or NAME=VALUE")
        parameters.append((found[1].upper(), found[2]))
    return address, parameters


def _xtext(value: str) -> str:
    """Undo xtext (RFC 3461 section 4); control characters, which nobody may put in, become `?`."""
    text = _XTEXT.sub(lambda found: chr(int(found[1], 16)), value)
    return "".join(c if c.isprintable() else "?" for c in text)


def _unknown(name: str) -> Reply:
    return Reply(555, "5.5.4", f"the parameter {name} is not known here")


def _bad_value(name: str) -> Reply:
    return Reply(501, "5.5.4", f"the value of {name} is not one it can have")


def _needs_smtputf8() -> Reply:
    return Reply(553, "5.6.7", "an address in UTF-8 needs SMTPUTF8 on MAIL")
