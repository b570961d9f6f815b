"""Services that all connections of a process share, and interfaces that the server implements."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Final, Protocol, TypeVar

import trio

from imapvm._core import ResponseWriter
from imapvm.auth.authenticator import Authenticator
from imapvm.commands.message_limit import NO_LIMIT, MessageLimit
from imapvm.commands.turns import Turns
from imapvm.filepool.accounts import Account
from imapvm.filepool.pool import Filepool
from imapvm.model.changes import AccountChange, Changed
from imapvm.model.ids import MailboxId
from imapvm.model.logs import LogInterval
from imapvm.session.client_rules import NO_RULES, CapabilityRules

SEARCH_THREADS: Final = min(len(os.sched_getaffinity(0)), 8)
"""One for each processor: they compute, and read from the disk only if the mail is not cached."""
REFUSAL_LOG_SECONDS: Final = 1.0
Key = TypeVar("Key")
VERSION: Final = metadata.version("imapvm")


class Channel(Protocol):
    """Transport of one connection. Its coroutines await `suspend()` before they block."""

    async def read(self) -> bytes:
        """Return the next bytes, at least one; b"" when the client will send no more."""

    def write_nowait(self, data: bytes) -> None:
        """Send what fits; queue the rest."""

    async def write(self, data: bytes) -> None:
        """Send, and return when the queue is empty."""

    @property
    def waiting(self) -> int:
        """Bytes in the queue."""

    @property
    def can_start_tls(self) -> bool:
        """True with a certificate, before TLS and before compression."""

    @property
    def tls_version(self) -> str | None:
        """Version of TLS in OpenSSL's words, `TLSv1.3`; None without TLS."""

    async def start_tls(self) -> None: ...

    @property
    def is_compressed(self) -> bool:
        """True after `start_compression`."""

    def start_compression(self) -> None:
        """Compress both directions from here on."""

    def stop_compression(self, last: bytes) -> None:
        """Send the last compressed bytes; input is plain from the end of the client's stream on."""

    def while_connected(self) -> AbstractContextManager[None]:
        """Make a context that cancels its body if the client closes the connection."""


class Idler(Protocol):
    """Connection in IDLE."""

    channel: Channel
    out: ResponseWriter

    @property
    def mailbox(self) -> MailboxId | None:
        """The selected mailbox; it does not change during IDLE."""

    @property
    def annotated(self) -> AccountChange | None:
        """The account, if the client is notified of annotations (RFC 5464 section 4.4)."""

    def push(self) -> bool:
        """Send updates that are due; return True if there are more than one call sends."""


class Idlers:
    """Connections in IDLE, by selected mailbox, and by account where they watch annotations.

    A mailbox id is unique in its storage group only, so `at` may return connections for which
    nothing has changed; that costs them one look at the store.
    """

    def __init__(self) -> None:
        self._by_mailbox: dict[MailboxId, set[Idler]] = {}
        self._by_account: dict[AccountChange, set[Idler]] = {}
        """Also in `_by_mailbox` or `_unselected`."""
        self._unselected: set[Idler] = set()
        self.on_enter: Callable[[], None] | None = None
        """Called when a connection enters IDLE, before it reads the store."""
        self.push_later: Callable[[Idler], None] = lambda _: None
        """Called for a connection with more updates than one push sends, or after a claim."""

    def enter(self, idler: Idler) -> None:
        if self.on_enter is not None:
            self.on_enter()
        mailbox = idler.mailbox
        if mailbox is None:
            self._unselected.add(idler)
        else:
            self._by_mailbox.setdefault(mailbox, set()).add(idler)
        if (account := idler.annotated) is not None:
            self._by_account.setdefault(account, set()).add(idler)

    def leave(self, idler: Idler) -> None:
        """Remove a connection, if it is here."""
        mailbox = idler.mailbox
        if mailbox is None:
            self._unselected.discard(idler)
        else:
            _discard(self._by_mailbox, mailbox, idler)
        if (account := idler.annotated) is not None:
            _discard(self._by_account, account, idler)

    def at(self, changed: Changed) -> tuple[Idler, ...]:
        """Return a copy of those that a change concerns."""
        if isinstance(changed, AccountChange):
            return tuple(self._by_account.get(changed, ()))
        return tuple(self._by_mailbox.get(changed, ()))

    def __iter__(self) -> Iterator[Idler]:
        """Iterate over a copy of all."""
        selected = [idler for idlers in self._by_mailbox.values() for idler in idlers]
        return iter([*selected, *self._unselected])

    def __len__(self) -> int:
        return len(self._unselected) + sum(map(len, self._by_mailbox.values()))


def _discard(idlers: dict[Key, set[Idler]], key: Key, idler: Idler) -> None:
    found = idlers.get(key)
    if found is not None:
        found.discard(idler)
        if not found:
            del idlers[key]


@dataclass(slots=True)
class Services:
    """Shared objects of one process; each `Context` refers to them."""

    pool: Filepool
    authenticator: Authenticator[Account]
    clock: Callable[[], float]
    """Seconds since 1970 UTC."""
    turns: Turns = field(default_factory=Turns)
    """The reactor's, which starts them."""
    idlers: Idlers = field(default_factory=Idlers)
    refused_logins: LogInterval = field(default_factory=lambda: LogInterval(REFUSAL_LOG_SECONDS))
    """Of the log event for a login that is refused without a check of the password."""
    long_lists: trio.Lock = field(default_factory=trio.Lock)
    """Held while LIST selects among many names: it needs some megabytes meanwhile, and little
    while it waits for its client."""
    long_sorts: trio.Lock = field(default_factory=trio.Lock)
    """Held while SORT or THREAD arranges many messages: it needs some 100 bytes for each, and a
    processor; another one is left to the event loop and the writer."""
    search_threads: trio.CapacityLimiter = field(
        default_factory=lambda: trio.CapacityLimiter(SEARCH_THREADS)
    )
    """For all searches that read messages."""
    capability_rules: CapabilityRules = NO_RULES
    message_limit: MessageLimit = NO_LIMIT
    """MESSAGELIMIT or SAVELIMIT."""
    administrators: frozenset[str] = frozenset()
    """Login names, normalised."""
    annotations: Mapping[bytes, bytes] = field(default_factory=dict)
    """Shared annotations of the server, without `/shared` in their names (RFC 5464 s. 3.2.1.1)."""
    version: str = VERSION
    """For the ID response."""
