"""A server that is measured: where it is, how it is spoken to, and who signs in."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from imapvm_bench.errors import BenchError, Status
from imapvm_bench.server.users import User

Tls = Literal["none", "tls", "starttls"]

PORTS: Final[dict[str, int]] = {"none": 143, "starttls": 143, "tls": 993, "lmtp": 24}


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """One server."""

    name: str
    """What the reports call it."""
    imap: Address
    users: tuple[User, ...]
    """Connection n signs in as the nth, beginning again after the last."""
    tls: Tls = "none"
    verify: bool = False
    """Whether its certificate has to be good. Off by default: test servers sign their own."""
    ca: Path | None = None
    """PEM file of the authorities that are trusted with `verify`; None: the system's."""
    tls_resumption: bool = False
    """Resume TLS sessions, as phones do."""
    server_name: str | None = None
    """For the certificate; the host where it is None."""
    lmtp: Address | None = None
    """Where it takes mail in; needed by scenarios that speak LMTP, and by `idle`."""
    sources: tuple[str, ...] = field(default=())
    """Addresses to connect from, in turn; empty lets the kernel choose."""
    pid: int | None = None
    """Of the server, where it runs on this machine: its memory is read in /proc."""


def parse_address(text: str, default_port: int) -> Address:
    """Read `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`.

    Raises:
        BenchError: status USAGE.
    """
    form = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s\[\]:]+))(?::(\d{1,5}))?", text)
    if form is None and text.count(":") > 1 and re.fullmatch(r"[0-9A-Fa-f:.]+", text):
        return Address(text, default_port)
    if form is None or int(form[3] or default_port) > 65535:
        raise BenchError(f"{text!r} is no address: HOST, HOST:PORT or [IPV6]:PORT", Status.USAGE)
    return Address(form[1] or form[2], int(form[3] or default_port))


def parse_named(text: str) -> tuple[str, str]:
    """Read `NAME=HOST:PORT` of `compare`; without a name the address is the name.

    Raises:
        BenchError: status USAGE.
    """
    name, equals, address = text.partition("=")
    if not equals:
        return text, text
    if not name or not address:
        raise BenchError(f"{text!r} is not of the form NAME=HOST:PORT", Status.USAGE)
    return name, address


def loopback_sources(connections: int, *, each: int = 20_000) -> tuple[str, ...]:
    """Return 127.0.0.2, 127.0.0.3 …: as many as `connections` to one port need.

    An address has some 28,000 free ports towards one listener; `each` stays well below.
    """
    count = max(1, -(-connections // each))
    return tuple(f"127.0.{n >> 8}.{n & 255}" for n in range(2, 2 + count))
