"""What the master gives to a process that it starts: the configuration, and numbers of descriptors.

It is one JSON text in a file in memory, so it is no secret of the environment or the command line,
and a configuration that changes on disk changes nothing before a reload.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

from imapvm.server.settings import Settings


class Role(StrEnum):
    """What a process does; with `workers = 0` one does all of it."""

    WORKER = "worker"
    """Serves clients."""
    INTAKE = "intake"
    """Takes mail in: LMTP and the spool."""
    MAINTENANCE = "maintenance"
    """Cleans the filepool up."""


ALL_ROLES: Final = frozenset(Role)


class SpawnConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What one process is to be. Integers are descriptors, but for `index` and `master`."""

    role: Role
    name: str
    """In the log: `worker-2`."""
    master: int
    """Its process id."""
    report: int
    """A pipe to the master: see `imapvm.server.supervisor.report`."""
    memory: int
    """See `imapvm.server.shared.memory`."""
    eventfds: tuple[int, ...]
    index: int | None = None
    """Of a worker, among those who serve clients: which bell is its own."""
    imap: tuple[int, ...] = ()
    imaps: tuple[int, ...] = ()
    lmtp: tuple[int, ...] = ()
    settings: Settings

    def descriptors(self) -> tuple[int, ...]:
        """All of them."""
        return (self.report, self.memory, *self.eventfds, *self.imap, *self.imaps, *self.lmtp)


def write(spawn_config: SpawnConfig) -> int:
    """Put an spawn_config into memory; return the descriptor, which the process is to inherit."""
    text = msgspec.json.encode(spawn_config, enc_hook=str)  # of paths
    fd = os.memfd_create("imapvm-spawn_config", os.MFD_CLOEXEC)
    os.write(fd, text)
    return fd


def read(fd: int) -> SpawnConfig:
    """Take what `write` has put there, and close it."""
    try:
        text = os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)
    return msgspec.json.decode(text, type=SpawnConfig, dec_hook=_from_text)


def _from_text(kind: type[Any], text: str) -> object:
    assert kind is Path
    return Path(text)
