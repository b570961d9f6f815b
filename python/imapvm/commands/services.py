"""What all connections of a process share."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from imapvm.auth.authenticator import Authenticator
    from imapvm.commands.context import Context
    from imapvm.filepool.accounts import Account
    from imapvm.filepool.pool import Filepool
    from imapvm.model.ids import MailboxId


SEARCH_THREADS: Final = min(len(os.sched_getaffinity(0)), 8)
"""One for each processor: they compute, and wait for the disk only where mail is cold."""


class Idlers:
    """The connections that are in IDLE, by the mailbox they have selected.

    A mailbox id is unique in its storage group only, so who is called may find that nothing
    happened to it; that costs a look.
    """

    def __init__(self) -> None:
        self._by_mailbox: dict[MailboxId, set[Context]] = {}
        self._elsewhere: set[Context] = set()
        self.on_enter: Callable[[], None] | None = None
        """Called when somebody begins to wait, before it looks at the store."""

    def enter(self, ctx: "Context") -> None:
        if self.on_enter is not None:
            self.on_enter()
        view = ctx.session.view
        if view is None:
            self._elsewhere.add(ctx)
        else:
            self._by_mailbox.setdefault(view.mailbox, set()).add(ctx)

    def leave(self, ctx: "Context") -> None:
        """May be called for one that is not here."""
        view = ctx.session.view
        if view is None:
            self._elsewhere.discard(ctx)
            return
        there = self._by_mailbox.get(view.mailbox)
        if there is not None:
            there.discard(ctx)
            if not there:
                del self._by_mailbox[view.mailbox]

    def at(self, mailbox: "MailboxId") -> "tuple[Context, ...]":
        """Those who have this mailbox selected; a copy, so that they may come and go meanwhile."""
        return tuple(self._by_mailbox.get(mailbox, ()))

    def __iter__(self) -> "Iterator[Context]":
        """All of them; a copy, so that they may come and go meanwhile."""
        everybody = [ctx for there in self._by_mailbox.values() for ctx in there]
        return iter([*everybody, *self._elsewhere])

    def __len__(self) -> int:
        return len(self._elsewhere) + sum(map(len, self._by_mailbox.values()))


@dataclass(slots=True)
class Services:
    """One a process; each `Context` holds it."""

    pool: "Filepool"
    authenticator: "Authenticator[Account]"
    clock: Callable[[], float]
    """Seconds since 1970 UTC."""
    idlers: Idlers = field(default_factory=Idlers)
    search_threads: trio.CapacityLimiter = field(
        default_factory=lambda: trio.CapacityLimiter(SEARCH_THREADS)
    )
    """Shared by all searches that read messages."""
    version: str = "0.1.0"
    """What ID tells."""
