"""Connections in IDLE, and the interfaces of connections that the server implements."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from imapvm._core import ResponseWriter
from imapvm.model.changes import AccountChange, Changed
from imapvm.model.ids import MailboxId

Key = TypeVar("Key")


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
