"""Opening LMDB environments with the settings of docs/decisions/0008, and their data files."""

import errno
import os
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, TypeVar

import lmdb

from imapvm._core import CorruptError, DataFile
from imapvm.filepool.engine.data_file import DATA_FILE, check_data_file
from imapvm.filepool.errors import (
    CorruptDataError,
    FilepoolError,
    StoreUnavailableError,
    TruncatedFileError,
)
from imapvm.filepool.format import unavailable

MAP_SIZE: Final = 1 << 40
"""Address space, not disk: a map that never fills up never has to be resized."""
Tables = TypeVar("Tables")
"""Dataclass with one field per table of an environment."""

CORRUPTION: Final = (
    lmdb.CorruptedError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.VersionMismatchError,
)
"""Errors of LMDB about pages that it cannot read."""

DISK_FULL_BYTES: Final = 1024 * 1024
"""A disk with less free space is reported as full if a write to it was cut off."""

READERS_MAX: Final = 1024
"""Read transactions that are open at one time, over all processes."""
READER_BYTES: Final = 64
LOCK_HEADER_BYTES: Final = 1024
"""Layout of a lock file: at most this for header and mutexes, then a cache line per reader."""


def open_environment(
    path: Path, kind: type[Tables], *, create: bool = False, map_size: int = MAP_SIZE
) -> tuple[lmdb.Environment, Tables]:
    """Open an environment with its tables.

    Raises:
        FilepoolError: the environment is already open in this process.
        CorruptDataError: the data file is truncated, cannot be read, or has not all tables.
        StoreUnavailableError: the disk is full.
    """
    try:
        if not create:
            check_data_file(path)
        _reserve_lock(path)
    except OSError as error:
        raise unavailable(path, error) from None
    try:
        env = lmdb.open(
            str(path),
            map_size=map_size,
            max_dbs=32,
            max_readers=READERS_MAX,
            max_spare_txns=1,
            lib_version=0,
            create=create,
            mode=0o600,
        )
    except lmdb.Error as error:
        if "already open" in str(error):
            raise FilepoolError(f"cannot open {path}: it is already open in this process") from None
        raise lmdb_error(f"open {path}", error, directory=path) from None
    try:
        env.reader_check()
        return env, open_tables(env, kind, create=create)
    except lmdb.NotFoundError:
        env.close()
        raise CorruptDataError(
            f"cannot open {path}: a table is missing; restore the filepool from a backup"
        ) from None
    except lmdb.Error as error:
        env.close()
        raise lmdb_error(f"open {path}", error, directory=path) from None


def lmdb_error(
    action: str, error: Exception, *, directory: str | Path | None = None
) -> FilepoolError:
    """Return the exception to raise for an error of LMDB or of the operating system.

    Its message has the operating system's reason, and no words of LMDB.

    Args:
        action: that failed, such as `open DIRECTORY`.
        error: raised by LMDB or by the operating system.
        directory: of the environment, to tell a full disk from a failing one.
    """
    code = error.errno if isinstance(error, OSError) else _system_error(error)
    # LMDB reports a write that was cut off by a full disk as an input/output error.
    if code == errno.EIO and directory is not None and _is_full(directory):
        code = errno.ENOSPC
    kind: type[FilepoolError] = StoreUnavailableError
    if code is not None:
        reason = os.strerror(code).lower()
    elif isinstance(error, lmdb.MapFullError):
        reason = "the map of the data file is full"
    elif isinstance(error, lmdb.ReadersFullError):
        reason = "too many transactions are open"
    elif isinstance(error, CORRUPTION):
        kind, reason = CorruptDataError, "stored data is corrupt"
    else:
        reason = "the storage engine failed"
    return kind(f"cannot {action}: {reason}")


def _system_error(error: Exception) -> int | None:
    """Return the error number of the operating system in an exception of LMDB."""
    reason = str(error).rpartition(": ")[2].rstrip(".")
    return next((code for code in errno.errorcode if os.strerror(code) == reason), None)


def map_data_file(path: Path, map_size: int) -> DataFile:
    """Map the data file of an open environment, to read pages without LMDB.

    LMDB's locks are on its other file, so closing this one releases none of them.

    Raises:
        StoreUnavailableError: the file cannot be mapped.
    """
    try:
        file = os.open(path / DATA_FILE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return DataFile(file, map_size)
        finally:
            os.close(file)
    except OSError as error:
        raise unavailable(path, error) from None


def check_data_size(data: DataFile, path: Path) -> None:
    """Check that the data file of an open environment was not truncated. Takes about 0.8 us.

    Raises:
        TruncatedFileError: the file is shorter than it was.
    """
    try:
        data.check_size()
    except CorruptError:
        check_data_file(path)  # raises with the sizes, unless only free pages were missing
        raise TruncatedFileError(
            f"cannot use {path / DATA_FILE}: the file was truncated while it was in use; no page "
            "that is in use is missing: start again"
        ) from None


def _reserve_lock(path: Path) -> None:
    """Reserve disk space for the whole lock file.

    LMDB creates it sparse and writes to it as memory: on a full disk the process would be killed
    by SIGBUS.

    A lock file that has its space is not opened. If the environment is already open in this
    process, closing the file would release the process's locks on it, and the next process would
    initialize it again.
    """
    file = path / "lock.mdb"
    size = READERS_MAX * READER_BYTES + LOCK_HEADER_BYTES
    if file.exists() and file.stat().st_blocks * 512 >= size:
        return
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(lock, 0, size)
    finally:
        os.close(lock)


def open_tables(env: lmdb.Environment, kind: type[Tables], *, create: bool) -> Tables:
    """Open all tables of an environment in one transaction.

    Tables that an older version does not have are made, empty.
    """
    with env.begin(write=True) as txn:
        return kind(
            *(
                env.open_db(name.encode(), txn=txn, create=create or added)
                for name, added in zip(table_names(kind), _added(kind), strict=True)
            )
        )


def table_names(kind: type[Any]) -> list[str]:
    """Return the names of an environment's tables on disk, in the order of the fields.

    A field whose name differs has the name on disk in its dataclass metadata.
    """
    return [table.metadata.get("name", table.name) for table in fields(kind)]


def _added(kind: type[Any]) -> list[bool]:
    """Return True for each table that a filepool of an older version may not have."""
    return [table.metadata.get("added", False) for table in fields(kind)]


def _is_full(directory: str | Path) -> bool:
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < DISK_FULL_BYTES
