"""Roles of the processes of a server."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """Role of a process; with `workers = 0` one process has all roles."""

    WORKER = "worker"
    """Serves IMAP clients."""
    INTAKE = "intake"
    """Receives mail: LMTP and the spool."""
    MAINTENANCE = "maintenance"
    """Sweeps the filepool."""


ALL_ROLES: Final = frozenset(Role)
