"""Table of commands: name, handler, states, and effect on message numbers."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from imapvm._core import (
    Append,
    Authenticate,
    CancelUpdate,
    Capability,
    Check,
    Close,
    Comparator,
    Compress,
    Copy,
    Create,
    Delete,
    DeleteAcl,
    Enable,
    Expunge,
    Fetch,
    GetAcl,
    GetMetadata,
    GetQuota,
    GetQuotaRoot,
    Id,
    Idle,
    Language,
    List,
    ListRights,
    Login,
    Logout,
    Lsub,
    Move,
    MultiSearch,
    MyRights,
    Namespace,
    Noop,
    Notify,
    Rename,
    Replace,
    Search,
    Select,
    SetAcl,
    SetMetadata,
    SetQuota,
    Sort,
    StartTls,
    Status,
    Store,
    Subscribe,
    Thread,
    UidBatches,
    Unauthenticate,
    Unselect,
    Unsubscribe,
)
from imapvm.commands.context import AccountContext, Context, SelectedContext
from imapvm.commands.handlers import (
    anytime,
    authenticate,
    copy,
    i18n,
    notify,
    select,
    store,
)
from imapvm.commands.handlers.append import append
from imapvm.commands.handlers.fetch import fetch
from imapvm.commands.handlers.mailboxes import acl, listing, mailboxes, metadata, quota, status
from imapvm.commands.handlers.search import multi_search, search, sort, uid_batches, updating
from imapvm.commands.outcome import Done
from imapvm.session.events import Command
from imapvm.session.states import State

ContextT = TypeVar("ContextT", bound=Context)
CommandT = TypeVar("CommandT")


class Updates(Enum):
    """Updates that are written before a command's tagged response (RFC 9051 section 7.5.1)."""

    ALL = "all"
    HOLD_EXPUNGES = "hold expunges"
    """The client's message numbers are in use until the tagged response."""
    NONE = "none"
    """The command's own responses describe the mailbox as it is now."""


@dataclass(frozen=True, slots=True)
class Allowed(Generic[ContextT]):
    """States in which a command is allowed, and the context that its handler gets there."""

    states: frozenset[State]
    context: type[ContextT]


ANY: Final = Allowed(
    frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED}), Context
)
NOT_AUTHENTICATED: Final = Allowed(frozenset({State.NOT_AUTHENTICATED}), Context)
SIGNED_IN: Final = Allowed(frozenset({State.AUTHENTICATED, State.SELECTED}), AccountContext)
SIGNED_IN_OWN: Final = Allowed(SIGNED_IN.states, Context)
"""With the connection's own context: IDLE, as updates are pushed to it, and UNAUTHENTICATE."""
NOTHING_SELECTED: Final = Allowed(frozenset({State.AUTHENTICATED}), AccountContext)
SELECTED: Final = Allowed(frozenset({State.SELECTED}), SelectedContext)

HOLD: Final = Updates.HOLD_EXPUNGES
NONE: Final = Updates.NONE


NUMBERED: Final = frozenset({"SEARCH", "SORT", "THREAD", "FETCH", "STORE", "COPY", "MOVE"})
"""Commands with message numbers; the same commands after UID have UIDs."""


EXPUNGING: Final = frozenset({"EXPUNGE", "MOVE", "REPLACE"})
"""Commands whose responses are EXPUNGE, also after UID."""


@dataclass(frozen=True, slots=True)
class CommandRow(Generic[ContextT, CommandT]):
    """One command. A handler that may wait is a coroutine function."""

    command: type[CommandT]
    name: str
    handler: Callable[[ContextT, CommandT], Done | Coroutine[Any, Any, Done]]
    allowed: Allowed[ContextT]
    updates: Updates = Updates.ALL
    # Derived; dispatch reads them for each command.
    states: frozenset[State] = field(init=False)
    enter: Callable[[Context], ContextT] | None = field(init=False)
    """Makes the handler's context; None where that is the connection's own."""
    uid: bool = field(init=False)
    """True for a UID command: FETCH responses include the UID (RFC 9051 section 6.4.9)."""
    numbers: bool = field(init=False)
    """True for a command with message numbers, which UIDONLY forbids (RFC 9586 section 3.1)."""
    expunges: bool = field(init=False)
    """True for a command whose responses are EXPUNGE."""
    completed: str = field(init=False)
    """Text of the tagged OK."""

    def __post_init__(self) -> None:
        own = self.allowed.context is Context
        object.__setattr__(self, "states", self.allowed.states)
        object.__setattr__(self, "enter", None if own else self.allowed.context)
        object.__setattr__(self, "uid", self.name.startswith("UID "))
        object.__setattr__(self, "numbers", self.name in NUMBERED)
        object.__setattr__(self, "expunges", self.name.removeprefix("UID ") in EXPUNGING)
        object.__setattr__(self, "completed", f"{self.name.removeprefix('UID ')} completed")


Row = CommandRow
# fmt: off
TABLE: Final[tuple[CommandRow[Any, Any], ...]] = (
    # RFC 9051 section 6.1: any state
    Row(Capability,   "CAPABILITY",   anytime.capability,       ANY),
    Row(Noop,         "NOOP",         anytime.noop,             ANY),
    Row(Logout,       "LOGOUT",       anytime.logout,           ANY),
    Row(Id,           "ID",           anytime.identify,         ANY),
    Row(Language,     "LANGUAGE",     i18n.language,            ANY),
    # section 6.2: not authenticated
    Row(StartTls,     "STARTTLS",     authenticate.starttls,    NOT_AUTHENTICATED),
    Row(Authenticate, "AUTHENTICATE", authenticate.authenticate, NOT_AUTHENTICATED),
    Row(Login,        "LOGIN",        authenticate.login,       NOT_AUTHENTICATED),
    # section 6.3: authenticated
    Row(Enable,       "ENABLE",       anytime.enable,           NOTHING_SELECTED),
    Row(Compress,     "COMPRESS",     anytime.compress,         SIGNED_IN),
    Row(Comparator,   "COMPARATOR",   i18n.comparator,          SIGNED_IN),
    Row(Unauthenticate, "UNAUTHENTICATE", authenticate.unauthenticate, SIGNED_IN_OWN, NONE),
    Row(Select,       "SELECT",       select.select,            SIGNED_IN, NONE),
    Row(Select,       "EXAMINE",      select.select,            SIGNED_IN, NONE),
    Row(Create,       "CREATE",       mailboxes.create,         SIGNED_IN),
    Row(Delete,       "DELETE",       mailboxes.delete,         SIGNED_IN),
    Row(Rename,       "RENAME",       mailboxes.rename,         SIGNED_IN),
    Row(Subscribe,    "SUBSCRIBE",    mailboxes.subscribe,      SIGNED_IN),
    Row(Unsubscribe,  "UNSUBSCRIBE",  mailboxes.unsubscribe,    SIGNED_IN),
    Row(SetAcl,       "SETACL",       acl.set_acl,              SIGNED_IN),
    Row(DeleteAcl,    "DELETEACL",    acl.delete_acl,           SIGNED_IN),
    Row(GetAcl,       "GETACL",       acl.get_acl,              SIGNED_IN),
    Row(ListRights,   "LISTRIGHTS",   acl.list_rights,          SIGNED_IN),
    Row(MyRights,     "MYRIGHTS",     acl.my_rights,            SIGNED_IN),
    Row(List,         "LIST",         listing.list_,            SIGNED_IN),
    Row(Lsub,         "LSUB",         listing.lsub,             SIGNED_IN),
    Row(Namespace,    "NAMESPACE",    mailboxes.namespace,      SIGNED_IN),
    Row(GetMetadata,  "GETMETADATA",  metadata.getmetadata,     SIGNED_IN),
    Row(SetMetadata,  "SETMETADATA",  metadata.setmetadata,     SIGNED_IN),
    Row(Status,       "STATUS",       status.status,            SIGNED_IN),
    Row(GetQuota,     "GETQUOTA",     quota.get_quota,          SIGNED_IN),
    Row(GetQuotaRoot, "GETQUOTAROOT", quota.get_quota_root,     SIGNED_IN),
    Row(SetQuota,     "SETQUOTA",     quota.set_quota,          SIGNED_IN),
    Row(MultiSearch,  "ESEARCH",      multi_search.multi_search, SIGNED_IN),
    Row(Append,       "APPEND",       append.append,            SIGNED_IN),
    Row(Notify,       "NOTIFY",       notify.notify,            SIGNED_IN_OWN),
    Row(Idle,         "IDLE",         anytime.idle,             SIGNED_IN_OWN),
    # section 6.4: selected
    Row(Check,        "CHECK",        select.check,             SELECTED),
    Row(Close,        "CLOSE",        select.close,             SELECTED),
    Row(Unselect,     "UNSELECT",     select.unselect,          SELECTED),
    Row(Expunge,      "EXPUNGE",      store.expunge,            SELECTED),
    Row(Expunge,      "UID EXPUNGE",  store.expunge,            SELECTED),
    Row(Search,       "SEARCH",       search.search,            SELECTED, HOLD),
    Row(Search,       "UID SEARCH",   search.search,            SELECTED),
    Row(Sort,         "SORT",         sort.sort,                SELECTED, HOLD),
    Row(Sort,         "UID SORT",     sort.sort,                SELECTED),
    Row(Thread,       "THREAD",       sort.thread,              SELECTED, HOLD),
    Row(Thread,       "UID THREAD",   sort.thread,              SELECTED),
    Row(CancelUpdate, "CANCELUPDATE", updating.cancel_update,   SELECTED),
    Row(UidBatches,   "UIDBATCHES",   uid_batches.uid_batches,  SELECTED),
    Row(Fetch,        "FETCH",        fetch.fetch,              SELECTED, HOLD),
    Row(Fetch,        "UID FETCH",    fetch.fetch,              SELECTED),
    Row(Store,        "STORE",        store.store,              SELECTED, HOLD),
    Row(Store,        "UID STORE",    store.store,              SELECTED),
    Row(Copy,         "COPY",         copy.copy,                SELECTED),
    Row(Copy,         "UID COPY",     copy.copy,                SELECTED),
    Row(Move,         "MOVE",         copy.move,                SELECTED),
    Row(Move,         "UID MOVE",     copy.move,                SELECTED),
    Row(Replace,      "REPLACE",      append.replace,           SELECTED),
    Row(Replace,      "UID REPLACE",  append.replace,           SELECTED),
)
# fmt: on


SECOND: Final[dict[type[object], str]] = {Select: "read_only", Expunge: "uids"}
"""Attribute that is set in commands of a class's second row; in all other classes "uid"."""

_Rows = tuple[CommandRow[Any, Any], str, CommandRow[Any, Any]]


def _by_class() -> dict[type[object], _Rows]:
    rows: dict[type[object], _Rows] = {}
    for row in TABLE:
        kind = row.command
        rows[kind] = (
            (rows[kind][0], SECOND.get(kind, "uid"), row) if kind in rows else (row, "", row)
        )
    return rows


_BY_CLASS: Final = _by_class()


def row_of(command: Command) -> CommandRow[Any, Any]:
    """Return the row of a command; of two with the same class, the one that the client wrote."""
    first, attribute, second = _BY_CLASS[type(command)]
    if not attribute:
        return first
    value = getattr(command, attribute)
    return first if value is None or value is False else second
