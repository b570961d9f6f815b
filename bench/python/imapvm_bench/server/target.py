"""Server to be measured: addresses, TLS and users."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from imapvm_bench.errors import BenchError, ExitStatus
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
    """Server to be measured."""

    name: str
    """Name in reports."""
    imap: Address
    users: tuple[User, ...]
    """Connection n logs in as user n % len(users)."""
    tls: Tls = "none"
    verify: bool = False
    """Verify the certificate. Off by default, since test servers use self-signed ones."""
    ca: Path | None = None
    """PEM file of the authorities to trust with `verify`; None: those of the system."""
    tls_resumption: bool = False
    """Resume TLS sessions, as phones do."""
    server_name: str | None = None
    """Name in the certificate; None: the host."""
    lmtp: Address | None = None
    """Address for LMTP scenarios, and for deliveries of `idle`."""
    sources: tuple[str, ...] = field(default=())
    """Source addresses, used in turn; empty: the kernel chooses."""
    pid: int | None = None
    """Process id of a server on this machine, to read its memory in /proc."""


def parse_address(text: str, default_port: int) -> Address:
    """Parse `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`.

    Raises:
        BenchError: status USAGE.
    """
    form = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s\[\]:]+))(?::(\d{1,5}))?", text)
    if form is None and text.count(":") > 1 and re.fullmatch(r"[0-9A-Fa-f:.]+", text):
        return Address(text, default_port)
    if form is None or int(form[3] or default_port) > 65535:
        raise BenchError(
            f"invalid address {text!r}: HOST, HOST:PORT or [IPV6]:PORT", ExitStatus.USAGE
        )
    return Address(form[1] or form[2], int(form[3] or default_port))


def parse_named(text: str) -> tuple[str, str]:
    """Parse `NAME=HOST:PORT` of `compare`; without a name the address is the name.

    Raises:
        BenchError: status USAGE.
    """
    name, equals, address = text.partition("=")
    if not equals:
        return text, text
    if not name or not address:
        raise BenchError(f"invalid server {text!r}: NAME=HOST:PORT", ExitStatus.USAGE)
    return name, address


def loopback_sources(connections: int, *, each: int = 20_000) -> tuple[str, ...]:
    """Return 127.0.0.2, 127.0.0.3 …: as many source addresses as `connections` to one port need.

    One source address has about 28,000 ephemeral ports; `each` stays below that.
    """
    count = max(1, -(-connections // each))
    return tuple(f"127.0.{n >> 8}.{n & 255}" for n in range(2, 2 + count))
