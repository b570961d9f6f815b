"""Creation of an empty filepool."""

import os
from datetime import UTC, datetime
from pathlib import Path

from imapvm.filepool.engine.environment import open_environment
from imapvm.filepool.errors import FilepoolError, NotAFilepoolError
from imapvm.filepool.format import (
    ACCOUNTS,
    GROUPS_MAX,
    Format,
    check_owner,
    group_name,
    unavailable,
)
from imapvm.filepool.tables.schema import AccountTables, GroupTables


def create_filepool(path: Path, *, groups: int = 1, now: float | None = None) -> None:
    """Create an empty filepool.

    Args:
        path: a directory that is empty or does not exist.
        groups: number of storage groups; it cannot be changed later.
        now: seconds since 1970, for FORMAT; read from the clock by default.

    Raises:
        FilepoolError: the directory is not empty, the disk is full, or permission is missing.
    """
    if not 1 <= groups <= GROUPS_MAX:
        raise FilepoolError(f"a filepool has 1 to {GROUPS_MAX} storage groups")
    names = [ACCOUNTS, *(group_name(number) for number in range(groups))]
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        present = {entry.name for entry in path.iterdir()}
        if "FORMAT" in present:
            raise FilepoolError(f"cannot create filepool {path}: it already exists")
        if not present <= {"FORMAT.new", *names}:
            raise NotAFilepoolError(f"cannot create filepool {path}: the directory is not empty")
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
                # Environments left by an interrupted creation are empty.
                if txn.stat(first)["entries"]:
                    raise NotAFilepoolError(
                        f"cannot create filepool {path}: it has mail, but no FORMAT"
                    )
        _write_durably(path / "FORMAT", str(Format(groups, int(_now() if now is None else now))))
    except FileExistsError:
        raise NotAFilepoolError(f"cannot create filepool {path}: it is not a directory") from None
    except OSError as error:
        raise unavailable(path, error) from None


def _write_durably(path: Path, text: str) -> None:
    """Write a file so that it exists whole and durable, or not at all."""
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
