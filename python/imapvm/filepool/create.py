"""Creation of an empty filepool."""

import os
from datetime import UTC, datetime
from pathlib import Path

from imapvm.filepool.engine.environment import open_environment
from imapvm.filepool.engine.format import (
    ACCOUNTS,
    GROUPS_MAX,
    Format,
    check_owner,
    group_name,
    unavailable,
)
from imapvm.filepool.errors import FilepoolError, NotAFilepoolError
from imapvm.filepool.tables.schema import AccountTables, GroupTables


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
