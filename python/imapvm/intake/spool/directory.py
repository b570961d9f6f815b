"""The spool directory: its parts, and moving files between them.

tmp/            being written by whoever hands mail over; not looked at
new/            handed over: complete files, renamed from tmp/
cur/            claimed: being delivered, or waiting to be tried again
undeliverable/  held for recipients that are not here, with NAME.reason beside
failed/         set aside because they break something, with NAME.reason beside
"""

import contextlib
import errno
import fcntl
import os
import stat
import time
from pathlib import Path
from typing import BinaryIO, Final

from imapvm.intake.spool.file import NEW, TMP, fresh_name

CUR: Final = "cur"
UNDELIVERABLE: Final = "undeliverable"
FAILED: Final = "failed"
PARTS: Final = (TMP, NEW, CUR, UNDELIVERABLE, FAILED)
REASON: Final = ".reason"
STALE_SECONDS: Final = 36 * 60 * 60
"""After this, a file in tmp/ belongs to a program that died (the rule of Maildir)."""


class SpoolInUseError(Exception):
    """Another process delivers from this spool."""


class NotRegularFileError(Exception):
    """What was dropped is a link, a directory or a device: it is not opened."""


class SpoolDirectory:
    """One spool directory, held by this process while it is open.

    File names may be any octets: they are `str` as `os.fsdecode` makes them, and only written out
    through `shown`. Every call is short and synchronous; none waits for a disk to sync, since a
    file that comes back after a power loss is known again by its delivery id.
    """

    def __init__(self, path: Path) -> None:
        """Make what is missing, mode 0700, and take the directory for this process.

        Raises:
            SpoolInUseError: somebody else has it.
            OSError: it cannot be made or read.
        """
        self.path: Final = path
        self._new = os.fspath(path / NEW)
        self._cur = os.fspath(path / CUR)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in PARTS:
            (path / part).mkdir(mode=0o700, exist_ok=True)
        # Two that claim from each other's cur/ would set each other's files aside. The lock goes
        # with the process, however it ends.
        self._lock = os.open(path / CUR, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise SpoolInUseError(f"{path} is in use by another imapvm") from None

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    def waiting(self) -> list[str]:
        """Names in new/."""
        return _names(self.path / NEW)

    def claimed(self) -> list[str]:
        """Names in cur/: at the start, what an earlier process left over."""
        return _names(self.path / CUR)

    def claim(self, name: str) -> bool:
        """Move a file from new/ to cur/, under the same name.

        Returns:
            False where it is not there (any more), or where cur/ has one of that name, which must
            be done with first: nothing is ever replaced.
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
        """Of a file in cur/; None where it is gone."""
        try:
            return os.lstat(self._in_cur(name))
        except FileNotFoundError:
            return None

    def open(self, name: str) -> BinaryIO:
        """Open a claimed file for reading.

        Raises:
            FileNotFoundError: it is gone.
            NotRegularFileError: a link could deliver any file, a pipe would block.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            file = os.open(self._in_cur(name), flags)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO}:
                raise NotRegularFileError("it is not a regular file") from None
            raise
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise NotRegularFileError("it is not a regular file")
        return os.fdopen(file, "rb", buffering=0)

    def remove(self, name: str) -> None:
        """Remove a claimed file; all of it was delivered."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._in_cur(name))

    def set_aside(self, name: str, part: str, reason: str) -> str:
        """Move a claimed file to undeliverable/ or failed/, the reason beside it.

        Returns:
            The name it has there: with `~2` … behind it where that one was taken.
        """
        there = name
        attempt = 1
        while os.path.lexists(self.path / part / there):
            attempt += 1
            there = f"{name}~{attempt}"
        # The reason first: a file without one tells an operator nothing.
        draft = self.path / TMP / fresh_name()
        draft.write_text(reason, encoding="utf-8", errors="backslashreplace")
        draft.rename(self.path / part / (there + REASON))
        os.rename(self._in_cur(name), self.path / part / there)
        return there

    def _in_cur(self, name: str) -> str:
        return f"{self._cur}/{name}"

    def sweep_tmp(self, now: float | None = None) -> list[str]:
        """Remove what died in tmp/ more than STALE_SECONDS ago; return the names."""
        now = time.time() if now is None else now
        stale = []
        with os.scandir(self.path / TMP) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode) and found.st_mtime < now - STALE_SECONDS:
                        os.unlink(entry.path)
                        stale.append(entry.name)
                except FileNotFoundError:
                    continue
        return stale


def is_mail(name: str) -> bool:
    """False for names that begin with a dot: producers may use them for what is not yet ready."""
    return bool(name) and not name.startswith(".")


def printable_name(name: str) -> str:
    """A file name as it can stand in a log or a mail header."""
    return name.encode("utf-8", "surrogateescape").decode("ascii", "backslashreplace")


def _names(directory: Path) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if is_mail(entry.name)]
