"""Files of a spool directory, and moving them between its parts (`layout.py`)."""

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from imapvm.intake.spool.file import NEW, TMP, fresh_name
from imapvm.intake.spool.layout import CUR, SpoolInUseError, create_spool

REASON: Final = ".reason"
STALE_SECONDS: Final = 36 * 60 * 60
"""Age at which a file in tmp/ is removed: its writer has died (the rule of Maildir)."""
NAMES_TRIED: Final = 100
"""Suffixes that are tried for a file that is set aside under a name in use."""


class NotRegularFileError(Exception):
    """The submitted entry is a link, a directory or a device."""


class SpoolDirectory:
    """Spool directory, locked by this process while it is open.

    File names may be any bytes: they are `str` from `os.fsdecode`, and printed with
    `printable_name`. All calls are short and synchronous. None syncs the disk: a file that
    reappears after a power loss has the same delivery id.
    """

    def __init__(self, path: Path) -> None:
        """Create missing directories, mode 0700, and lock the spool.

        Raises:
            SpoolInUseError: another process has it locked.
            SpoolAccessError: it belongs to another user, or its modes forbid the access.
            OSError: it cannot be created or read.
        """
        self.path: Final = path
        self._new = os.fspath(path / NEW)
        self._cur = os.fspath(path / CUR)
        create_spool(path)
        # Two processes would set each other's claimed files aside. The kernel releases the lock
        # when the process ends.
        self._lock = os.open(path / CUR, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise SpoolInUseError(f"cannot lock {path}: in use by another imapvm") from None

    def close(self) -> None:
        """Unlock the spool."""
        os.close(self._lock)

    def scan_new(self) -> Iterator[tuple[int, str]]:
        """Yield time of modification and name of each file in new/."""
        return _scan(self.path / NEW)

    def scan_cur(self) -> Iterator[tuple[int, str]]:
        """Yield the same for cur/: at the start, files that an earlier process left."""
        return _scan(self.path / CUR)

    def mtime_in_new(self, name: str) -> int | None:
        """Return the time of modification of a file in new/; None if it does not exist."""
        try:
            return os.lstat(f"{self._new}/{name}").st_mtime_ns
        except FileNotFoundError:
            return None

    def claim(self, name: str) -> bool:
        """Move a file from new/ to cur/, under the same name.

        Returns:
            False if it does not exist, or if cur/ has a file of that name: files are not replaced.
        """
        target = self._in_cur(name)
        if os.path.lexists(target):
            return False
        try:
            os.rename(f"{self._new}/{name}", target)
        except FileNotFoundError:
            return False
        return True

    def stat(self, name: str) -> os.stat_result | None:
        """Return the status of a file in cur/; None if it does not exist."""
        try:
            return os.lstat(self._in_cur(name))
        except FileNotFoundError:
            return None

    def open(self, name: str) -> BinaryIO:
        """Open a claimed file for reading.

        Raises:
            FileNotFoundError: it does not exist.
            NotRegularFileError: a link could disclose any file, a pipe would block.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            file = os.open(self._in_cur(name), flags)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO}:
                raise NotRegularFileError("not a regular file") from None
            raise
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise NotRegularFileError("not a regular file")
        return os.fdopen(file, "rb", buffering=0)

    def remove(self, name: str) -> None:
        """Remove a claimed file that was delivered."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._in_cur(name))

    def set_aside(self, name: str, part: str, reason: str) -> str:
        """Move a claimed file to undeliverable/ or failed/, with a file that has the reason.

        Returns:
            The name of the file there: with a suffix `~2`, `~3` … if the name was in use.
        """
        there = name
        attempt = 1
        while os.path.lexists(self.path / part / there):
            attempt += 1
            # After NAMES_TRIED a random suffix: a search for each of many files would be quadratic.
            suffix = str(attempt) if attempt <= NAMES_TRIED else fresh_name()
            there = f"{name}~{suffix}"
        # The reason first: a crash between the two must not leave a file without its reason.
        draft = self.path / TMP / fresh_name()
        draft.write_text(reason, encoding="utf-8", errors="backslashreplace")
        draft.rename(self.path / part / (there + REASON))
        os.rename(self._in_cur(name), self.path / part / there)
        return there

    def _in_cur(self, name: str) -> str:
        return f"{self._cur}/{name}"

    def remove_stale(self, now: float | None = None) -> Iterator[str | None]:
        """Remove files in tmp/ that are older than STALE_SECONDS; yield name or None for each."""
        now = time.time() if now is None else now
        with os.scandir(self.path / TMP) as entries:
            for entry in entries:
                removed = None
                with contextlib.suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode) and found.st_mtime < now - STALE_SECONDS:
                        os.unlink(entry.path)
                        removed = entry.name
                yield removed


def is_mail(name: str) -> bool:
    """Return False for names that start with a dot: a writer may use them for unfinished files."""
    return bool(name) and not name.startswith(".")


def printable_name(name: str) -> str:
    """Return a file name in ASCII, for log events and header fields."""
    return name.encode("utf-8", "surrogateescape").decode("ascii", "backslashreplace")


def _scan(directory: Path) -> Iterator[tuple[int, str]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if is_mail(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    yield entry.stat(follow_symlinks=False).st_mtime_ns, entry.name
