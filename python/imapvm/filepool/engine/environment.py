"""Opening LMDB environments with the settings of docs/decisions/0008, and their data files."""

import os
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, TypeVar

import lmdb

from imapvm._core import DataFile
from imapvm.filepool.errors import FilepoolError, NotAFilepoolError, StoreUnavailableError
from imapvm.filepool.format import unavailable

MAP_SIZE: Final = 1 << 40
"""Address space, not disk: a map that never fills up never has to be resized."""
Tables = TypeVar("Tables")
"""Dataclass with one field per table of an environment."""

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
        FilepoolError: the environment is already open in this process, or LMDB cannot read it.
        StoreUnavailableError: the disk is full.
    """
    try:
        _reserve_lock(path)
    except OSError as error:
        raise StoreUnavailableError(f"cannot open {path}: {error.strerror}") from None
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
        raise StoreUnavailableError(f"cannot open {path}: {error}") from None
    except lmdb.Error as error:
        raise FilepoolError(f"cannot open {path}: {str(error).rstrip('.')}") from None
    try:
        env.reader_check()
        return env, open_tables(env, kind, create=create)
    except (lmdb.DiskError, lmdb.MapFullError) as error:
        env.close()
        raise StoreUnavailableError(f"cannot open {path}: {error}") from None
    except lmdb.Error as error:
        env.close()
        raise NotAFilepoolError(f"cannot read {path}: {error}") from None


def map_data_file(path: Path, map_size: int) -> DataFile:
    """Map the data file of an open environment, to read pages without LMDB.

    LMDB's locks are on its other file, so closing this one releases none of them.

    Raises:
        StoreUnavailableError: the file cannot be mapped.
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
    """Open all tables of an environment in one transaction."""
    with env.begin(write=True) as txn:
        return kind(
            *(env.open_db(name.encode(), txn=txn, create=create) for name in table_names(kind))
        )


def table_names(kind: type[Any]) -> list[str]:
    """Return the names of an environment's tables on disk, in the order of the fields.

    A field whose name differs has the name on disk in its dataclass metadata.
    """
    return [table.metadata.get("name", table.name) for table in fields(kind)]
