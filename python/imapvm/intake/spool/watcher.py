"""Spool watcher: delivers submitted files, each once and in order.

File names from inotify and from scans are collected in one set. Files are claimed and started in
the order of their modification times, and delivered concurrently, so that one commit of the
filepool stores many of them. A file is removed after the commit that stored it. After a temporary
error it stays in cur/ and is retried, also after a restart.

    new/ --claim--> cur/ --deliver--> removed             all recipients stored
                    ^    |----------> undeliverable/      unknown recipients held
                    |    |----------> failed/             SPOOL_TRIES_MAX attempts failed
                    '----'                                temporary error: retry
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

RETRY_SECONDS_MIN: Final = 1.0
RETRY_SECONDS_MAX: Final = 60.0
"""Time between two attempts for one file, and while the store is full: doubled from the minimum to
the maximum."""
SWEEP_SECONDS: Final = 60 * 60
"""Time between two searches for stale files in tmp/."""


@dataclass(slots=True)
class _ClaimedFile:
    """File in cur/."""

    name: str
    mtime_ns: int
    size: int
    attempts: int = 0
    """Failed attempts since the file last changed."""
    retry_seconds: float = 0.0
    due: float = 0.0
    """Time of the next attempt, on Trio's clock."""
    in_flight: bool = False


async def watch_spool(
    directory: Path,
    deliverer: Deliverer,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Deliver the files submitted to a spool directory, until cancelled.

    Args:
        directory: created with its subdirectories, mode 0700, if it does not exist.
        deliverer: receives the messages.
        task_status: started when every file submitted from now on is detected.

    Raises:
        SpoolInUseError: another process watches it.
        OSError: it cannot be created or read.
    """
    spool = SpoolDirectory(directory)
    try:
        inotify = InotifyWatcher(directory / NEW)  # before the first scan
        try:
            async with trio.open_nursery() as nursery:
                watcher = _SpoolWatcher(spool, deliverer, nursery)
                watcher.recover()
                nursery.start_soon(watcher.collect_names, inotify)
                task_status.started()
                await watcher.deliver_files()
        finally:
            inotify.close()
    finally:
        spool.close()


class _SpoolWatcher:
    def __init__(self, spool: SpoolDirectory, deliverer: Deliverer, nursery: trio.Nursery) -> None:
        self._spool = spool
        self._deliverer = deliverer
        self._nursery = nursery
        self._names: set[str] = set()
        """Known names in new/."""
        self._claimed: dict[str, _ClaimedFile] = {}
        self._slots = trio.Semaphore(SPOOL_IN_FLIGHT_MAX)
        self._wake = trio.Event()
        self._pause_seconds = 0.0
        self._paused_until = 0.0
        """End of the pause while the store is full."""

    def recover(self) -> None:
        """Collect the files in cur/, left by an earlier process, and in new/."""
        for name in self._spool.claimed_files():
            self._add_claimed(name)
        self._remove_stale()
        self._scan()

    async def collect_names(self, inotify: InotifyWatcher) -> None:
        """Collect names of new files, until cancelled."""
        swept = trio.current_time()
        while True:
            names = await inotify.wait()
            if names is None:
                self._scan()
                if trio.current_time() - swept > SWEEP_SECONDS:
                    swept = trio.current_time()
                    self._remove_stale()
            else:
                self._names |= names
            self._wake.set()

    async def deliver_files(self) -> None:
        """Deliver files in the order of their times, until cancelled."""
        while True:
            self._wake = trio.Event()
            ready, next_due = self._ready()
            for claimed in ready:
                await self._slots.acquire()
                if trio.current_time() < self._paused_until:
                    self._slots.release()
                    break
                claimed.in_flight = True
                # Returns when the delivery is queued, so that deliveries keep their order.
                await self._nursery.start(self._run, claimed)
            else:
                with trio.move_on_at(next_due):
                    await self._wake.wait()

    def _ready(self) -> tuple[list[_ClaimedFile], float]:
        """Claim new files; return those to deliver now, oldest first, and the time of the next."""
        now = trio.current_time()
        if now < self._paused_until:
            return [], self._paused_until
        for name in self._names:
            # A file of this name in cur/ is delivered first; `_finish` adds the name again.
            if name not in self._claimed:
                try:
                    if self._spool.claim(name):
                        self._add_claimed(name)
                except OSError as error:  # the next scan finds it again
                    extra = {"file": printable_name(name), "error": str(error)}
                    log.error("cannot claim spool file", extra=extra)
        self._names.clear()
        idle = [claimed for claimed in self._claimed.values() if not claimed.in_flight]
        ready = [claimed for claimed in idle if claimed.due <= now]
        ready.sort(key=lambda claimed: (claimed.mtime_ns, claimed.name))
        due = min((claimed.due for claimed in idle if claimed.due > now), default=float("inf"))
        return ready, due

    async def _run(
        self,
        claimed: _ClaimedFile,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Deliver one file. Its errors do not affect other files."""
        ready = False

        def on_ready() -> None:
            nonlocal ready
            if not ready:
                ready = True
                task_status.started()

        try:
            await SpoolEntry(self._spool, claimed.name, self._deliverer).deliver(on_ready)
        except DeferredError as error:
            self._defer(claimed, error, pause=error.reply == STORE_FULL)
        except FilepoolError as error:
            self._defer(claimed, error, pause=isinstance(error, StoreUnavailableError))
        except BaseException as error:
            if not is_internal_error(error):
                raise
            self._count_failure(claimed, error)
        else:
            self._pause_seconds = self._paused_until = 0.0
            self._finish(claimed)
        finally:
            claimed.in_flight = False
            self._slots.release()
            self._wake.set()
            on_ready()

    # --- after an attempt -------------------------------------------------------------------------

    def _finish(self, claimed: _ClaimedFile) -> None:
        """Forget a file that has left cur/; new/ may have another of its name."""
        del self._claimed[claimed.name]
        self._names.add(claimed.name)

    def _defer(self, claimed: _ClaimedFile, error: Exception, *, pause: bool) -> None:
        """Schedule another attempt; their number is not limited.

        Args:
            claimed: file that stays in cur/.
            error: reason, for the log.
            pause: True if every file would fail now.
        """
        now = trio.current_time()
        if pause:
            if now >= self._paused_until:
                self._pause_seconds = _doubled(self._pause_seconds)
                self._paused_until = now + self._pause_seconds
            claimed.due = self._paused_until
        else:
            claimed.retry_seconds = _doubled(claimed.retry_seconds)
            claimed.due = now + claimed.retry_seconds
        log.warning(
            "spool file deferred", extra={"file": printable_name(claimed.name), "error": str(error)}
        )

    def _count_failure(self, claimed: _ClaimedFile, error: BaseException) -> None:
        """Count a failed attempt, and set the file aside after SPOOL_TRIES_MAX of them."""
        found = self._spool.stat(claimed.name)
        if found is None:  # removed by an operator
            self._finish(claimed)
            return
        if (found.st_size, found.st_mtime_ns) != (claimed.size, claimed.mtime_ns):
            # It is being written in place, against the rules, and may be complete later.
            claimed.size, claimed.mtime_ns = found.st_size, found.st_mtime_ns
            claimed.attempts, claimed.retry_seconds = 0, 0.0
        claimed.attempts += 1
        claimed.retry_seconds = _doubled(claimed.retry_seconds)
        claimed.due = trio.current_time() + claimed.retry_seconds
        extra = {
            "file": printable_name(claimed.name),
            "error": str(error),
            "attempts": claimed.attempts,
        }
        is_expected = isinstance(error, BsmtpError | ChangedError | NotRegularFileError | OSError)
        log.warning("spool file failed", extra=extra, exc_info=None if is_expected else error)
        if claimed.attempts < SPOOL_TRIES_MAX:
            return
        reason = str(error) if is_expected else "".join(traceback.format_exception(error))
        try:
            there = self._spool.set_aside(claimed.name, FAILED, reason + "\n")
        except OSError as full:
            extra = {"file": printable_name(claimed.name), "error": str(full)}
            log.error("cannot set spool file aside", extra=extra)
            return
        log.error(
            "spool file set aside", extra={"file": printable_name(there), "error": str(error)}
        )
        self._finish(claimed)

    # --- scanning ---------------------------------------------------------------------------------

    def _scan(self) -> None:
        try:
            self._names.update(self._spool.new_files())
        except OSError as error:
            extra = {"directory": str(self._spool.path), "error": str(error)}
            log.error("cannot read spool", extra=extra)

    def _add_claimed(self, name: str) -> None:
        found = self._spool.stat(name)
        if found is not None:
            self._claimed[name] = _ClaimedFile(name, found.st_mtime_ns, found.st_size)

    def _remove_stale(self) -> None:
        try:
            for name in self._spool.remove_stale():
                log.info("stale spool file removed", extra={"file": printable_name(name)})
        except OSError as error:
            log.error("cannot remove stale spool files", extra={"error": str(error)})


def _doubled(seconds: float) -> float:
    return min(max(2 * seconds, RETRY_SECONDS_MIN), RETRY_SECONDS_MAX)
