"""The filepool's directory: what belongs there, and who may open it. Does not use LMDB.

filepool/            mode 0700
FORMAT           what this is, in text; written last when a filepool is made
accounts/        the environment of accounts
group-000/ …     a storage group each
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from imapvm.filepool.errors import (
    FilepoolError,
    FilepoolMissingError,
    NotAFilepoolError,
    StoreUnavailableError,
    WrongFormatError,
)

FORMAT: Final = 1
MAGIC: Final = "imapvm filepool"
GROUPS_MAX: Final = 1000
"""`group-000` has three digits."""

ACCOUNTS: Final = "accounts"


@dataclass(frozen=True, slots=True)
class Format:
    """What FORMAT says."""

    groups: int
    created: int
    """Seconds since 1970 UTC."""

    def __str__(self) -> str:
        created = datetime.fromtimestamp(self.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{MAGIC}\nformat {FORMAT}\ngroups {self.groups}\ncreated {created}\n"


def group_name(number: int) -> str:
    """A storage group's directory."""
    return f"group-{number:03}"


def read_format(path: Path) -> Format:
    """Look whether a filepool is here that this version and this process can open.

    Raises:
        FilepoolMissingError: nothing is here.
        NotAFilepoolError: something else is here.
        WrongFormatError: another version's filepool.
        FilepoolError: it is another user's, or cannot be closed to others.
    """
    try:
        if not path.is_dir():
            if path.exists():
                raise NotAFilepoolError(f"{path} is not a directory.")
            raise FilepoolMissingError(f"There is no filepool at {path}.")
        check_owner(path)
        text = (path / "FORMAT").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotAFilepoolError(f"{path} is not a filepool: it has no FORMAT file.") from None
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        raise unavailable(path, error) from None
    found = _parse(text)
    if found is None:
        raise NotAFilepoolError(f"{path} is not a filepool: its FORMAT file says something else.")
    for name in [ACCOUNTS, *(group_name(number) for number in range(found.groups))]:
        if not (path / name / "data.mdb").is_file():
            raise NotAFilepoolError(f"{path} is not whole: {name}/data.mdb is missing.")
    return found


def check_owner(path: Path) -> None:
    """See that nobody else can look into the directory, and that it is ours."""
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise FilepoolError(
            f"{path} belongs to user {found.st_uid}; user {os.geteuid()} may not open it."
        )
    if found.st_mode & 0o077:
        try:
            path.chmod(0o700)
        except OSError as error:
            raise FilepoolError(
                f"{path} is open to other users and cannot be closed to them: {error.strerror}."
            ) from None


def unavailable(path: Path, error: OSError) -> FilepoolError:
    """What to raise where the operating system refused."""
    return StoreUnavailableError(f"{path} cannot be used: {error.strerror}.")


def _parse(text: str) -> Format | None:
    """Read FORMAT; None where it is something else."""
    lines = text.splitlines()
    if len(lines) < 2 or lines[0] != MAGIC:
        return None
    values = dict(line.partition(" ")[::2] for line in lines[1:])
    number = values.get("format", "")
    if number != str(FORMAT):
        raise WrongFormatError(
            f"The filepool has format {number or 'unknown'}; this version reads format {FORMAT}."
        )
    try:
        groups = int(values["groups"])
        created = datetime.strptime(values["created"], "%Y-%m-%dT%H:%M:%S%z")
    except (KeyError, ValueError):
        return None
    return Format(groups, int(created.timestamp())) if 1 <= groups <= GROUPS_MAX else None
