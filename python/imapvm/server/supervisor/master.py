"""Master process: starts the processes of a server, watches them, replaces those that die.

It uses neither Trio nor LMDB and serves no client, so little in it can fail. It holds what must
outlive the other processes (`imapvm.server.supervisor.launcher`), and waits in one `poll` for
signals and for its children's reports.
"""

import logging
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Protocol, final

from imapvm.server.settings import SHUTDOWN_SECONDS
from imapvm.server.supervisor.process import Process, cause_of
from imapvm.server.supervisor.signals import Signals
from imapvm.server.supervisor.spawn_config import Role
from imapvm.server.supervisor.worker_slot import LOOP_DEATHS, Seat

if TYPE_CHECKING:
    from imapvm.server.supervisor.spawn_config import Configuration

LOG: Final = logging.getLogger(__name__)

GRACE_SECONDS: Final = 2.0
"""Beyond what a process may take to end, before it is killed."""
PAUSE_SECONDS: Final = 2.0
"""When the next start of a worker is so far off, its clients are sent to the others."""
LOOK_SECONDS: Final = 1.0
"""Between two looks at everything, at most."""
FAILED: Final = 1
"""Exit code where the first start has failed, and the process that failed has none of its own."""


class ReloadRefused(Exception):
    """The configuration cannot be had now; one sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to run."""

    workers: int
    intake: bool
    """Whether anything takes mail in."""
    reload_seconds: float
    """For old workers, to take leave of their clients."""
    configuration: "Configuration | None" = None
    """For the processes."""


class Launcher(Protocol):
    """Starts processes: `imapvm.server.supervisor.launcher`, and a fake one in tests."""

    def launch(self, seat: Seat, plan: Plan) -> Process:
        """Start a process.

        Raises:
            OSError: the system refuses.
        """

    def collected(self, seat: Seat) -> None:
        """A process of this seat is gone: what it held is free."""

    def pause(self, seat: Seat) -> None:
        """For a while nobody serves the clients that come to this worker."""

    def resume(self, seat: Seat) -> None:
        """They are served again."""

    def close(self) -> None:
        """Stop listening: the server ends."""


class Observer(Protocol):
    """Who is told how the server does: systemd, or the demonstration."""

    def ready(self) -> None: ...

    def reloading(self) -> None: ...

    def stopping(self) -> None: ...


class _Phase(Enum):
    BEGINNING = auto()
    """Until all were ready once; whatever fails ends the start."""
    RUNNING = auto()
    ENDING = auto()


@final
class Master:
    """One server's processes.

    Args:
        plan: what to run.
        launcher: starts them.
        observer: is told how it goes.
        reread: the plan as it is now, for a reload; raises `ReloadRefused`. None: there is no
            reload, and SIGHUP is left to do what it does.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        plan: Plan,
        launcher: Launcher,
        observer: Observer,
        reread: Callable[[], Plan] | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.code = 0
        """For the end of the program, once it is `over`."""
        self._plan = plan
        self._launcher = launcher
        self._observer = observer
        self._reread = reread
        self._clock = clock
        self._phase = _Phase.BEGINNING
        self._generation = 0
        # The keeper first: it is the one that says what is wrong with the filepool.
        self._keeper = Seat(Role.KEEPER, 0, None, self._starting(plan))
        self._seats = [self._keeper, *self._workers(plan)]
        if plan.intake:
            self._seats.insert(1, Seat(Role.INTAKE, 0, None, self._starting(plan)))
        self._wanted: Plan | None = None
        """Of a reload that is under way."""
        self._rising: list[Seat] = []
        """New workers, not all of them ready yet."""
        self._retired: list[Seat] = []
        """Whose processes were asked to end, and are not replaced."""
        self._reload_again = False

    # --- from outside -------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """All processes are gone, and none will come."""
        return self._phase is _Phase.ENDING and not self._retired

    def processes(self) -> dict[str, list[int]]:
        """Process ids by the names of their seats; old ones behind new ones."""
        found: dict[str, list[int]] = {}
        for seat, process in self._occupied():
            found.setdefault(seat.name, []).append(process.pid)
        return found

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code. In the main thread."""
        which = [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD]
        if self._reread is not None:
            which.append(signal.SIGHUP)
        with Signals(*which) as signals:
            while not self.over:
                self.step(LOOK_SECONDS, signals)
        return self.code

    def step(self, seconds: float, signals: Signals | None = None) -> None:
        """Wait for something to happen, for some seconds at most, and do what is to be done."""
        self._wait(seconds, signals)
        if signals is not None:
            for what in signals.take():
                self.signalled(what)
        now = self._clock()
        for _, process in self._occupied():
            process.hear(now)
        self._collect(now)
        for seat, process in self._occupied():
            if process.look(now):
                LOG.error("process hangs", extra={"role": seat.name, "pid": process.pid})
        self._fill(now)
        self._go_on(now)

    def signalled(self, what: int) -> None:
        """Do what a signal asks for."""
        match what:
            case signal.SIGTERM | signal.SIGINT:
                self._stop()
            case signal.SIGHUP:
                self._reload()
            case _:
                pass  # SIGCHLD: who has died is seen anyway

    # --- beginning, and staying alive ---------------------------------------------------------

    def _starting(self, plan: Plan) -> Callable[[Seat], Process]:
        return lambda seat: self._launcher.launch(seat, plan)

    def _workers(self, plan: Plan) -> list[Seat]:
        """Two generations in a row have different places: at a reload both are there."""
        first = self._generation % 2 * plan.workers
        start = self._starting(plan)
        return [Seat(Role.WORKER, number, first + number, start) for number in range(plan.workers)]

    def _occupied(self) -> Iterator[tuple[Seat, Process]]:
        for seat in (*self._seats, *self._rising, *self._retired):
            if seat.process is not None:
                yield seat, seat.process

    def _wait(self, seconds: float, signals: Signals | None) -> None:
        now = self._clock()
        poll = select.poll()
        if signals is not None:
            poll.register(signals.fd, select.POLLIN)
        until = now + seconds
        for _, process in self._occupied():
            if process.silent:  # its end is near, and is not always told by a signal
                until = min(until, now + 0.02)
            else:
                poll.register(process.report, select.POLLIN)
            until = min(until, process.due)
        for seat in (*self._seats, *self._rising):
            if seat.process is None and self._may_start(seat):
                until = min(until, seat.due)
        poll.poll(max(0.0, until - now) * 1000)

    def _may_start(self, seat: Seat) -> bool:
        return self._phase is not _Phase.BEGINNING or seat is self._keeper or self._keeper.ready

    def _fill(self, now: float) -> None:
        for seat in (*self._seats, *self._rising):
            if seat.process is not None or now < seat.due or not self._may_start(seat):
                continue
            if seat.role is Role.WORKER:
                self._launcher.resume(seat)
            try:
                seat.fill(now)
            except OSError as fault:
                LOG.error("process not started", extra={"role": seat.name, "error": str(fault)})
                if self._phase is _Phase.BEGINNING:
                    self._fail(FAILED)
                    return

    def _collect(self, now: float) -> None:
        """See who has ended."""
        for seat, process in list(self._occupied()):
            code = process.collect()
            if code is None:
                continue
            self._launcher.collected(seat)
            if seat.leaving:
                level = logging.DEBUG if code in (0, -signal.SIGTERM) else logging.WARNING
                LOG.log(level, "process ended", extra={"role": seat.name, **cause_of(code)})
                seat.ended(now)
                self._retired = [other for other in self._retired if other is not seat]
            elif self._phase is _Phase.BEGINNING:
                seat.process = None
                self._log_death(logging.DEBUG if code > 0 else logging.ERROR, seat, process, code)
                self._fail(code if code > 0 else FAILED)
            elif seat in self._rising:
                seat.process = None
                self._log_death(logging.ERROR, seat, process, code)
                self._give_reload_up()
            else:
                self._replace(seat, process, code, now)

    def _replace(self, seat: Seat, process: Process, code: int, now: float) -> None:
        wait = seat.died(now, lived=now - process.started_at)
        self._log_death(logging.ERROR, seat, process, code, again_seconds=wait)
        if seat.deaths >= LOOP_DEATHS:
            LOG.critical(
                "process dies over and over", extra={"role": seat.name, "times": seat.deaths}
            )
        if seat.role is Role.WORKER and wait >= PAUSE_SECONDS and self._others_serve(seat):
            self._launcher.pause(seat)
        keeper = self._keeper.process
        if keeper is not None and keeper.ready and not self._keeper.leaving:
            keeper.tell(signal.SIGUSR2)  # what the dead one was reading is to be given up

    def _others_serve(self, seat: Seat) -> bool:
        return any(
            other.ready for other in self._seats if other.role is Role.WORKER and other is not seat
        )

    def _log_death(
        self, level: int, seat: Seat, process: Process, code: int, **more: object
    ) -> None:
        extra = {"role": seat.name, "pid": process.pid, **cause_of(code), **more}
        LOG.log(level, "process died", extra=extra)

    def _go_on(self, now: float) -> None:
        """See whether what was begun is done."""
        if self._phase is _Phase.BEGINNING and all(seat.ready for seat in self._seats):
            self._phase = _Phase.RUNNING
            self._observer.ready()
        if self._phase is not _Phase.RUNNING:
            return
        if self._wanted is not None and not self._rising and not self._retired:
            self._generation += 1
            self._rising = self._workers(self._wanted)
            self._fill(now)
        elif self._rising and all(seat.ready for seat in self._rising):
            self._change_over(now)
        if self._wanted is None and self._reload_again:
            self._reload_again = False
            self._reload()

    # --- reloading ----------------------------------------------------------------------------

    def _reload(self) -> None:
        """Begin to replace all processes by such as follow the configuration as it is now."""
        if self._phase is not _Phase.RUNNING or self._wanted is not None:
            self._reload_again = self._phase is not _Phase.ENDING
            return
        assert self._reread is not None
        try:
            self._wanted = self._reread()
        except ReloadRefused as refused:
            LOG.error("not reloaded; all goes on as before", extra={"reason": str(refused)})
            return
        self._observer.reloading()
        # Their places are needed; who has not come back since the reload before comes back now.
        now = self._clock()
        for seat in self._retired:
            self._dismiss(seat, signal.SIGTERM, now + SHUTDOWN_SECONDS + GRACE_SECONDS)

    def _change_over(self, now: float) -> None:
        """The new workers are ready: ask the old ones to leave, and begin with the others anew."""
        plan = self._wanted
        assert plan is not None
        old = [seat for seat in self._seats if seat.role is Role.WORKER]
        rest = [seat for seat in self._seats if seat.role is not Role.WORKER]
        self._seats = [*rest, *self._rising]
        until = now + SHUTDOWN_SECONDS + GRACE_SECONDS
        for seat in old:
            if seat.process is not None:
                self._retired.append(seat)
                how = signal.SIGUSR1 if seat.ready else signal.SIGTERM
                self._dismiss(seat, how, until + self._plan.reload_seconds)
        for seat in rest:
            seat.renew(self._starting(plan))
            # The next begins when this one has ended: there is one watcher of a spool.
            self._dismiss(seat, signal.SIGTERM, until)
        self._plan, self._wanted, self._rising = plan, None, []
        LOG.info("reloaded", extra={"workers": plan.workers})
        self._observer.ready()

    def _give_reload_up(self) -> None:
        """A new worker has died before it was ready: the old ones stay."""
        until = self._clock() + SHUTDOWN_SECONDS + GRACE_SECONDS
        for seat in self._rising:
            if seat.process is not None:
                self._retired.append(seat)
                self._dismiss(seat, signal.SIGTERM, until)
        self._rising, self._wanted = [], None
        self._generation += 1  # back to the places of those who stay
        LOG.error(
            "not reloaded; all goes on as before", extra={"reason": "a new worker did not start"}
        )
        self._observer.ready()

    def _dismiss(self, seat: Seat, how: signal.Signals, kill_at: float) -> None:
        """Ask the process of a seat to end."""
        if seat.process is not None:
            seat.leaving = True
            seat.process.tell(how, kill_at=kill_at)

    # --- ending -------------------------------------------------------------------------------

    def _stop(self) -> None:
        """End; the second time at once."""
        if self._phase is _Phase.ENDING:
            for seat in self._retired:
                self._dismiss(seat, signal.SIGKILL, self._clock())
            return
        self._observer.stopping()
        self._end()

    def _fail(self, code: int) -> None:
        """The start has failed; the process that failed has said why."""
        if self._phase is not _Phase.ENDING:
            self.code = code
            self._end()

    def _end(self) -> None:
        self._phase = _Phase.ENDING
        self._launcher.close()
        until = self._clock() + SHUTDOWN_SECONDS + GRACE_SECONDS
        everybody = [seat for seat, _ in self._occupied()]
        self._seats, self._rising, self._wanted = [], [], None
        self._retired = everybody
        for seat in everybody:
            self._dismiss(seat, signal.SIGTERM, until)
