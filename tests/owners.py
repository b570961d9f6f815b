"""Files of another user, without a second user: only root could make them."""

import os
from pathlib import Path


def set_owner(monkeypatch, path: Path, uid: int) -> None:
    """Let `Path.stat` show another owner of one file or directory."""
    real = Path.stat

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(self, follow_symlinks=follow_symlinks)
        return os.stat_result((*found[:4], uid, *found[5:])) if self == path else found

    monkeypatch.setattr(Path, "stat", stat)
