"""Every command: its name, who carries it out, when it may be said, what it does to numbering."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from imapvm._core import (
    Append,
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
    List,
    Login,
    Logout,
    Lsub,
    Move,
    Namespace,
    Noop,
    Rename,
    Search,
    Select,
    StartTls,
    Status,
    Store,
    Subscribe,
    Unselect,
    Unsubscribe,
)
from imapvm.commands.context import Context
from imapvm.commands.handlers import (
    anytime,
    append,
    authenticate,
    copy,
    listing,
    mailboxes,
    select,
    status,
    store,
)
from imapvm.commands.handlers.fetch import fetch
from imapvm.commands.handlers.search import search
from imapvm.commands.outcome import Done
from imapvm.session.events import Command
from imapvm.session.states import (
    ANY,
    AUTHENTICATED,
    NOT_AUTHENTICATED,
    NOTHING_SELECTED,
    SELECTED,
    State,
)

CommandT = TypeVar("CommandT")


class Expunges(Enum):
    """Whether EXPUNGE may be announced with a command's answer (RFC 9051 section 7.5.1)."""

    TOLD = "told"
    HELD = "held"
    """The client's message numbers are in use until the tagged line."""
    NEW = "new"
    """The command itself tells all there is: nothing is left to be announced with its answer."""


@dataclass(frozen=True, slots=True)
class Row(Generic[CommandT]):
    """One command."""

    command: type[CommandT]
    name: str
    handler: Callable[[Context, CommandT], Done | Awaitable[Done]]
    states: frozenset[State]
    expunges: Expunges = Expunges.TOLD
    catches_up: bool = False
    """It changes flags: what others did before is taken up first (`View.learn`)."""

    @property
    def uid(self) -> bool:
        """A UID command: FETCH answers name the UID (RFC 9051 section 6.4.9)."""
        return self.name.startswith("UID ")


HELD: Final = Expunges.HELD
NEW: Final = Expunges.NEW

# fmt: off
TABLE: Final[tuple[Row[Any], ...]] = (
    # RFC 9051 section 6.1: any state
    Row(Capability,   "CAPABILITY",   anytime.capability,    ANY),
    Row(Noop,         "NOOP",         anytime.noop,          ANY),
    Row(Logout,       "LOGOUT",       anytime.logout,        ANY),
    Row(Id,           "ID",           anytime.identify,      ANY),
    # section 6.2: not authenticated
    Row(StartTls,     "STARTTLS",     authenticate.starttls, NOT_AUTHENTICATED),
    Row(Authenticate, "AUTHENTICATE", authenticate.authenticate,    NOT_AUTHENTICATED),
    Row(Login,        "LOGIN",        authenticate.login,           NOT_AUTHENTICATED),
    # section 6.3: authenticated
    Row(Enable,       "ENABLE",       anytime.enable,        NOTHING_SELECTED),
    Row(Select,       "SELECT",       select.select,      AUTHENTICATED, NEW),
    Row(Select,       "EXAMINE",      select.select,      AUTHENTICATED, NEW),
    Row(Create,       "CREATE",       mailboxes.create,      AUTHENTICATED),
    Row(Delete,       "DELETE",       mailboxes.delete,      AUTHENTICATED),
    Row(Rename,       "RENAME",       mailboxes.rename,      AUTHENTICATED),
    Row(Subscribe,    "SUBSCRIBE",    mailboxes.subscribe,   AUTHENTICATED),
    Row(Unsubscribe,  "UNSUBSCRIBE",  mailboxes.unsubscribe, AUTHENTICATED),
    Row(List,         "LIST",         listing.list_,            AUTHENTICATED),
    Row(Lsub,         "LSUB",         listing.lsub,             AUTHENTICATED),
    Row(Namespace,    "NAMESPACE",    mailboxes.namespace,   AUTHENTICATED),
    Row(Status,       "STATUS",       status.status,         AUTHENTICATED),
    Row(Append,       "APPEND",       append.append,         AUTHENTICATED),
    Row(Idle,         "IDLE",         anytime.idle,          AUTHENTICATED),
    # section 6.4: selected
    Row(Check,        "CHECK",        select.check,       SELECTED),
    Row(Close,        "CLOSE",        select.close,       SELECTED),
    Row(Unselect,     "UNSELECT",     select.unselect,    SELECTED),
    Row(Expunge,      "EXPUNGE",      store.expunge,         SELECTED),
    Row(Expunge,      "UID EXPUNGE",  store.expunge,         SELECTED),
    Row(Search,       "SEARCH",       search.search,         SELECTED, HELD),
    Row(Search,       "UID SEARCH",   search.search,         SELECTED),
    Row(Fetch,        "FETCH",        fetch.fetch,           SELECTED, HELD),
    Row(Fetch,        "UID FETCH",    fetch.fetch,           SELECTED),
    Row(Store,        "STORE",        store.store,           SELECTED, HELD, catches_up=True),
    Row(Store,        "UID STORE",    store.store,           SELECTED, catches_up=True),
    Row(Copy,         "COPY",         copy.copy,             SELECTED),
    Row(Copy,         "UID COPY",     copy.copy,             SELECTED),
    Row(Move,         "MOVE",         copy.move,             SELECTED),
    Row(Move,         "UID MOVE",     copy.move,             SELECTED),
)
# fmt: on


def _by_class() -> dict[type[object], tuple[Row[Any], ...]]:
    rows: dict[type[object], tuple[Row[Any], ...]] = {}
    for row in TABLE:
        rows[row.command] = (*rows.get(row.command, ()), row)
    return rows


_BY_CLASS: Final = _by_class()


def row_of(command: Command) -> Row[Any]:
    """The row of a command; where two share a class, what the client wrote decides."""
    rows = _BY_CLASS[type(command)]
    if len(rows) == 1:
        return rows[0]
    match command:
        case Select():
            second = command.read_only
        case Expunge():
            second = command.uids is not None
        case Search() | Fetch() | Store() | Copy() | Move():
            second = command.uid
        case _:
            raise AssertionError(f"two rows for {command!r}")
    return rows[second]
