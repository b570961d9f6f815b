"""The place of one process in a server: it is filled again when the process has died."""

from typing import TYPE_CHECKING, Final, final

from imapvm.server.supervisor.spawn_config import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from imapvm.server.supervisor.process import Process

HEALTHY_SECONDS: Final = 60.0
"""A process that lived so long was well: its death is not counted with earlier ones."""
AGAIN_SECONDS_FIRST: Final = 1.0
AGAIN_SECONDS_MOST: Final = 30.0
"""Before the second start in a row and those behind it, doubled each time; the first is at once."""
LOOP_DEATHS: Final = 5
"""Deaths in a row that are called a crash loop."""


@final
class Seat:
    """Knows when to start the next process.

    Args:
        role: of the process.
        number: of the worker, from 0; 0 for other roles.
        place: of the worker, among all that may serve clients at the same time.
        start: starts a process for this seat.
    """

    __slots__ = ("_start", "deaths", "due", "leaving", "number", "place", "process", "role")

    def __init__(
        self, role: Role, number: int, place: int | None, start: "Callable[[Seat], Process]"
    ) -> None:
        self.role = role
        self.number = number
        self.place = place
        self._start = start
        self.process: Process | None = None
        self.leaving = False
        """The process was asked to end."""
        self.due = 0.0
        """When to start one, where there is none."""
        self.deaths = 0
        """In a row."""

    @property
    def name(self) -> str:
        """For the log: `worker-2`, `intake`."""
        return self.role.value if self.place is None else f"{self.role.value}-{self.number + 1}"

    @property
    def ready(self) -> bool:
        return self.process is not None and self.process.ready

    def fill(self, now: float) -> None:
        """Start a process.

        Raises:
            OSError: the system cannot start one now; it is tried again later.
        """
        try:
            self.process = self._start(self)
        except OSError:
            self.died(now, lived=0.0)
            raise

    def renew(self, start: "Callable[[Seat], Process]") -> None:
        """Start the next process otherwise."""
        self._start = start

    def died(self, now: float, *, lived: float) -> float:
        """The process is gone, and nobody had asked it to; return the seconds to the next."""
        self.process = None
        self.deaths = 1 if lived >= HEALTHY_SECONDS else self.deaths + 1
        wait = 0.0
        if self.deaths > 1:
            wait = min(AGAIN_SECONDS_FIRST * 2.0 ** min(self.deaths - 2, 30), AGAIN_SECONDS_MOST)
        self.due = now + wait
        return wait

    def ended(self, now: float) -> None:
        """The process is gone as it was told to: the next may come at once."""
        self.process = None
        self.leaving = False
        self.deaths = 0
        self.due = now
