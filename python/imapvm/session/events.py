"""Events of the command reader. The commands themselves are listed in `imapvm.commands.table`."""

from typing import Protocol, TypeAlias

from imapvm._core import (
    AppendData,
    AppendEnd,
    AppendMessage,
    AppendMessageEnd,
    IdleDone,
    LiteralWanted,
    Malformed,
    SaslResponse,
)


class Command(Protocol):
    """One command, of any class."""

    @property
    def tag(self) -> bytes:
        """The tag as received."""


Part: TypeAlias = (
    IdleDone | SaslResponse | AppendMessage | AppendData | AppendMessageEnd | AppendEnd
)
"""Event inside a command: IDLE, AUTHENTICATE, APPEND."""

Event: TypeAlias = Command | Part | LiteralWanted | Malformed
"""Any event that `CommandReader.next` returns."""
