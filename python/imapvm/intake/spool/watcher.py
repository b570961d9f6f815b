"""Spool watcher: delivers submitted files, each once and in order.

File names from inotify and from scans are collected, the oldest SPOOL_WAITING_MAX of them; the
others are found by a later scan. Files are claimed and started in the order of their modification
times, and delivered concurrently, so that one commit of the filepool stores many of them. A file
is removed after the commit that stored it. After a temporary error it stays in cur/ and is retried,
also after a restart.

    new/ --claim--> cur/ --deliver--> removed             all recipients stored
                    ^    |----------> undeliverable/      unknown recipients held
                    |    |----------> failed/             SPOOL_TRIES_MAX attempts failed, or
                    |    |                                SPOOL_DEATHS_MAX ended with a death
                    '----'                                temporary error: retry

**Deaths.** A file whose attempt ended with the death of the process is tried again when other files
have had a head start, and only one such file at a time. So the files that were in flight with it
are not suspected again. The counts are in `imapvm.intake.spool.attempts`.

All loops here are cut by the shared time slice (`imapvm.intake.pacing`), and none is longer than
the limits of the spool.
"""

import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from typing import Final

import trio

from imapvm.filepool.errors import FilepoolError, StoreUnavailableError
from imapvm.intake.deliver import Deliverer
from imapvm.intake.replies import STORE_FULL
from imapvm.intake.spool.attempts import AttemptLog
from imapvm.intake.spool.bsmtp import BsmtpError
from imapvm.intake.spool.directory import NotRegularFileError, SpoolDirectory, printable_name
from imapvm.intake.spool.entry import ChangedError, DeferredError, SpoolEntry
from imapvm.intake.spool.file import NEW
from imapvm.intake.spool.inotify import InotifyWatcher
from imapvm.intake.spool.layout import FAILED
from imapvm.model.limits import (
    SPOOL_CLAIMED_MAX,
    SPOOL_COMMANDS_MAX,
    SPOOL_DEATHS_MAX,
    SPOOL_IN_FLIGHT_BYTES_MAX,
    SPOOL_IN_FLIGHT_MAX,
    SPOOL_TRIES_MAX,
    SPOOL_WAITING_MAX,
)
from imapvm.model.logs import is_internal_error

log = logging.getLogger(__name__)

RETRY_SECONDS_MIN: Final = 1.0
RETRY_SECONDS_MAX: Final = 60.0
"""Time between two attempts for one file, and while the store is full: doubled from the minimum to
the maximum."""
ORDER_SECONDS: Final = 0.25
"""Time for a file to be read before the next file is started: a large one may be overtaken."""
RESCAN_SECONDS_MIN: Final = 0.25
"""Least time between two scans, if new/ has more than SPOOL_WAITING_MAX files."""
SWEEP_SECONDS: Final = 60 * 60
"""Time between two searches for stale files in tmp/."""


@dataclass(slots=True)
class _ClaimedFile:
    """File in cur/."""

    name: str
    mtime_ns: int
    size: int
    failures: int = 0
    """Failed attempts since the file last changed."""
    deaths: int = 0
    """Attempts that ended with the death of the process."""
    retry_seconds: float = 0.0
    due: float = 0.0
    """Time of the next attempt, on Trio's clock."""

    @property
    def age_key(self) -> tuple[int, str]:
        """Key of the order in which files are delivered."""
        return self.mtime_ns, self.name

    @property
    def memory(self) -> int:
        """Bound on the commands that are held in memory while the file is delivered."""
        return min(self.size, SPOOL_COMMANDS_MAX)


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
        SpoolError: another process watches it, or it belongs to another user.
        OSError: it cannot be created or read.
    """
    spool = SpoolDirectory(directory)
    try:
        attempts = AttemptLog(directory)
        inotify = InotifyWatcher(directory / NEW)  # before the first scan
        try:
            async with trio.open_nursery() as nursery:
                watcher = _SpoolWatcher(spool, attempts, deliverer, nursery)
                await watcher.remove_stale()
                nursery.start_soon(attempts.sync_forever)
                nursery.start_soon(watcher.collect_names, inotify)
                task_status.started()
                await watcher.deliver_files()
        finally:
            inotify.close()
            attempts.close()
    finally:
        spool.close()


class _SpoolWatcher:
    def __init__(
        self,
        spool: SpoolDirectory,
        attempts: AttemptLog,
        deliverer: Deliverer,
        nursery: trio.Nursery,
    ) -> None:
        self._spool = spool
        self._attempts = attempts
        self._deliverer = deliverer
        self._pacer = deliverer.pacer
        self._nursery = nursery
        self._wake = trio.Event()

        self._names: set[str] = set()
        """Names in new/ that were reported."""
        self._waiting: list[tuple[int, str]] = []
        """Heap of the files in new/, oldest first: time and name."""
        self._waiting_names: set[str] = set()
        self._needs_scan = True
        self._has_more = False
        """True if new/ may have more files than `_waiting`."""
        self._scan_at = 0.0
        """Earliest time of a scan for more files."""

        self._claimed: dict[str, _ClaimedFile] = {}
        """All files in cur/, or SPOOL_CLAIMED_MAX of them."""
        self._has_more_claimed = True
        """True if cur/ may have more files than `_claimed`."""
        self._ready: list[tuple[int, str]] = []
        """Heap of claimed files to start now: time and name."""
        self._retries: list[tuple[float, str]] = []
        """Heap of claimed files to start later: due time and name."""
        self._suspects: list[tuple[int, str]] = []
        """Files with deaths that wait for the end of another."""

        self._in_flight = 0
        self._in_flight_bytes = 0
        self._suspect_in_flight = False
        self._pause_seconds = 0.0
        self._paused_until = 0.0
        """End of the pause while the store is full."""

    # --- names ------------------------------------------------------------------------------------

    async def collect_names(self, inotify: InotifyWatcher) -> None:
        """Collect names of new files, until cancelled."""
        swept = trio.current_time()
        while True:
            names = await inotify.wait()
            if names is None or len(self._names) + len(names) > SPOOL_WAITING_MAX:
                self._needs_scan = True
            else:
                self._names |= names
            self._wake.set()
            if names is None and trio.current_time() - swept > SWEEP_SECONDS:
                swept = trio.current_time()
                await self.remove_stale()

    async def _update_waiting(self) -> None:
        """Add the reported files to `_waiting`, or scan new/."""
        names, self._names = self._names, set()
        # While new/ has more files than `_waiting`, they are found by the next scan.
        if not (self._needs_scan or self._has_more):
            for name in names:
                if name in self._claimed or name in self._waiting_names:
                    continue  # `_finish` adds a name again that is in cur/
                if len(self._waiting) >= SPOOL_WAITING_MAX:
                    self._has_more = True
                    break
                mtime_ns = self._spool.mtime_in_new(name)
                if mtime_ns is not None:
                    heappush(self._waiting, (mtime_ns, name))
                    self._waiting_names.add(name)
                await self._pacer.pause()
        # The rest of an incomplete scan is delivered first: a scan costs time for each file.
        has_to_scan = self._has_more and trio.current_time() >= self._scan_at
        if (self._needs_scan and not self._has_more) or (has_to_scan and not self._waiting):
            await self._scan()

    async def _scan(self) -> None:
        self._needs_scan = False
        self._scan_at = trio.current_time() + RESCAN_SECONDS_MIN
        try:
            self._waiting, self._has_more = await self._oldest(
                self._spool.scan_new(), SPOOL_WAITING_MAX
            )
        except OSError as error:
            extra = {"directory": str(self._spool.path), "error": str(error)}
            log.error("cannot read spool", extra=extra)
        self._waiting_names = {name for _, name in self._waiting}

    async def _oldest(
        self, found: Iterator[tuple[int, str]], limit: int
    ) -> tuple[list[tuple[int, str]], bool]:
        """Return the oldest files that are not claimed, sorted, and True if there are more."""
        oldest: list[tuple[int, str]] = []
        has_more = False
        for mtime_ns, name in found:
            if name not in self._claimed:
                oldest.append((mtime_ns, name))
                if len(oldest) >= 2 * limit:
                    oldest.sort()
                    del oldest[limit:]
                    has_more = True
            await self._pacer.pause()
        oldest.sort()
        has_more = has_more or len(oldest) > limit
        del oldest[limit:]
        return oldest, has_more

    # --- claiming ---------------------------------------------------------------------------------

    async def _recover(self) -> None:
        """Add the files in cur/, left by an earlier process."""
        try:
            found, self._has_more_claimed = await self._oldest(
                self._spool.scan_cur(), SPOOL_CLAIMED_MAX
            )
        except OSError as error:
            extra = {"directory": str(self._spool.path), "error": str(error)}
            log.error("cannot read spool", extra=extra)
            return
        for _, name in found:
            self._add_claimed(name)
            await self._pacer.pause()
        if not self._has_more_claimed:
            for name in self._attempts.names():  # removed by an operator
                if name not in self._claimed:
                    self._attempts.forget(name)

    async def _claim(self) -> None:
        """Claim the oldest files in new/, a slice of at most SPOOL_IN_FLIGHT_MAX."""
        while self._waiting and len(self._ready) < SPOOL_IN_FLIGHT_MAX:
            if len(self._claimed) >= SPOOL_CLAIMED_MAX:
                return
            _, name = heappop(self._waiting)
            self._waiting_names.discard(name)
            if name not in self._claimed:
                try:
                    if self._spool.claim(name):
                        self._add_claimed(name)
                except OSError as error:  # the next scan finds it again
                    extra = {"file": printable_name(name), "error": str(error)}
                    log.error("cannot claim spool file", extra=extra)
            await self._pacer.pause()

    def _add_claimed(self, name: str) -> None:
        found = self._spool.stat(name)
        if found is None:
            return
        count = self._attempts.count(name)
        claimed = _ClaimedFile(name, found.st_mtime_ns, found.st_size, count.failures, count.deaths)
        self._claimed[name] = claimed
        if not claimed.deaths:
            heappush(self._ready, claimed.age_key)
            return
        log.error(
            "process died with spool file",
            extra={"file": printable_name(name), "deaths": claimed.deaths},
        )
        if claimed.deaths >= SPOOL_DEATHS_MAX:
            reason = f"the process died {claimed.deaths} times while it delivered this file"
            if self._set_aside(claimed, reason, reason):
                return
        for _ in range(claimed.deaths):
            claimed.retry_seconds = _doubled(claimed.retry_seconds)
        claimed.due = trio.current_time() + claimed.retry_seconds
        heappush(self._retries, (claimed.due, name))

    # --- delivering -------------------------------------------------------------------------------

    async def deliver_files(self) -> None:
        """Deliver files in the order of their times, until cancelled."""
        while True:
            self._wake = trio.Event()
            if self._has_more_claimed and not self._claimed:
                await self._recover()
            await self._update_waiting()
            now = trio.current_time()
            if now >= self._paused_until and self._in_flight < SPOOL_IN_FLIGHT_MAX:
                await self._claim()
                self._collect_retries()
                if (claimed := self._pop_ready()) is not None:
                    await self._start(claimed)
                    continue
            with trio.move_on_at(self._next_time()):
                await self._wake.wait()

    def _next_time(self) -> float:
        """Return the time at which there is work without an event."""
        if trio.current_time() < self._paused_until:
            return self._paused_until
        due = float("inf")
        if self._retries and self._in_flight < SPOOL_IN_FLIGHT_MAX:
            due = self._retries[0][0]
        if self._has_more and not self._waiting:
            due = min(due, self._scan_at)
        return due

    def _collect_retries(self) -> None:
        now = trio.current_time()
        while self._retries and self._retries[0][0] <= now:
            _, name = heappop(self._retries)
            if (claimed := self._claimed.get(name)) is not None:
                heappush(self._ready, claimed.age_key)

    def _pop_ready(self) -> _ClaimedFile | None:
        """Return the oldest claimed file that may start; None if there are none, or no room."""
        while self._ready:
            claimed = self._claimed.get(self._ready[0][1])
            if claimed is None:
                heappop(self._ready)
            elif claimed.deaths and self._suspect_in_flight:
                self._suspects.append(heappop(self._ready))
            elif (
                self._in_flight
                and self._in_flight_bytes + claimed.memory > SPOOL_IN_FLIGHT_BYTES_MAX
            ):
                return None
            else:
                heappop(self._ready)
                return claimed
        return None

    async def _start(self, claimed: _ClaimedFile) -> None:
        """Start an attempt; return when its delivery is queued, so that deliveries keep order."""
        self._in_flight += 1
        self._in_flight_bytes += claimed.memory
        self._suspect_in_flight = self._suspect_in_flight or bool(claimed.deaths)
        ready = trio.Event()
        self._nursery.start_soon(self._run, claimed, claimed.memory, ready)
        with trio.move_on_after(ORDER_SECONDS):
            await ready.wait()

    async def _run(self, claimed: _ClaimedFile, memory: int, ready: trio.Event) -> None:
        """Deliver one file. Its errors do not affect other files."""
        try:
            await self._attempts.begin(claimed.name)
            try:
                await SpoolEntry(self._spool, claimed.name, self._deliverer).deliver(ready.set)
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
            if self._claimed.get(claimed.name) is claimed:
                self._attempts.end(claimed.name, claimed.failures)
                heappush(self._retries, (claimed.due, claimed.name))
            self._in_flight -= 1
            self._in_flight_bytes -= memory
            if claimed.deaths:
                self._suspect_in_flight = False
                for suspect in self._suspects:
                    heappush(self._ready, suspect)
                self._suspects.clear()
            self._wake.set()
            ready.set()

    # --- after an attempt -------------------------------------------------------------------------

    def _finish(self, claimed: _ClaimedFile) -> None:
        """Forget a file that has left cur/; new/ may have another of its name."""
        del self._claimed[claimed.name]
        self._attempts.forget(claimed.name)
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
            claimed.failures, claimed.retry_seconds = 0, 0.0
        claimed.failures += 1
        claimed.retry_seconds = _doubled(claimed.retry_seconds)
        claimed.due = trio.current_time() + claimed.retry_seconds
        extra = {
            "file": printable_name(claimed.name),
            "error": str(error),
            "attempts": claimed.failures,
        }
        is_expected = isinstance(error, BsmtpError | ChangedError | NotRegularFileError | OSError)
        log.warning("spool file failed", extra=extra, exc_info=None if is_expected else error)
        if claimed.failures < SPOOL_TRIES_MAX:
            return
        reason = str(error) if is_expected else "".join(traceback.format_exception(error))
        self._set_aside(claimed, reason, str(error))

    def _set_aside(self, claimed: _ClaimedFile, reason: str, summary: str) -> bool:
        """Move a file to failed/; return False if that is not possible now."""
        try:
            there = self._spool.set_aside(claimed.name, FAILED, reason + "\n")
        except OSError as full:
            extra = {"file": printable_name(claimed.name), "error": str(full)}
            log.error("cannot set spool file aside", extra=extra)
            return False
        log.error("spool file set aside", extra={"file": printable_name(there), "error": summary})
        self._finish(claimed)
        return True

    async def remove_stale(self) -> None:
        """Remove the files in tmp/ whose writers have died."""
        try:
            for name in self._spool.remove_stale():
                if name is not None:
                    log.info("stale spool file removed", extra={"file": printable_name(name)})
                await self._pacer.pause()
        except OSError as error:
            log.error("cannot remove stale spool files", extra={"error": str(error)})


def _doubled(seconds: float) -> float:
    return min(max(2 * seconds, RETRY_SECONDS_MIN), RETRY_SECONDS_MAX)
