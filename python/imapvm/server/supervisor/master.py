"""Master process: spawns the processes of a server, watches them, and replaces those that die.

It uses neither Trio nor LMDB and serves no client, so little in it can fail. It holds the resources
that outlive the other processes (`imapvm.server.supervisor.launcher`), and waits in one `poll` for
signals and for its children's reports.

    STARTING --all ready--> RUNNING --SIGTERM, SIGINT--> STOPPING --all reaped--> finished
        |                    |   ^                          ^
        |                    |   '- reload: see below       |
        |                    '-- exit code 3 ---------------+
        '-- a start failed, SIGTERM, SIGINT ----------------'

    reload (SIGHUP), in RUNNING:
        _next_settings is set              outgoing workers of an earlier reload are ended
        _outgoing is empty             _incoming workers are spawned
        all _incoming are ready        they replace the old workers, which become _outgoing;
                                       intake and maintenance are ended and spawned again
        one _incoming has died         the reload is aborted, the old workers stay
"""

import logging
import select
import signal
import time
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Final, Protocol, final

from imapvm.server.role import Role
from imapvm.server.settings import SHUTDOWN_SECONDS, Settings
from imapvm.server.supervisor.process import Process, cause_of
from imapvm.server.supervisor.signals import Signals
from imapvm.server.supervisor.spawner import Spawner
from imapvm.server.supervisor.worker_slot import CRASH_LOOP_DEATHS, WorkerSlot

LOG: Final = logging.getLogger(__name__)

GRACE_SECONDS: Final = 2.0
"""Added to the time a process has to end, before it is killed."""
PAUSE_SECONDS: Final = 2.0
"""Respawn delay of a worker from which on its clients are directed to the others."""
POLL_SECONDS: Final = 1.0
"""Longest wait between two rounds."""
FAILED: Final = 1
"""Exit code after a failed start, if the process that failed has no exit code."""
CORRUPT: Final = 3
"""Exit code of a process that cannot use the filepool (docs/operations.md): the next one could not,
either, so the server ends with it."""

RELOAD_FAILED: Final = "reload failed; keeping the current configuration"
"""Log event."""


class ReloadRefused(Exception):
    """The configuration cannot be used; the text gives the reason."""


class Observer(Protocol):
    """Receives the state of the server: systemd, or the demonstration."""

    def ready(self) -> None: ...

    def reloading(self) -> None: ...

    def stopping(self) -> None: ...


def _refuse_reload() -> Settings:
    raise ReloadRefused("there is no configuration file")


class _State(Enum):
    STARTING = auto()
    """Until all processes are ready; any failure ends the server."""
    RUNNING = auto()
    STOPPING = auto()


@final
class Master:
    """Processes of one server.

    Args:
        settings: of all processes.
        intake: True if an intake process is needed.
        spawner: spawns them.
        observer: receives the state of the server.
        load_settings: reads the settings again, for a reload; raises `ReloadRefused`. None: there
            is no reload, and SIGHUP keeps its default action.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        settings: Settings,
        spawner: Spawner,
        observer: Observer,
        load_settings: Callable[[], Settings] | None,
        *,
        intake: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.code = 0
        """Exit code, once it is `finished`."""
        self._settings = settings
        self._spawner = spawner
        self._observer = observer
        self._load_settings = load_settings or _refuse_reload
        self._signals = [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD]
        if load_settings is not None:
            self._signals.append(signal.SIGHUP)
        self._clock = clock
        self._state = _State.STARTING
        self._generation = 0
        # Maintenance first: it reports what is wrong with the filepool.
        self._maintenance = WorkerSlot(Role.MAINTENANCE, 0, None, self._spawn_with(settings))
        self._slots = [self._maintenance, *self._workers(settings)]
        if intake:
            self._slots.insert(1, WorkerSlot(Role.INTAKE, 0, None, self._spawn_with(settings)))
        self._next_settings: Settings | None = None
        """Settings of a reload in progress."""
        self._incoming: list[WorkerSlot] = []
        """New workers of a reload, not all of them ready."""
        self._outgoing: list[WorkerSlot] = []
        """Slots with a process that was asked to end and is not replaced."""
        self._reload_pending = False

    # --- interface ----------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """True if all processes have ended and none will be spawned."""
        return self._state is _State.STOPPING and not self._outgoing

    def processes(self) -> dict[str, list[int]]:
        """Return process ids by slot name; new processes before old ones."""
        found: dict[str, list[int]] = {}
        for slot, process in self._running():
            found.setdefault(slot.name, []).append(process.pid)
        return found

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code. For the main thread."""
        with Signals(*self._signals) as signals:
            while not self.finished:
                self.step(POLL_SECONDS, signals)
        return self.code

    def step(self, seconds: float, signals: Signals | None = None) -> None:
        """Wait for an event, for some seconds at most, and handle it."""
        self._wait(seconds, signals)
        if signals is not None:
            for what in signals.take():
                self.handle_signal(what)
        now = self._clock()
        for _, process in self._running():
            process.read_report(now)
        self._reap(now)
        for slot, process in self._running():
            if process.check(now):
                LOG.error("process hangs", extra={"role": slot.name, "pid": process.pid})
        self._spawn_due(now)
        self._advance(now)

    def handle_signal(self, what: int) -> None:
        """Handle a signal."""
        match what:
            case signal.SIGTERM | signal.SIGINT:
                LOG.info("server stopping", extra={"signal": signal.Signals(what).name})
                self._stop()
            case signal.SIGHUP:
                self._reload()
            case _:
                pass  # SIGCHLD: `_reap` follows in any case

    # --- starting and respawning --------------------------------------------------------------

    def _spawn_with(self, settings: Settings) -> Callable[[WorkerSlot], Process]:
        return lambda slot: self._spawner.spawn(slot, settings)

    def _workers(self, settings: Settings) -> list[WorkerSlot]:
        """Return slots for the workers; two generations in a row have different indexes."""
        first = self._generation % 2 * settings.workers
        start = self._spawn_with(settings)
        return [
            WorkerSlot(Role.WORKER, number, first + number, start)
            for number in range(settings.workers)
        ]

    def _running(self) -> Iterator[tuple[WorkerSlot, Process]]:
        for slot in (*self._slots, *self._incoming, *self._outgoing):
            if slot.process is not None:
                yield slot, slot.process

    def _wait(self, seconds: float, signals: Signals | None) -> None:
        now = self._clock()
        poll = select.poll()
        if signals is not None:
            poll.register(signals.fd, select.POLLIN)
        until = now + seconds
        for _, process in self._running():
            if process.closed:  # it ends soon, perhaps without a signal to us
                until = min(until, now + 0.02)
            else:
                poll.register(process.report, select.POLLIN)
            until = min(until, process.deadline)
        for slot in (*self._slots, *self._incoming):
            if slot.process is None and self._may_start(slot):
                until = min(until, slot.spawn_at)
        poll.poll(max(0.0, until - now) * 1000)

    def _may_start(self, slot: WorkerSlot) -> bool:
        return (
            self._state is not _State.STARTING
            or slot is self._maintenance
            or self._maintenance.ready
        )

    def _spawn_due(self, now: float) -> None:
        for slot in (*self._slots, *self._incoming):
            if slot.process is not None or now < slot.spawn_at or not self._may_start(slot):
                continue
            if slot.role is Role.WORKER:
                self._spawner.resume(slot)
            try:
                slot.spawn(now)
            except OSError as error:
                LOG.error("cannot start process", extra={"role": slot.name, "error": str(error)})
                if self._state is _State.STARTING:
                    self._fail(FAILED)
                    return

    def _reap(self, now: float) -> None:
        """Handle processes that have ended."""
        for slot, process in list(self._running()):
            code = process.reap()
            if code is None:
                continue
            self._spawner.reaped(slot)
            if slot.stopping:
                level = logging.DEBUG if code in (0, -signal.SIGTERM) else logging.WARNING
                LOG.log(level, "process ended", extra={"role": slot.name, **cause_of(code)})
                slot.stopped(now)
                self._outgoing = [other for other in self._outgoing if other is not slot]
            elif self._state is _State.STARTING:
                slot.process = None
                self._log_death(logging.DEBUG if code > 0 else logging.ERROR, slot, process, code)
                self._fail(code if code > 0 else FAILED)
            elif slot in self._incoming:
                slot.process = None
                self._log_death(logging.ERROR, slot, process, code)
                self._abort_reload()
            else:
                self._replace(slot, process, code, now)

    def _replace(self, slot: WorkerSlot, process: Process, code: int, now: float) -> None:
        if code == CORRUPT:
            slot.process = None
            self._log_death(logging.ERROR, slot, process, code)
            self._fail(code)
            return
        wait = slot.died(now, lived=now - process.started_at)
        self._log_death(logging.ERROR, slot, process, code, respawn_seconds=wait)
        if slot.deaths >= CRASH_LOOP_DEATHS:
            LOG.critical("process in crash loop", extra={"role": slot.name, "deaths": slot.deaths})
        if slot.role is Role.WORKER and wait >= PAUSE_SECONDS and self._others_serve(slot):
            self._spawner.pause(slot)
        maintenance = self._maintenance.process
        if maintenance is not None and maintenance.ready and not self._maintenance.stopping:
            maintenance.send_signal(
                signal.SIGUSR2
            )  # sweep: the dead process held a read transaction

    def _others_serve(self, slot: WorkerSlot) -> bool:
        return any(
            other.ready for other in self._slots if other.role is Role.WORKER and other is not slot
        )

    def _log_death(
        self, level: int, slot: WorkerSlot, process: Process, code: int, **more: object
    ) -> None:
        extra = {"role": slot.name, "pid": process.pid, **cause_of(code), **more}
        LOG.log(level, "process died", extra=extra)

    def _advance(self, now: float) -> None:
        """Take the next step of a start or a reload."""
        if self._state is _State.STARTING and all(slot.ready for slot in self._slots):
            self._state = _State.RUNNING
            self._observer.ready()
        if self._state is not _State.RUNNING:
            return
        settings = self._next_settings
        if settings is not None and self._incoming:
            if all(slot.ready for slot in self._incoming):
                self._switch_over(settings, now)
        elif settings is not None and not self._outgoing:
            self._generation += 1
            self._incoming = self._workers(settings)
            self._spawn_due(now)
        if self._next_settings is None and self._reload_pending:
            self._reload_pending = False
            self._reload()

    # --- reload -------------------------------------------------------------------------------

    def _reload(self) -> None:
        """Start to replace all processes, with the current configuration."""
        if self._state is not _State.RUNNING or self._next_settings is not None:
            self._reload_pending = self._state is not _State.STOPPING
            return
        try:
            self._next_settings = self._load_settings()
        except ReloadRefused as refused:
            LOG.error(RELOAD_FAILED, extra={"reason": str(refused)})
            return
        self._observer.reloading()
        # Their indexes are needed, so clients left from the previous reload have to reconnect now.
        now = self._clock()
        for slot in self._outgoing:
            self._terminate(slot, signal.SIGTERM, now + SHUTDOWN_SECONDS + GRACE_SECONDS)

    def _switch_over(self, settings: Settings, now: float) -> None:
        """Replace the old workers by the new ones, and respawn intake and maintenance."""
        old = [slot for slot in self._slots if slot.role is Role.WORKER]
        others = [slot for slot in self._slots if slot.role is not Role.WORKER]
        self._slots = [*others, *self._incoming]
        until = now + SHUTDOWN_SECONDS + GRACE_SECONDS
        for slot in old:
            if slot.process is not None:
                self._outgoing.append(slot)
                how = signal.SIGUSR1 if slot.ready else signal.SIGTERM
                self._terminate(slot, how, until + self._settings.reload_seconds)
        for slot in others:
            slot.respawn_with(self._spawn_with(settings))
            # Spawned again when it has ended: a spool has one watcher.
            self._terminate(slot, signal.SIGTERM, until)
        self._settings, self._next_settings, self._incoming = settings, None, []
        LOG.info("reloaded", extra={"workers": settings.workers})
        self._observer.ready()

    def _abort_reload(self) -> None:
        """Keep the old workers: a new one has died before it was ready."""
        until = self._clock() + SHUTDOWN_SECONDS + GRACE_SECONDS
        for slot in self._incoming:
            if slot.process is not None:
                self._outgoing.append(slot)
                self._terminate(slot, signal.SIGTERM, until)
        self._incoming, self._next_settings = [], None
        self._generation += 1  # the indexes of the workers that stay
        LOG.error(RELOAD_FAILED, extra={"reason": "a new worker did not start"})
        self._observer.ready()

    def _terminate(self, slot: WorkerSlot, how: signal.Signals, kill_at: float) -> None:
        """Signal the process of a slot to end, and kill it at `kill_at`."""
        if slot.process is not None:
            slot.stopping = True
            slot.process.send_signal(how, kill_at=kill_at)

    # --- stopping -----------------------------------------------------------------------------

    def _stop(self) -> None:
        """Stop; the second time, kill all processes."""
        if self._state is _State.STOPPING:
            for slot in self._outgoing:
                self._terminate(slot, signal.SIGKILL, self._clock())
            return
        self._observer.stopping()
        self._end()

    def _fail(self, code: int) -> None:
        """End with the exit code of a process, which has logged the reason."""
        if self._state is not _State.STOPPING:
            self.code = code
            self._end()

    def _end(self) -> None:
        self._state = _State.STOPPING
        self._spawner.close()
        until = self._clock() + SHUTDOWN_SECONDS + GRACE_SECONDS
        running = [slot for slot, _ in self._running()]
        self._slots, self._incoming, self._next_settings = [], [], None
        self._outgoing = running
        for slot in running:
            self._terminate(slot, signal.SIGTERM, until)
