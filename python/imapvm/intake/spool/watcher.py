"""The spool watcher: files that were dropped become messages, each once, soon and in order.

Names come from inotify and from scans, into one set. What waits is claimed in the order of the
files' times and delivered side by side, so that one commit of the filepool takes many of them; each
is removed after the commit that stored it. A file that cannot be delivered now stays in cur/ and is
tried again, also by the next process.
"""

import logging
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from imapvm.filepool.errors import FilepoolError, StoreUnavailableError
from imapvm.intake.deliver import Deliverer
from imapvm.intake.replies import STORE_FULL
from imapvm.intake.spool.bsmtp import BsmtpError
from imapvm.intake.spool.directory import (
    FAILED,
    NotRegularFileError,
    SpoolDirectory,
    SpoolInUseError,
    printable_name,
)
from imapvm.intake.spool.entry import ChangedError, DeferredError, SpoolEntry
from imapvm.intake.spool.file import NEW
from imapvm.intake.spool.inotify import InotifyWatcher
from imapvm.model.internal_errors import is_internal_error
from imapvm.model.limits import SPOOL_IN_FLIGHT_MAX, SPOOL_TRIES_MAX

__all__ = ["SpoolInUseError", "watch_spool"]

log = logging.getLogger(__name__)

AGAIN_SECONDS_FIRST: Final = 1.0
AGAIN_SECONDS_MOST: Final = 60.0
"""Between two tries of one file, and between two tries of a store that has no room: doubled from
the first to the most."""
SWEEP_SECONDS: Final = 60 * 60
"""Between two looks for what died in tmp/."""


@dataclass(slots=True)
class _Claimed:
    """A file in cur/."""

    name: str
    mtime_ns: int
    size: int
    tries: int = 0
    """That broke something, since the file last changed."""
    again_seconds: float = 0.0
    due: float = 0.0
    """On Trio's clock."""
    in_flight: bool = False


async def watch_spool(
    directory: Path,
    deliverer: Deliverer,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Deliver what is dropped into a spool directory, until cancelled.

    Args:
        directory: made with its parts, mode 0700, where it is missing.
        deliverer: where messages go.
        task_status: started when nothing that is dropped can be missed any more.

    Raises:
        SpoolInUseError: another process watches it.
        OSError: it cannot be made or read.
    """
    spool = SpoolDirectory(directory)
    try:
        inotify = InotifyWatcher(directory / NEW)  # before the first scan
        try:
            async with trio.open_nursery() as nursery:
                watcher = _Watcher(spool, deliverer, nursery)
                watcher.take_up()
                nursery.start_soon(watcher.listen, inotify)
                task_status.started()
                await watcher.work()
        finally:
            inotify.close()
    finally:
        spool.close()


class _Watcher:
    def __init__(self, spool: SpoolDirectory, deliverer: Deliverer, nursery: trio.Nursery) -> None:
        self._spool = spool
        self._deliverer = deliverer
        self._nursery = nursery
        self._names: set[str] = set()
        """In new/, as far as we know."""
        self._claimed: dict[str, _Claimed] = {}
        self._slots = trio.Semaphore(SPOOL_IN_FLIGHT_MAX)
        self._wake = trio.Event()
        self._pause_seconds = 0.0
        self._paused_until = 0.0
        """The store has no room: nothing is tried before."""

    def take_up(self) -> None:
        """Begin: what an earlier process left in cur/, and what waits in new/."""
        for name in self._spool.claimed():
            self._add_claimed(name)
        self._sweep_tmp()
        self._look()

    async def listen(self, inotify: InotifyWatcher) -> None:
        """Collect names, until cancelled."""
        swept = trio.current_time()
        while True:
            names = await inotify.wait()
            if names is None:
                self._look()
                if trio.current_time() - swept > SWEEP_SECONDS:
                    swept = trio.current_time()
                    self._sweep_tmp()
            else:
                self._names |= names
            self._wake.set()

    async def work(self) -> None:
        """Deliver what is there, in the order of its times, until cancelled."""
        while True:
            self._wake = trio.Event()
            ready, next_due = self._ready()
            for claimed in ready:
                await self._slots.acquire()
                if trio.current_time() < self._paused_until:
                    self._slots.release()
                    break
                claimed.in_flight = True
                # Returns when this one's delivery is queued: the next is queued behind it.
                await self._nursery.start(self._run, claimed)
            else:
                with trio.move_on_at(next_due):
                    await self._wake.wait()

    def _ready(self) -> tuple[list[_Claimed], float]:
        """Claim what waits; return what can be tried now, oldest first, and when to look again."""
        now = trio.current_time()
        if now < self._paused_until:
            return [], self._paused_until
        for name in self._names:
            # One of this name that is in cur/ still comes first; `_done` looks for the next.
            if name not in self._claimed:
                try:
                    if self._spool.claim(name):
                        self._add_claimed(name)
                except OSError as error:  # the next scan finds it again
                    extra = {"file": printable_name(name), "error": str(error)}
                    log.error("spool file not claimed", extra=extra)
        self._names.clear()
        idle = [claimed for claimed in self._claimed.values() if not claimed.in_flight]
        ready = [claimed for claimed in idle if claimed.due <= now]
        ready.sort(key=lambda claimed: (claimed.mtime_ns, claimed.name))
        due = min((claimed.due for claimed in idle if claimed.due > now), default=float("inf"))
        return ready, due

    async def _run(
        self,
        claimed: _Claimed,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Try one file; whatever happens with it, others go on."""
        waiting = True

        def prepared() -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                task_status.started()

        try:
            await SpoolEntry(self._spool, claimed.name, self._deliverer).deliver(prepared)
        except DeferredError as error:
            self._later(claimed, error, pause=error.reply == STORE_FULL)
        except FilepoolError as error:
            self._later(claimed, error, pause=isinstance(error, StoreUnavailableError))
        except BaseException as error:
            if not is_internal_error(error):
                raise
            self._broken(claimed, error)
        else:
            self._pause_seconds = self._paused_until = 0.0
            self._done(claimed)
        finally:
            claimed.in_flight = False
            self._slots.release()
            self._wake.set()
            prepared()

    # --- what comes after a try -------------------------------------------------------------------

    def _done(self, claimed: _Claimed) -> None:
        """The file has left cur/; another of its name may be waiting."""
        del self._claimed[claimed.name]
        self._names.add(claimed.name)

    def _later(self, claimed: _Claimed, error: Exception, *, pause: bool) -> None:
        """Try again, as often as it takes.

        Args:
            claimed: stays in cur/.
            error: says why.
            pause: True where every file would fail now.
        """
        now = trio.current_time()
        if pause:
            if now >= self._paused_until:
                self._pause_seconds = _doubled(self._pause_seconds)
                self._paused_until = now + self._pause_seconds
            claimed.due = self._paused_until
        else:
            claimed.again_seconds = _doubled(claimed.again_seconds)
            claimed.due = now + claimed.again_seconds
        log.warning(
            "spool file waits", extra={"file": printable_name(claimed.name), "error": str(error)}
        )

    def _broken(self, claimed: _Claimed, error: BaseException) -> None:
        """Count a try against a file, and set it aside when it has had enough of them."""
        found = self._spool.stat(claimed.name)
        if found is None:  # an operator took it
            self._done(claimed)
            return
        if (found.st_size, found.st_mtime_ns) != (claimed.size, claimed.mtime_ns):
            # It is written where it lies, against the rules; as long as it changes it may get well.
            claimed.size, claimed.mtime_ns = found.st_size, found.st_mtime_ns
            claimed.tries, claimed.again_seconds = 0, 0.0
        claimed.tries += 1
        claimed.again_seconds = _doubled(claimed.again_seconds)
        claimed.due = trio.current_time() + claimed.again_seconds
        extra = {"file": printable_name(claimed.name), "error": str(error), "tries": claimed.tries}
        foreseen = isinstance(error, BsmtpError | ChangedError | NotRegularFileError | OSError)
        log.warning("spool file fails", extra=extra, exc_info=None if foreseen else error)
        if claimed.tries < SPOOL_TRIES_MAX:
            return
        reason = str(error) if foreseen else "".join(traceback.format_exception(error))
        try:
            there = self._spool.set_aside(claimed.name, FAILED, reason + "\n")
        except OSError as full:
            extra = {"file": printable_name(claimed.name), "error": str(full)}
            log.error("spool file not set aside", extra=extra)
            return
        log.error(
            "spool file set aside", extra={"file": printable_name(there), "error": str(error)}
        )
        self._done(claimed)

    # --- looking ----------------------------------------------------------------------------------

    def _look(self) -> None:
        try:
            self._names.update(self._spool.waiting())
        except OSError as error:
            extra = {"directory": str(self._spool.path), "error": str(error)}
            log.error("spool not readable", extra=extra)

    def _add_claimed(self, name: str) -> None:
        found = self._spool.stat(name)
        if found is not None:
            self._claimed[name] = _Claimed(name, found.st_mtime_ns, found.st_size)

    def _sweep_tmp(self) -> None:
        try:
            for name in self._spool.sweep_tmp():
                log.info("unfinished spool file removed", extra={"file": printable_name(name)})
        except OSError as error:
            log.error("spool not swept", extra={"error": str(error)})


def _doubled(seconds: float) -> float:
    return min(max(2 * seconds, AGAIN_SECONDS_FIRST), AGAIN_SECONDS_MOST)
