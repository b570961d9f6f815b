"""Launcher: spawns the processes of a server, and holds the resources that outlive them.

Listening sockets, eventfds and shared memory belong to the master: made once, inherited by number.
Processes are executed, not only forked: each starts with a clean LMDB, OpenSSL and Trio, and with
the code that is on the disk.
"""

import os
import subprocess
import sys
import time
from typing import Final, final

from imapvm.server.net.listen import Listeners
from imapvm.server.role import Role
from imapvm.server.settings import Listening, Settings
from imapvm.server.shared.memory import SharedMemory
from imapvm.server.shared.wakeup import new_eventfd
from imapvm.server.supervisor.listener_set import ListenerSet
from imapvm.server.supervisor.process import Process
from imapvm.server.supervisor.spawn_config import SpawnConfig, write
from imapvm.server.supervisor.worker_slot import WorkerSlot

# -P: do not import from the current directory.
COMMAND: Final = (sys.executable, "-P", "-m", "imapvm", "role")


@final
class Launcher:
    """Spawner that executes `imapvm role`.

    Args:
        settings: addresses and number of workers.

    Raises:
        SettingsError: an address is invalid or cannot be bound.
    """

    def __init__(self, settings: Settings) -> None:
        self._listeners = ListenerSet(settings)
        # At a reload two generations of workers serve clients.
        self._memory = SharedMemory.create(2 * settings.workers)
        self._eventfds = tuple(new_eventfd() for _ in range(2 * settings.workers))
        self._paused: set[int] = set()

    def addresses(self) -> Listening:
        """Return the addresses to connect to."""
        return self._listeners.addresses()

    @property
    def has_lmtp(self) -> bool:
        """True if there is an LMTP socket."""
        return bool(self._listeners.intake.lmtp)

    def spawn(self, slot: WorkerSlot, settings: Settings) -> Process:
        """Spawn a process; see `imapvm.server.supervisor.spawner.Spawner`."""
        listeners = Listeners()
        if slot.role is Role.WORKER:
            listeners = self._listeners.of(slot.number)
        elif slot.role is Role.INTAKE:
            listeners = self._listeners.intake
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(ours, False)
        spawn_config = SpawnConfig(
            role=slot.role,
            name=slot.name,
            master=os.getpid(),
            report=theirs,
            memory=self._memory.fd,
            eventfds=self._eventfds,
            index=slot.index,
            imap=tuple(sock.fileno() for sock in listeners.imap),
            imaps=tuple(sock.fileno() for sock in listeners.imaps),
            lmtp=tuple(sock.fileno() for sock in listeners.lmtp),
            settings=settings,
        )
        config_fd = write(spawn_config)
        try:
            child = subprocess.Popen(  # noqa: S603  # no shell; all of it is ours
                [*COMMAND, slot.name, str(config_fd)],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                pass_fds=(config_fd, *spawn_config.descriptors()),
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(config_fd)
            os.close(theirs)
        return Process(child, ours, now=time.monotonic())

    def reaped(self, slot: WorkerSlot) -> None:
        """Clear the connection counts of the process."""
        if slot.index is not None:
            self._memory.clear(slot.index)

    def pause(self, slot: WorkerSlot) -> None:
        self._listeners.pause(slot.number)
        self._paused.add(slot.number)

    def resume(self, slot: WorkerSlot) -> None:
        if slot.number in self._paused:
            self._paused.discard(slot.number)
            self._listeners.resume(slot.number)

    def close(self) -> None:
        self._listeners.close()
