"""Worker slot: one process of the plan, spawned again when it dies."""

from collections.abc import Callable
from typing import Final, final

from imapvm.server.role import Role
from imapvm.server.supervisor.process import Process

HEALTHY_SECONDS: Final = 60.0
"""A process that lived so long was healthy: its death is not counted with earlier ones."""
RESPAWN_SECONDS_FIRST: Final = 1.0
RESPAWN_SECONDS_MAX: Final = 30.0
"""Delay before the second respawn in a row and later ones, doubled each time; the first respawn is
immediate."""
CRASH_LOOP_DEATHS: Final = 5
"""Deaths in a row that are logged as a crash loop."""


@final
class WorkerSlot:
    """Slot for one process of any role, and the time at which to spawn it.

    Args:
        role: of the process.
        number: of the worker, from 0; 0 for other roles.
        index: of the worker in shared memory; None for other roles.
        start: spawns a process for this slot.
    """

    __slots__ = ("_start", "deaths", "index", "number", "process", "role", "spawn_at", "stopping")

    def __init__(
        self, role: Role, number: int, index: int | None, start: Callable[["WorkerSlot"], Process]
    ) -> None:
        self.role = role
        self.number = number
        self.index = index
        self._start = start
        self.process: Process | None = None
        self.stopping = False
        """The process was asked to end."""
        self.spawn_at = 0.0
        """Time of the next spawn, while there is no process."""
        self.deaths = 0
        """In a row."""

    @property
    def name(self) -> str:
        """Name for the log: `worker-2`, `intake`."""
        return self.role.value if self.index is None else f"{self.role.value}-{self.number + 1}"

    @property
    def ready(self) -> bool:
        return self.process is not None and self.process.ready

    def spawn(self, now: float) -> None:
        """Spawn a process.

        Raises:
            OSError: the system refuses; the next try is due later.
        """
        try:
            self.process = self._start(self)
        except OSError:
            self.died(now, lived=0.0)
            raise

    def respawn_with(self, start: Callable[["WorkerSlot"], Process]) -> None:
        """Spawn the next process with another function."""
        self._start = start

    def died(self, now: float, *, lived: float) -> float:
        """Note that the process ended by itself; return the seconds until the next spawn."""
        self.process = None
        self.deaths = 1 if lived >= HEALTHY_SECONDS else self.deaths + 1
        wait = 0.0
        if self.deaths > 1:
            exponent = min(self.deaths - 2, 30)
            wait = min(RESPAWN_SECONDS_FIRST * 2.0**exponent, RESPAWN_SECONDS_MAX)
        self.spawn_at = now + wait
        return wait

    def stopped(self, now: float) -> None:
        """Note that the process ended as it was asked to; the next spawn is due at once."""
        self.process = None
        self.stopping = False
        self.deaths = 0
        self.spawn_at = now
