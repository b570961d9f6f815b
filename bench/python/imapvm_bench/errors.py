"""What goes wrong, as a sentence, and what the command's exit status says of it."""

from enum import IntEnum


class Status(IntEnum):
    """Exit status of `imapvm-bench`. Part of its manual: bench/README.md."""

    OK = 0
    """Measured, and no command failed."""
    ERRORS = 1
    """Measured, and some commands failed: the table says which, and shows one."""
    USAGE = 2
    """The command line or a scenario file is wrong; nothing was sent."""
    NOT_STARTED = 3
    """The server cannot be reached, or refuses the users, or lacks what is needed."""
    SERVER_STOPPED = 4
    """The server stopped answering; what was measured until then is shown."""
    INTERRUPTED = 130
    """Ctrl-C; what was measured until then is shown."""


class BenchError(Exception):
    """One sentence for whoever runs the tool, and the exit status it ends with."""

    def __init__(self, sentence: str, status: Status = Status.NOT_STARTED) -> None:
        super().__init__(sentence)
        self.status = status
