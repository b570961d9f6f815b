"""Spawn config: settings and descriptors that the master passes to a process it spawns.

One JSON text in a memory file: it does not show in the environment or on the command line, and a
configuration that changes on disk has no effect before a reload.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

from imapvm.server.role import Role
from imapvm.server.settings import Settings


class SpawnConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Spawn config of one process. Integers are descriptors, except `index` and `master`."""

    role: Role
    name: str
    """Name for the log: `worker-2`."""
    master: int
    """Process id of the master."""
    report: int
    """Pipe to the master: see `imapvm.server.supervisor.report`."""
    memory: int
    """See `imapvm.server.shared.memory`."""
    eventfds: tuple[int, ...]
    index: int | None = None
    """Index of a worker in shared memory and `eventfds`; None for other roles."""
    imap: tuple[int, ...] = ()
    imaps: tuple[int, ...] = ()
    lmtp: tuple[int, ...] = ()
    settings: Settings

    def descriptors(self) -> tuple[int, ...]:
        """Return all descriptors."""
        return (self.report, self.memory, *self.eventfds, *self.imap, *self.imaps, *self.lmtp)


def write(spawn_config: SpawnConfig) -> int:
    """Write a spawn config to memory; return the descriptor for the process to inherit."""
    text = msgspec.json.encode(spawn_config, enc_hook=str)  # of paths
    fd = os.memfd_create("imapvm-spawn-config", os.MFD_CLOEXEC)
    os.write(fd, text)
    return fd


def read(fd: int) -> SpawnConfig:
    """Read a spawn config, and close the descriptor."""
    try:
        text = os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)
    return msgspec.json.decode(text, type=SpawnConfig, dec_hook=_from_text)


def _from_text(kind: type[Any], text: str) -> object:
    assert kind is Path
    return Path(text)
