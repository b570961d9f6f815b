"""Errors that an operator can act on: one line for standard error, and an exit code."""

from typing import Final

FAILED: Final = 1
"""The request was refused or failed."""
USAGE: Final = 2
"""The command line is wrong (argparse uses the same code)."""
CORRUPT: Final = 3
"""Stored data is corrupt; `filepool check` found it and did not repair it, or a verb met it."""
TRY_AGAIN: Final = 75
"""EX_TEMPFAIL of sysexits.h: a temporary failure, such as a full disk."""
CONFIGURATION: Final = 78
"""EX_CONFIG of sysexits.h."""


class OperatorError(Exception):
    """Error that is reported by its message alone, without a traceback.

    The message is `cannot X: reason` with the name of the thing and, where there is one, the
    command or option that fixes it.
    """

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


class ConfigError(OperatorError):
    """Error in a configuration file, with file, line and key."""

    def __init__(self, file: str, line: int | None, key: str | None, reason: str) -> None:
        place = file if line is None else f"{file}:{line}"
        super().__init__(": ".join(filter(None, (place, key, reason))), CONFIGURATION)
        self.line = line
        self.key = key
        self.reason = reason
