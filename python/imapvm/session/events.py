"""Events of the command reader. The commands themselves are listed in `imapvm.commands.table`."""

from typing import Protocol, TypeAlias

from imapvm._core import (
    AppendData,
    AppendEnd,
    AppendMessage,
    AppendMessageEnd,
    AppendText,
    AppendUrl,
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
    IdleDone
    | SaslResponse
    | AppendMessage
    | AppendText
    | AppendUrl
    | AppendData
    | AppendMessageEnd
    | AppendEnd
)
"""Event inside a command: IDLE, AUTHENTICATE, APPEND, REPLACE."""

Event: TypeAlias = Command | Part | LiteralWanted | Malformed
"""Any event that `CommandReader.next` returns."""
