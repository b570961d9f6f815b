"""The index of one process in a server: it is filled again when the process has died."""

from typing import TYPE_CHECKING, Final, final

from imapvm.server.supervisor.spawn_config import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from imapvm.server.supervisor.process import Process

HEALTHY_SECONDS: Final = 60.0
"""A process that lived so long was well: its death is not counted with earlier ones."""
RESPAWN_SECONDS_FIRST: Final = 1.0
RESPAWN_SECONDS_MAX: Final = 30.0
"""Before the second start in a row and those behind it, doubled each time; the first is at once."""
CRASH_LOOP_DEATHS: Final = 5
"""Deaths in a row that are called a crash loop."""


@final
class WorkerSlot:
    """Knows when to start the next process.

    Args:
        role: of the process.
        number: of the worker, from 0; 0 for other roles.
        index: of the worker, among all that may serve clients at the same time.
        start: starts a process for this slot.
    """

    __slots__ = ("_start", "deaths", "index", "number", "process", "role", "spawn_at", "stopping")

    def __init__(
        self, role: Role, number: int, index: int | None, start: "Callable[[WorkerSlot], Process]"
    ) -> None:
        self.role = role
        self.number = number
        self.index = index
        self._start = start
        self.process: Process | None = None
        self.stopping = False
        """The process was asked to end."""
        self.spawn_at = 0.0
        """When to start one, where there is none."""
        self.deaths = 0
        """In a row."""

    @property
    def name(self) -> str:
        """For the log: `worker-2`, `intake`."""
        return self.role.value if self.index is None else f"{self.role.value}-{self.number + 1}"

    @property
    def ready(self) -> bool:
        return self.process is not None and self.process.ready

    def spawn(self, now: float) -> None:
        """Start a process.

        Raises:
            OSError: the system cannot start one now; it is tried again later.
        """
        try:
            self.process = self._start(self)
        except OSError:
            self.died(now, lived=0.0)
            raise

    def respawn_with(self, start: "Callable[[WorkerSlot], Process]") -> None:
        """Start the next process otherwise."""
        self._start = start

    def died(self, now: float, *, lived: float) -> float:
        """The process is gone, and nobody had asked it to; return the seconds to the next."""
        self.process = None
        self.deaths = 1 if lived >= HEALTHY_SECONDS else self.deaths + 1
        wait = 0.0
        if self.deaths > 1:
            wait = min(RESPAWN_SECONDS_FIRST * 2.0 ** min(self.deaths - 2, 30), RESPAWN_SECONDS_MAX)
        self.spawn_at = now + wait
        return wait

    def stopped(self, now: float) -> None:
        """The process is gone as it was told to: the next may come at once."""
        self.process = None
        self.stopping = False
        self.deaths = 0
        self.spawn_at = now
