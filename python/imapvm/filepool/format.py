"""The directory of a filepool: its files, FORMAT, and the check of its owner.

filepool/            mode 0700
    FORMAT           format and number of groups, as text; written last at creation
    accounts/        environment of accounts
    group-000/ …     environment of each storage group

Does not import LMDB: the master process reads FORMAT and must not map an environment.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from imapvm.filepool.errors import (
    CorruptDataError,
    FilepoolError,
    FilepoolMissingError,
    NotAFilepoolError,
    StoreUnavailableError,
    WrongFormatError,
)
from imapvm.filepool.ownership import wrong_owner

FORMAT: Final = 1
MAGIC: Final = "imapvm filepool"
GROUPS_MAX: Final = 1000
"""`group-000` has three digits."""

ACCOUNTS: Final = "accounts"


@dataclass(frozen=True, slots=True)
class Format:
    """Content of the FORMAT file."""

    groups: int
    created: int
    """Seconds since 1970 UTC."""

    def __str__(self) -> str:
        created = datetime.fromtimestamp(self.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{MAGIC}\nformat {FORMAT}\ngroups {self.groups}\ncreated {created}\n"


def group_name(number: int) -> str:
    """Return the name of a storage group's directory."""
    return f"group-{number:03}"


def read_format(path: Path) -> Format:
    """Read FORMAT, and check that this process can open the filepool.

    Raises:
        FilepoolMissingError: the directory does not exist.
        NotAFilepoolError: it is something else.
        CorruptDataError: a part is missing, or FORMAT cannot be parsed.
        WrongFormatError: the filepool has another format.
        FilepoolError: it belongs to another user, or other users can access it.
    """
    try:
        if not path.is_dir():
            if path.exists():
                raise NotAFilepoolError(f"{path} is not a directory")
            raise FilepoolMissingError(
                f"there is no filepool at {path}; create it with `imapvm filepool create`"
            )
        check_owner(path)
        _check_part(path, path / "FORMAT")
        text = (path / "FORMAT").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _without_format(path, "is missing") from None
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        raise unavailable(path, error) from None
    found = _parse(text)
    if found is None:
        raise _without_format(path, "cannot be parsed")
    for name in [ACCOUNTS, *(group_name(number) for number in range(found.groups))]:
        for part in (path / name, path / name / "data.mdb", path / name / "lock.mdb"):
            _check_part(path, part)
        if not (path / name / "data.mdb").is_file():
            raise CorruptDataError(
                f"cannot open {path}: {name}/data.mdb is missing;"
                " restore the filepool from a backup"
            )
    return found


def _without_format(path: Path, reason: str) -> FilepoolError:
    """Return the error for a directory without a valid FORMAT: with data, it is corrupt."""
    if not (path / ACCOUNTS / "data.mdb").exists():
        return NotAFilepoolError(f"{path} is not a filepool: FORMAT {reason}")
    return CorruptDataError(
        f"cannot open {path}: FORMAT {reason}; restore the filepool from a backup, or complete an"
        " interrupted creation with `imapvm filepool create`"
    )


def check_owner(path: Path) -> None:
    """Check that the directory belongs to this user; close it to other users.

    Raises:
        FilepoolError: it belongs to another user, or its mode cannot be changed.
    """
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise FilepoolError(wrong_owner("open", path, path))
    if found.st_mode & 0o077:
        try:
            path.chmod(0o700)
        except OSError as error:
            raise FilepoolError(f"cannot close {path} to other users: {error.strerror}") from None


def _check_part(path: Path, part: Path) -> None:
    """Check that a file or directory of the filepool belongs to this user, if it exists.

    Raises:
        FilepoolError: it belongs to another user.
    """
    if part.exists() and part.stat().st_uid != os.geteuid():
        raise FilepoolError(wrong_owner("open", path, part))


def unavailable(path: Path, error: OSError) -> FilepoolError:
    """Return the exception to raise for an error of the operating system."""
    reason = (error.strerror or str(error)).lower()
    return StoreUnavailableError(f"cannot use {path}: {reason}")


def _parse(text: str) -> Format | None:
    """Parse FORMAT; return None if it is something else."""
    lines = text.splitlines()
    if len(lines) < 2 or lines[0] != MAGIC:
        return None
    values = dict(line.partition(" ")[::2] for line in lines[1:])
    number = values.get("format", "")
    if number != str(FORMAT):
        raise WrongFormatError(
            f"the filepool has format {number or 'unknown'}; this version reads format {FORMAT}"
        )
    try:
        groups = int(values["groups"])
        created = datetime.strptime(values["created"], "%Y-%m-%dT%H:%M:%S%z")
    except (KeyError, ValueError):
        return None
    return Format(groups, int(created.timestamp())) if 1 <= groups <= GROUPS_MAX else None
