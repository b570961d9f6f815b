"""Starts the processes of a server, and holds what must outlive each of them.

Listening sockets, doorbells and shared memory are the master's: made once, inherited by numbers.
Processes are executed anew, not forked: each begins with a clean LMDB, OpenSSL and Trio, and with
the code as it lies on the disk.
"""

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, final

from imapvm.server.net.listen import Listeners
from imapvm.server.shared.memory import SharedMemory
from imapvm.server.shared.wakeup import new_bell
from imapvm.server.supervisor.listener_set import Slots
from imapvm.server.supervisor.process import Process
from imapvm.server.supervisor.spawn_config import Assignment, Role, write

if TYPE_CHECKING:
    from imapvm.server.settings import Listening, Settings
    from imapvm.server.supervisor.master import Plan
    from imapvm.server.supervisor.worker_slot import Seat

# -P: what lies in the current directory is not imported.
COMMAND: Final = (sys.executable, "-P", "-m", "imapvm", "role")


@final
class Launcher:
    """What a master starts processes with.

    Args:
        settings: where to listen, and for how many workers.

    Raises:
        SettingsError: it cannot listen there.
    """

    def __init__(self, settings: "Settings") -> None:
        self._slots = Slots(settings)
        # At a reload two generations of workers serve clients.
        self._memory = SharedMemory.create(2 * settings.workers)
        self._bells = tuple(new_bell() for _ in range(2 * settings.workers))
        self._paused: set[int] = set()

    def where(self) -> "Listening":
        """Addresses for whoever wants to connect."""
        return self._slots.where()

    @property
    def takes_mail(self) -> bool:
        """Whether mail can be handed over at a socket."""
        return bool(self._slots.intake.lmtp)

    def launch(self, seat: "Seat", plan: "Plan") -> Process:
        """Start a process; see `imapvm.server.supervisor.master.Launcher`."""
        assert plan.configuration is not None
        listeners = Listeners()
        if seat.role is Role.WORKER:
            listeners = self._slots.of(seat.number)
        elif seat.role is Role.INTAKE:
            listeners = self._slots.intake
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(ours, False)
        assignment = Assignment(
            role=seat.role,
            name=seat.name,
            master=os.getpid(),
            report=theirs,
            memory=self._memory.fd,
            bells=self._bells,
            place=seat.place,
            imap=tuple(sock.fileno() for sock in listeners.imap),
            imaps=tuple(sock.fileno() for sock in listeners.imaps),
            lmtp=tuple(sock.fileno() for sock in listeners.lmtp),
            configuration=plan.configuration,
        )
        paper = write(assignment)
        try:
            child = subprocess.Popen(  # noqa: S603  # no shell; all of it is ours
                [*COMMAND, seat.name, str(paper)],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                pass_fds=(paper, *assignment.descriptors()),
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(paper)
            os.close(theirs)
        return Process(child, ours, now=time.monotonic())

    def collected(self, seat: "Seat") -> None:
        """Forget which clients the process had."""
        if seat.place is not None:
            self._memory.clear_place(seat.place)

    def pause(self, seat: "Seat") -> None:
        self._slots.pause(seat.number)
        self._paused.add(seat.number)

    def resume(self, seat: "Seat") -> None:
        if seat.number in self._paused:
            self._paused.discard(seat.number)
            self._slots.resume(seat.number)

    def close(self) -> None:
        self._slots.close()
