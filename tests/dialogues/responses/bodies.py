"""ENVELOPE, BODY and BODYSTRUCTURE, parsed strictly (RFC 9051 section 9)."""

from typing import Any, NamedTuple

from tests.dialogues.responses.tokens import Tokens


class Address(NamedTuple):
    """`address`: a group starts with a mailbox without a host, and ends with neither."""

    name: bytes | None
    adl: bytes | None
    mailbox: bytes | None
    host: bytes | None


class Part(NamedTuple):
    """One `body`: of a multipart the children, of a message/rfc822 the envelope and its body."""

    type: bytes
    subtype: bytes
    parameters: dict[bytes, bytes] | None = None
    id: bytes | None = None
    description: bytes | None = None
    encoding: bytes | None = None
    size: int = 0
    lines: int | None = None
    envelope: tuple[Any, ...] | None = None
    parts: tuple["Part", ...] = ()
    extension: tuple[Any, ...] = ()


def envelope(reader: "Tokens") -> tuple[Any, ...]:
    """Parse `env-date … env-message-id`."""
    reader.take(b"(")
    fields: list[Any] = []
    for at in range(10):
        if at:
            reader.take(b" ")
        fields.append(_addresses(reader) if 2 <= at <= 7 else reader.nstring())
    reader.take(b")")
    return tuple(fields)


def _addresses(reader: "Tokens") -> list[Address] | None:
    if reader.took(b"NIL"):
        return None
    reader.take(b"(")
    found = [_address(reader)]
    while not reader.took(b")"):  # 1*address: nothing between them
        found.append(_address(reader))
    return found


def _address(reader: "Tokens") -> Address:
    reader.take(b"(")
    fields = []
    for at in range(4):
        if at:
            reader.take(b" ")
        fields.append(reader.nstring())
    reader.take(b")")
    return Address(*fields)


def body(reader: "Tokens", *, extended: bool) -> Part:
    """Parse `body`; `extended` also parses `body-ext-1part`, which only BODYSTRUCTURE has."""
    reader.take(b"(")
    part = _multipart(reader, extended) if reader.ahead(b"(") else _single(reader, extended)
    reader.take(b")")
    return part


def _multipart(reader: "Tokens", extended: bool) -> Part:
    children = []
    while reader.ahead(b"("):  # 1*body: nothing between them
        children.append(body(reader, extended=extended))
    reader.take(b" ")
    subtype = reader.string()
    if not extended:
        return Part(b"multipart", subtype, parts=tuple(children))
    reader.take(b" ")
    parameters = _parameters(reader)
    return Part(
        b"multipart", subtype, parameters, parts=tuple(children), extension=_extension(reader)
    )


def _single(reader: "Tokens", extended: bool) -> Part:
    kind = reader.string()
    reader.take(b" ")
    subtype = reader.string()
    reader.take(b" ")
    parameters = _parameters(reader)
    reader.take(b" ")
    ident = reader.nstring()
    reader.take(b" ")
    description = reader.nstring()
    reader.take(b" ")
    encoding = reader.string()
    reader.take(b" ")
    size = reader.number()
    lines, inner, children = None, None, ()
    if kind.upper() == b"MULTIPART":
        raise reader.fail("a multipart that has parts before this")
    if kind.upper() == b"MESSAGE" and subtype.upper() in (b"RFC822", b"GLOBAL"):
        reader.take(b" ")
        inner = envelope(reader)
        reader.take(b" ")
        children = (body(reader, extended=extended),)
    if inner is not None or kind.upper() == b"TEXT":
        reader.take(b" ")
        lines = reader.number()
    extension: tuple[Any, ...] = ()
    if extended:
        reader.take(b" ")
        md5 = reader.nstring()
        extension = (md5, *_extension(reader))
    return Part(
        kind, subtype, parameters, ident, description, encoding, size, lines, inner, children,
        extension,
    )  # fmt: skip


def _parameters(reader: "Tokens") -> dict[bytes, bytes] | None:
    if reader.took(b"NIL"):
        return None
    words = reader.many(reader.string, empty=False)
    if len(words) % 2:
        raise reader.fail("string SP string before this")
    return dict(zip(words[::2], words[1::2], strict=True))


def _extension(reader: "Tokens") -> tuple[Any, ...]:
    """Parse disposition, language and location, which all have to be present."""
    reader.take(b" ")
    disposition = None
    if not reader.took(b"NIL"):
        reader.take(b"(")
        kind = reader.string()
        reader.take(b" ")
        disposition = (kind, _parameters(reader))
        reader.take(b")")
    reader.take(b" ")
    several = reader.ahead(b"(")
    language = reader.many(reader.string, empty=False) if several else reader.nstring()
    reader.take(b" ")
    return (disposition, language, reader.nstring())
