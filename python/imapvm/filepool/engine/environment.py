"""The filepool's environments: how LMDB is set, and how they are made."""

import os
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, TypeVar

import lmdb

from imapvm._core import DataFile
from imapvm.filepool.engine.format import unavailable
from imapvm.filepool.errors import FilepoolError, NotAFilepoolError, StoreUnavailableError

MAP_SIZE: Final = 1 << 40
"""Address space, not disk: so large that it is never reached and never has to be changed."""
Tables = TypeVar("Tables")
"""Dataclass with one field per table of an environment."""

READERS_MAX: Final = 1024
"""Read transactions open at one time, over all processes."""
READER_BYTES: Final = 64
LOCK_HEADER_BYTES: Final = 1024
"""Of a lock file: a cache line for each reader, and at most this in front, mutexes included."""


def open_environment(
    path: Path, kind: type[Tables], *, create: bool = False, map_size: int = MAP_SIZE
) -> tuple[lmdb.Environment, Tables]:
    """Open an environment with its tables.

    Reasons for the settings: FOUNDATIONS section 1.7. Full sync always.

    Raises:
        FilepoolError: it is open in this process already, or LMDB cannot read it.
        StoreUnavailableError: no room on the disk.
    """
    try:
        _reserve_lock(path)
    except OSError as error:
        raise StoreUnavailableError(f"There is no room to open {path}: {error.strerror}.") from None
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
    except lmdb.DiskError as error:
        raise StoreUnavailableError(f"There is no room to open {path}: {error}.") from None
    except lmdb.Error as error:
        raise FilepoolError(f"{path} cannot be opened: {str(error).rstrip('.')}.") from None
    try:
        env.reader_check()
        return env, open_tables(env, kind, create=create)
    except (lmdb.DiskError, lmdb.MapFullError) as error:
        env.close()
        raise StoreUnavailableError(f"There is no room to open {path}: {error}.") from None
    except lmdb.Error as error:
        env.close()
        raise NotAFilepoolError(f"{path} cannot be read: {error}.") from None


def map_data_file(path: Path, map_size: int) -> DataFile:
    """Map the data file of an environment that is open, to read pages without LMDB.

    LMDB's locks are on its other file: closing this one gives none of them up.

    Raises:
        StoreUnavailableError: it cannot be mapped.
    """
    try:
        file = os.open(path / "data.mdb", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return DataFile(file, map_size)
        finally:
            os.close(file)
    except OSError as error:
        raise unavailable(path, error) from None


def _reserve_lock(path: Path) -> None:
    """See that the whole lock file has room on the disk.

    LMDB makes it with holes and writes to it as memory: on a full disk that is not an error but
    SIGBUS, and the end of the process.

    A file that has its room is not opened: closing it would give up this process's locks on it, if
    the environment is open here already, and the next process would take it for its own.
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
    """Open every table of an environment in one transaction."""
    with env.begin(write=True) as txn:
        return kind(
            *(env.open_db(name.encode(), txn=txn, create=create) for name in table_names(kind))
        )


def table_names(kind: type[Any]) -> list[str]:
    """Return the names of an environment's tables in the file, in the order of the fields."""
    return [table.metadata.get("name", table.name) for table in fields(kind)]
