"""Layout of a spool directory: its parts, their creation, and the check of their owners.

tmp/            files that are being written; ignored
new/            submitted files: complete, renamed from tmp/
cur/            claimed files: in delivery, or waiting for a retry
undeliverable/  files held for unknown recipients, each with NAME.reason
failed/         files that cannot be processed, each with NAME.reason
attempts        counts of attempts for the files in cur/ (`attempts.py`)
delivered/      recipients that have the messages of files that stay (`delivered.py`)

Does not import Trio: the master process checks the spool before it starts others.
"""

import os
from pathlib import Path
from typing import Final

from imapvm.filepool.ownership import wrong_owner
from imapvm.intake.spool.file import NEW, TMP

CUR: Final = "cur"
UNDELIVERABLE: Final = "undeliverable"
FAILED: Final = "failed"
DELIVERED: Final = "delivered"
ATTEMPTS: Final = "attempts"
"""The only file."""
PARTS: Final = (TMP, NEW, CUR, UNDELIVERABLE, FAILED, DELIVERED)


class SpoolError(Exception):
    """The spool cannot be used; the message is for the operator."""


class SpoolInUseError(SpoolError):
    """Another process delivers from this spool."""


class SpoolAccessError(SpoolError):
    """The spool belongs to another user, or its modes forbid the access."""


def create_spool(path: Path) -> None:
    """Create missing directories of the spool, mode 0700, and check that this process can use all.

    Root can use every directory, but must not: what root creates in the spool of another user, that
    user cannot use.

    Raises:
        SpoolAccessError: a part belongs to another user, or cannot be used.
        OSError: it cannot be created.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except PermissionError as error:
        raise SpoolAccessError(f"cannot create spool {path}: permission denied") from error
    _check_access(path, path, os.R_OK | os.W_OK | os.X_OK)
    for part in PARTS:
        (path / part).mkdir(mode=0o700, exist_ok=True)
        _check_access(path, path / part, os.R_OK | os.W_OK | os.X_OK)
    if (path / ATTEMPTS).exists():
        _check_access(path, path / ATTEMPTS, os.R_OK)


def _check_access(path: Path, part: Path, mode: int) -> None:
    user, owner = os.geteuid(), part.stat().st_uid
    if os.access(part, mode, effective_ids=True) and (user != 0 or owner == 0):
        return
    if owner != user:
        raise SpoolAccessError(wrong_owner("use spool", path, part))
    raise SpoolAccessError(
        f"cannot use spool {path}: permission denied for {part}; to permit it: chmod u+rwX {part}"
    )
