"""Tokens of RFC 9051 section 9, parsed strictly."""

import re
from collections.abc import Callable
from typing import Any

ATOM_SPECIALS = b'(){ %*"\\]\x7f' + bytes(range(32))
DATE_TIME = re.compile(
    rb'"( \d|\d\d)-(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-\d{4}'
    rb' \d\d:\d\d:\d\d [+-]\d{4}"'
)
SEQUENCE_SET = re.compile(rb"[1-9]\d*(:[1-9]\d*)?(,[1-9]\d*(:[1-9]\d*)?)*")
UID_RANGES = re.compile(rb"[1-9]\d*:[1-9]\d*(,[1-9]\d*:[1-9]\d*)*")
PARTIAL_RANGE = re.compile(rb"-[1-9]\d*:-[1-9]\d*|[1-9]\d*:[1-9]\d*")
SYSTEM_FLAGS = {rb"\ANSWERED", rb"\FLAGGED", rb"\DELETED", rb"\SEEN", rb"\DRAFT", rb"\RECENT"}


class GrammarError(AssertionError):
    """A response deviates from the grammar."""


class Tokens:
    """Bytes, a position, and a parser for each token at that position."""

    def __init__(self, data: bytes = b"", *, utf8: bool = False) -> None:
        self.data = data
        self.at = 0
        self.utf8 = utf8
        self.utf8_texts = False
        self.rev2 = False

    # bytes

    def fail(self, wanted: str) -> GrammarError:
        before, after = self.data[max(0, self.at - 80) : self.at], self.data[self.at :][:60]
        return GrammarError(f"{wanted} expected at {before!r} >>> {after!r}")

    def peek(self) -> bytes:
        return self.data[self.at : self.at + 1]

    def ahead(self, text: bytes) -> bool:
        return self.data[self.at : self.at + len(text)].upper() == text

    def took(self, text: bytes) -> bool:
        if not self.ahead(text):
            return False
        self.at += len(text)
        return True

    def take(self, text: bytes) -> None:
        if not self.took(text):
            raise self.fail(repr(text))

    def taken(self, pattern: re.Pattern[bytes], wanted: str) -> bytes:
        found = pattern.match(self.data, self.at)
        if found is None:
            raise self.fail(wanted)
        self.at = found.end()
        return found[0]

    # tokens

    def number(self, *, nz: bool = False, bits: int = 63) -> int:
        value = int(self.taken(re.compile(rb"0(?!\d)|[1-9]\d*"), "number"))
        if value >= 1 << bits or (nz and value == 0):
            raise self.fail("a number in its range before this")
        return value

    def nz(self) -> int:
        return self.number(nz=True, bits=32)

    def atom(self, *, more: bytes = b"") -> bytes:
        start = self.at
        while (c := self.peek()) and c[0] < 128 and (c not in ATOM_SPECIALS or c in more):
            self.at += 1
        if start == self.at:
            raise self.fail("atom")
        return self.data[start : self.at]

    def astring(self) -> bytes:
        return self.string() if self.peek() in (b'"', b"{") else self.atom(more=b"]")

    def quoted(self) -> bytes:
        self.take(b'"')
        out = bytearray()
        while not self.took(b'"'):
            c = self.peek()
            if c == b"\\":
                c = self.data[self.at + 1 : self.at + 2]
                self.at += 1
                if c not in (b'"', b"\\"):
                    raise self.fail("quoted-special")
            if not c or c in b"\r\n\0" or (c[0] > 127 and not self.utf8):
                raise self.fail("QUOTED-CHAR")
            out += c
            self.at += 1
        if self.utf8:
            self.be_utf8(bytes(out))
        return bytes(out)

    def be_utf8(self, text: bytes) -> None:
        try:
            text.decode()
        except UnicodeDecodeError:
            raise self.fail("UTF-8 before this") from None

    def string(self, *, binary: bool = False) -> bytes:
        if self.peek() == b'"':
            return self.quoted()
        nul = binary and self.took(b"~")
        self.take(b"{")
        length = self.number()
        self.take(b"}\r\n")
        value = self.data[self.at : self.at + length]
        if len(value) < length or (b"\0" in value and not nul):
            raise self.fail("literal of CHAR8")
        self.at += length
        return value

    def nstring(self, *, binary: bool = False) -> bytes | None:
        return None if self.took(b"NIL") else self.string(binary=binary)

    def many(self, one: Callable[[], Any], *, empty: bool = True) -> list[Any]:
        """Parse `"(" one *(SP one) ")"`."""
        self.take(b"(")
        if empty and self.took(b")"):
            return []
        values = [one()]
        while self.took(b" "):
            values.append(one())
        self.take(b")")
        return values

    def flag(self, *, star: bool = False) -> bytes:
        if star and self.took(rb"\*"):
            return rb"\*"
        if self.took(b"\\"):
            flag = b"\\" + self.atom()
            if flag.upper() not in SYSTEM_FLAGS or (self.rev2 and flag.upper() == rb"\RECENT"):
                raise self.fail("a flag of RFC 9051 before this")
            return flag
        return self.atom()

    def mailbox(self) -> str:
        name = self.astring()
        if self.utf8:
            return name.decode()
        if any(byte > 126 or byte < 32 for byte in name):
            raise self.fail("modified UTF-7 before this")
        return name.decode("ascii")

    def date_time(self) -> bytes:
        return self.taken(DATE_TIME, "date-time")
