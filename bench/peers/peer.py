"""Types shared by all servers of the comparison."""

import os
import pwd
import random
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bench.disk.fixed_latency import FixedLatency

HostPort = tuple[str, int]
"""Host and port."""

Users = Mapping[str, str]
"""Passwords by name. A name is also a local part for LMTP, in any domain."""

Light = Callable[[str], bool]
"""True for users whose password hash may be cheap to verify."""

HOST: Final = "127.0.0.1"
PORTS: Final = range(10_000, 32_000)
"""Linux gives ports from 32768 on to connections (ip_local_port_range)."""


class PeerMissingError(Exception):
    """The server is not installed; the message is the command that installs it."""


class PeerFailedError(Exception):
    """The server did not start; the message ends with its last output."""


@dataclass(frozen=True, slots=True)
class Service:
    """Running server, with the description for the results."""

    name: str
    version: str
    pid: int
    """Id of the main process; the others are its descendants."""
    imap: HostPort
    imaps: HostPort | None
    """With a self-signed certificate."""
    lmtp: HostPort | None
    fsync: str
    """Description: what is on disk before an answer."""
    passwords: str
    """Description: verification of passwords."""
    settings: str
    """Description: other settings that differ from the defaults."""
    domain: str = "localhost"
    """Domain of recipients at LMTP."""
    prefix: str = ""
    """Prefix of mailbox names other than INBOX."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Server of the comparison."""

    name: str
    about: str
    missing: Callable[[], str | None]
    """Returns None where the server is installed, otherwise the command that installs it."""
    running: "Running"
    """Runs the server for some users in a directory, created if missing, until the block ends.

    With `disk`, all its processes use that disk.

    Raises:
        PeerMissingError: the server is not installed.
        PeerFailedError: the server did not start.
    """
    get: Callable[[], None] | None = None
    """Fetches the server into var/peers, where that is possible."""

    def get_ready(self) -> None:
        """Fetch the server if it is missing.

        Raises:
            PeerMissingError: the server has to be installed; the message is the command.
        """
        if (command := self.missing()) is None:
            return
        if self.get is None:
            raise PeerMissingError(command)
        self.get()


class Running(Protocol):
    """Type of `Peer.running`."""

    def __call__(
        self, base: Path, users: Users, *, light: Light = ..., disk: FixedLatency | None = ...
    ) -> AbstractContextManager[Service]: ...


def no_light_hash(name: str) -> bool:
    """Return False: no user has a light hash."""
    del name
    return False


def free_addresses(count: int) -> list[HostPort]:
    """Return different addresses of this machine that no process listens at.

    The ports are random, and below those that the kernel gives to connections: it may select a
    port again before the server listens.
    """
    found: list[HostPort] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            found.append((HOST, port))
        if len(found) == count:
            return found
    raise PeerFailedError(f"fewer than {count} ports of {HOST} are free")


def mail_account() -> str:
    """Return the owner of the mail: `mail` where the server refuses root, else this user."""
    return "mail" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
