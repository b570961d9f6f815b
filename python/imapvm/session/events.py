"""What a client can say, as the reader gives it: the unions over the extension's classes."""

from typing import TypeAlias

from imapvm._core import (
    Append,
    AppendData,
    AppendEnd,
    AppendMessage,
    AppendMessageEnd,
    Authenticate,
    Capability,
    Check,
    Close,
    Copy,
    Create,
    Delete,
    Enable,
    Expunge,
    Fetch,
    Id,
    Idle,
    IdleDone,
    List,
    LiteralWanted,
    Login,
    Logout,
    Lsub,
    Malformed,
    Move,
    Namespace,
    Noop,
    Rename,
    SaslResponse,
    Search,
    Select,
    StartTls,
    Status,
    Store,
    Subscribe,
    Unselect,
    Unsubscribe,
)

Command: TypeAlias = (
    Append
    | Authenticate
    | Capability
    | Check
    | Close
    | Copy
    | Create
    | Delete
    | Enable
    | Expunge
    | Fetch
    | Id
    | Idle
    | List
    | Login
    | Logout
    | Lsub
    | Move
    | Namespace
    | Noop
    | Rename
    | Search
    | Select
    | StartTls
    | Status
    | Store
    | Subscribe
    | Unselect
    | Unsubscribe
)
"""One command, tag included."""

Part: TypeAlias = (
    IdleDone | SaslResponse | AppendMessage | AppendData | AppendMessageEnd | AppendEnd
)
"""What comes inside a command that goes on: IDLE, AUTHENTICATE, APPEND."""

Event: TypeAlias = Command | Part | LiteralWanted | Malformed
"""Anything `CommandReader.next` gives."""
