"""The filepool's environments: how LMDB is set, and how they are made."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import lmdb

from imapvm._core import DataFile
from imapvm.filepool.errors import FilepoolError, NotAFilepoolError, StoreUnavailableError
from imapvm.filepool.format import (
    ACCOUNTS,
    GROUPS_MAX,
    Format,
    check_owner,
    group_name,
    unavailable,
)
from imapvm.filepool.tables.schema import AccountTables, GroupTables, Tables, open_tables

MAP_SIZE: Final = 1 << 40
"""Address space, not disk: so large that it is never reached and never has to be changed."""
READERS_MAX: Final = 1024
"""Read transactions open at one time, over all processes."""
READER_BYTES: Final = 64
LOCK_HEADER_BYTES: Final = 1024
"""Of a lock file: a cache line for each reader, and at most this in front, mutexes included."""


def create_filepool(path: Path, *, groups: int = 1, now: float | None = None) -> None:
    """Make an empty filepool.

    Args:
        path: does not exist, or is an empty directory.
        groups: how many storage groups; it cannot be changed later.
        now: seconds since 1970, for FORMAT; the clock's by default.

    Raises:
        FilepoolError: there is one, or something else, or no room, or no permission.
    """
    if not 1 <= groups <= GROUPS_MAX:
        raise FilepoolError(f"A filepool has between 1 and {GROUPS_MAX} storage groups.")
    names = [ACCOUNTS, *(group_name(number) for number in range(groups))]
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        present = {entry.name for entry in path.iterdir()}
        if "FORMAT" in present:
            raise FilepoolError(f"There is a filepool in {path} already.")
        if not present <= {"FORMAT.new", *names}:
            raise NotAFilepoolError(f"{path} is not empty and is not a filepool.")
        check_owner(path)
        for name in names:
            (path / name).mkdir(mode=0o700, exist_ok=True)
            if name == ACCOUNTS:
                env, accounts = open_environment(path / name, AccountTables, create=True)
                first = accounts.accounts
            else:
                env, tables = open_environment(path / name, GroupTables, create=True)
                first = tables.usage
            with env, env.begin() as txn:
                # What a creation that was cut short has left is empty.
                if txn.stat(first)["entries"]:
                    raise NotAFilepoolError(f"{path} has mail in it but no FORMAT file.")
        _write_durably(path / "FORMAT", str(Format(groups, int(_now() if now is None else now))))
    except FileExistsError:
        raise NotAFilepoolError(f"{path} is not a directory.") from None
    except OSError as error:
        raise unavailable(path, error) from None


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


def _write_durably(path: Path, text: str) -> None:
    """Put a whole file in place, or none."""
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as file:
        new.chmod(0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _now() -> float:
    return datetime.now(UTC).timestamp()
