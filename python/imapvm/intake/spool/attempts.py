"""Log of attempts: counts for each spool file, kept over the death of the process.

A file may kill the process that reads it, or make it run into the watchdog. The attempt is recorded
before it begins, and its end after it; an attempt without an end was ended by a death.

    ["name", failures, deaths, true]      an attempt begins
    ["name", failures, deaths, false]     it has ended; the file stays
    ["name", 0, 0, false]                 the file is delivered or set aside

The last line of a name is valid. A line that a power loss has cut off is ignored. The log is
rewritten at the start, and when it has grown.

Lines are in the page cache at once, which outlives the process. They are synced to disk within
SYNC_SECONDS, and for a file that has failed before, before the attempt begins: the count of a file
whose reader takes down the machine grows as well.
"""

import json
import logging
import os
from pathlib import Path
from typing import Final, NamedTuple

import trio

from imapvm.intake.spool.file import TMP, fresh_name
from imapvm.intake.spool.layout import ATTEMPTS

log = logging.getLogger(__name__)

REWRITE_BYTES: Final = 1024 * 1024
"""Growth after which the log is rewritten."""
SYNC_SECONDS: Final = 1.0


class AttemptCount(NamedTuple):
    """Counts of one file."""

    failures: int = 0
    """Attempts that have failed."""
    deaths: int = 0
    """Attempts that were ended by the death of the process."""
    is_running: bool = False


NO_ATTEMPTS: Final = AttemptCount()


class AttemptLog:
    """Log of one spool directory. The caller has locked the spool."""

    def __init__(self, spool: Path) -> None:
        """Read the log, count the deaths, and rewrite it durably.

        Raises:
            OSError: it cannot be read or written.
        """
        self._spool = spool
        self._path = spool / ATTEMPTS
        self._counts = {
            name: AttemptCount(count.failures, count.deaths + count.is_running)
            for name, count in _read(self._path).items()
        }
        self._file = -1
        self._size = self._rewritten_size = 0
        self._unsynced: trio.Event = trio.Event()
        self._rewrite()
        os.fsync(self._file)

    def close(self) -> None:
        """Close the log."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def count(self, name: str) -> AttemptCount:
        """Return the counts of a file."""
        return self._counts.get(name, NO_ATTEMPTS)

    def names(self) -> list[str]:
        """Return the names of all files that have counts."""
        return list(self._counts)

    async def begin(self, name: str) -> None:
        """Record that an attempt begins."""
        count = self.count(name)
        self._append(name, count._replace(is_running=True))
        if count.failures or count.deaths:
            await trio.to_thread.run_sync(self._sync)

    def end(self, name: str, failures: int) -> None:
        """Record that an attempt has ended, and the file stays."""
        self._append(name, AttemptCount(failures, self.count(name).deaths))

    def forget(self, name: str) -> None:
        """Record that a file has left cur/."""
        if name in self._counts:
            self._append(name, NO_ATTEMPTS)

    async def sync_forever(self) -> None:
        """Sync new lines to disk, until cancelled."""
        while True:
            await self._unsynced.wait()
            self._unsynced = trio.Event()
            await trio.to_thread.run_sync(self._sync)
            await trio.sleep(SYNC_SECONDS)

    def _append(self, name: str, count: AttemptCount) -> None:
        if count == NO_ATTEMPTS:
            self._counts.pop(name, None)
        else:
            self._counts[name] = count
        try:
            if self._size > self._rewritten_size + REWRITE_BYTES:
                self._rewrite()
            else:
                self._size += os.write(self._file, _line(name, count))
            self._unsynced.set()
        except OSError as error:  # a full disk: this attempt is not counted
            log.warning("cannot record attempt for spool file", extra={"error": str(error)})

    def _rewrite(self) -> None:
        draft = self._spool / TMP / fresh_name()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        file = os.open(draft, flags, 0o600)
        try:
            content = b"".join(_line(name, count) for name, count in self._counts.items())
            if os.write(file, content) != len(content):
                raise OSError("the log of attempts was not written completely")
            os.rename(draft, self._path)
        except OSError:
            os.close(file)
            draft.unlink(missing_ok=True)
            raise
        self.close()
        self._file = file
        self._size = self._rewritten_size = len(content)

    def _sync(self) -> None:
        try:
            # A descriptor of its own: the log may be rewritten meanwhile.
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(file)
            finally:
                os.close(file)
        except OSError as error:
            log.warning("cannot sync attempts for spool files", extra={"error": str(error)})


def _line(name: str, count: AttemptCount) -> bytes:
    return json.dumps([name, *count]).encode() + b"\n"


def _read(path: Path) -> dict[str, AttemptCount]:
    """Return the last counts of each name."""
    counts: dict[str, AttemptCount] = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return counts
    for line in lines:
        try:
            name, failures, deaths, is_running = json.loads(line)
        except (TypeError, ValueError):  # cut off, or empty
            continue
        counts[name] = AttemptCount(failures, deaths, is_running)
    return {name: count for name, count in counts.items() if count != NO_ATTEMPTS}
