"""What goes wrong for an operator: one sentence, and the exit code that says what kind it is."""

from typing import Final

FAILED: Final = 1
"""It was refused, or did not work."""
USAGE: Final = 2
"""The command line is wrong (argparse uses the same)."""
DAMAGED: Final = 3
"""`filepool check` found something."""
TRY_AGAIN: Final = 75
"""EX_TEMPFAIL of sysexits.h: the disk is full, or something else that passes."""
CONFIGURATION: Final = 78
"""EX_CONFIG of sysexits.h."""


class OperatorError(Exception):
    """A sentence for standard error; no traceback belongs to it."""

    def __init__(self, sentence: str, code: int = FAILED) -> None:
        super().__init__(sentence)
        self.code = code


class ConfigError(OperatorError):
    """A mistake in a configuration file: names file, line and key."""

    def __init__(self, file: str, line: int | None, key: str | None, fault: str) -> None:
        place = file if line is None else f"{file}:{line}"
        super().__init__(": ".join(filter(None, (place, key, fault))), CONFIGURATION)
        self.line = line
        self.key = key
        self.fault = fault
