"""What all servers of the comparison have in common, however they are started."""

import os
import pwd
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

Address = tuple[str, int]
"""Host and port."""

Users = Mapping[str, str]
"""Login name to password. Names are also the local parts that LMTP takes, in any domain."""

Light = Callable[[str], bool]
"""Whether the password of a user may be cheap to check, where a server can keep it so."""

HOST: Final = "127.0.0.1"


class PeerMissingError(Exception):
    """A server is not on this machine; the sentence says how it gets there."""


class PeerFailedError(Exception):
    """A server did not start; the sentence ends with what it said last."""


@dataclass(frozen=True, slots=True)
class Service:
    """A server that runs, and what a reader of the results has to know about it."""

    name: str
    version: str
    pid: int
    """Of its main process; the others descend from it."""
    imap: Address
    imaps: Address | None
    """With a certificate that no_light_hash trusts."""
    lmtp: Address | None
    fsync: str
    """What is on disk before an answer, in words."""
    passwords: str
    """How a password is checked, in words."""
    settings: str
    """What else is set away from the defaults, and on whose advice, in words."""
    domain: str = "localhost"
    """What comes after the @ of a recipient at LMTP."""
    prefix: str = ""
    """What names of mailboxes, INBOX aside, begin with."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that can be started."""

    name: str
    about: str
    missing: Callable[[], str | None]
    """None where it is on this machine, else the command that brings it."""
    running: "Running"
    """Serve these users out of a directory, made if need be, until the block ends.

    Raises:
        PeerMissingError: it is not here.
        PeerFailedError: it did not start.
    """
    get: Callable[[], None] | None = None
    """Fetch it into var/peers, where that can be done."""

    def get_ready(self) -> None:
        """Fetch it if it is not here.

        Raises:
            PeerMissingError: that cannot be done from here; the sentence is what can.
        """
        if (command := self.missing()) is None:
            return
        if self.get is None:
            raise PeerMissingError(command)
        self.get()


class Running(Protocol):
    """How every server is started: see `Peer.running`."""

    def __call__(
        self, base: Path, users: Users, *, light: Light = ...
    ) -> AbstractContextManager[Service]: ...


def no_light_hash(name: str) -> bool:
    """Let no user have a light hash."""
    del name
    return False


def free_port() -> int:
    """A port that no_light_hash listens at just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def mail_account() -> str:
    """Return who owns the mail: `mail` where the server refuses root, else this user."""
    return "mail" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
