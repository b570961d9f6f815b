"""Errors of the tool, and the exit status of `imapvm-bench`."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit status of `imapvm-bench`, documented in bench/README.md."""

    OK = 0
    """Measured, and no command failed."""
    ERRORS = 1
    """Measured, and some commands failed: the table shows the kinds, with an example each."""
    USAGE = 2
    """The command line or a scenario file is wrong; nothing was sent."""
    NOT_STARTED = 3
    """No connection, the log-in was refused, or mail or a capability is missing."""
    SERVER_STOPPED = 4
    """The server stopped answering; the measurements until then are shown."""
    INTERRUPTED = 130
    """Ctrl-C; the measurements until then are shown."""


class BenchError(Exception):
    """Error message for the user, with the exit status."""

    def __init__(self, message: str, status: ExitStatus = ExitStatus.NOT_STARTED) -> None:
        super().__init__(message)
        self.status = status
