"""From a commit to the clients that wait for news (IDLE)."""

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, final

import trio
from trio.lowlevel import wait_readable

from imapvm.filepool.errors import FilepoolError
from imapvm.model.internal_errors import is_internal_error
from imapvm.server.imap.connections import SWEEP_SLICE, Connections

if TYPE_CHECKING:
    from imapvm.commands.services import Idler, Services
    from imapvm.model.ids import AccountId, MailboxId
    from imapvm.server.shared.wakeup import Wakeup

LOG: Final = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
"""Between two looks at commits of other processes, and at clients that were not reading."""
WAKEUP_INTERVAL_SECONDS: Final = 0.002
"""Between two answers to our bell: while others commit a thousand times a second, one look finds
what several of them did."""


@final
class Notifier:
    """Rings at the sessions that a commit concerns.

    Commits of this process ring at once, before those who made them go on; other workers ring our
    bell (`watch_wakeups`), and whatever other processes there are is found by `poll_forever`.
    Nothing is carried here: who is rung at reads the store, so a ring too many costs a look, and
    one that got lost is made up for by the next.
    """

    __slots__ = ("_connections", "_services", "_unsent", "_wakeup")

    def __init__(
        self, services: "Services", connections: Connections, wakeup: "Wakeup | None" = None
    ) -> None:
        self._services = services
        self._connections = connections
        self._wakeup = wakeup
        self._unsent: set[Idler] = set()
        """Who did not take what it was told last, and so was perhaps not told all."""
        if wakeup is not None:
            services.idlers.on_enter = wakeup.watch
            self._rearm()

    def notify(self, mailboxes: Collection["MailboxId"]) -> None:
        """Tell the idlers of these mailboxes what has happened; for `Filepool.on_changes`."""
        idlers = self._services.idlers
        for mailbox in mailboxes:
            for context in idlers.at(mailbox):
                self._push(context)

    async def watch_wakeups(self) -> None:
        """Tell what other workers have committed, as soon as they ring."""
        assert self._wakeup is not None
        while True:
            await wait_readable(self._wakeup.fd)
            self._rearm()
            try:
                await self._notify_foreign_changes()
            except FilepoolError as fault:
                LOG.warning("cannot look for news", extra={"reason": str(fault)})
            await trio.sleep(WAKEUP_INTERVAL_SECONDS)

    def _rearm(self) -> None:
        if self._wakeup is not None:
            self._wakeup.rearm(waiting=len(self._services.idlers) > 0)

    async def poll_forever(self) -> None:
        """Once a second: news from other processes, clients that read again, deleted accounts."""
        while True:
            await trio.sleep(POLL_SECONDS)
            try:
                await self.poll()
            except FilepoolError as fault:
                # A disk that fails now and then must not end everybody's connection.
                LOG.warning("cannot look for news", extra={"reason": str(fault)})

    async def poll(self) -> None:
        """Look once."""
        self._rearm()
        await self._notify_foreign_changes()
        unsent, self._unsent = self._unsent, set()
        for context in unsent:
            self._push(context)  # does nothing where it is not in IDLE any more

    async def _notify_foreign_changes(self) -> None:
        pool = self._services.pool
        news = pool.foreign_changes()
        if news:
            self.notify(news)
        if pool.accounts_changed():
            await self._end_deleted_accounts()

    async def _end_deleted_accounts(self) -> None:
        accounts = self._services.pool.accounts
        there: dict[AccountId, bool] = {}
        for number, connection in enumerate(self._connections):
            if number % SWEEP_SLICE == SWEEP_SLICE - 1:
                await trio.lowlevel.checkpoint()
            store = connection.context.session.store
            if store is None:
                continue
            account = store.account.id
            if account not in there:
                there[account] = accounts.by_id(account) is not None
            if not there[account]:
                connection.end("your account was deleted")

    def _push(self, context: "Idler") -> None:
        """Tell one client; a mistake in it is the end of that connection alone."""
        try:
            context.push()
            if context.channel.waiting:
                self._unsent.add(context)
        except BaseException as fault:
            if not is_internal_error(fault):
                raise
            LOG.exception("connection ended by an internal error", extra={"command": "IDLE"})
            for connection in self._connections:
                if connection.context is context:
                    context.out.take()
                    connection.end("internal error; the operator has been told")
