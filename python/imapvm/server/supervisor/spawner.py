"""Protocol by which the master spawns processes."""

from typing import Protocol

from imapvm.server.settings import Settings
from imapvm.server.supervisor.process import Process
from imapvm.server.supervisor.worker_slot import WorkerSlot


class Spawner(Protocol):
    """Spawns processes (`imapvm.server.supervisor.launcher`)."""

    def spawn(self, slot: WorkerSlot, settings: Settings) -> Process:
        """Spawn a process.

        Raises:
            OSError: the system refuses.
        """

    def reaped(self, slot: WorkerSlot) -> None:
        """Free the resources of a process of this slot that has ended."""

    def pause(self, slot: WorkerSlot) -> None:
        """Direct clients of this worker to the others."""

    def resume(self, slot: WorkerSlot) -> None:
        """End `pause`; does nothing without one."""

    def close(self) -> None:
        """Stop listening: the server ends."""
