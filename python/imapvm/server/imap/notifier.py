"""Notifier: pushes changes to the clients in IDLE after a commit."""

import logging
from collections.abc import Collection
from typing import Final, final

import trio
from trio.lowlevel import wait_readable

from imapvm.commands.dispatch import INTERNAL_ERROR
from imapvm.commands.services import Idler, Services
from imapvm.filepool.errors import FilepoolError
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.internal_errors import is_internal_error
from imapvm.server.imap.connections import SWEEP_SLICE, Connections
from imapvm.server.shared.wakeup import Wakeup

LOG: Final = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
"""Between two polls for commits of other processes, and for clients that did not read."""
WAKEUP_INTERVAL_SECONDS: Final = 0.002
"""Shortest time between two reactions to wakeups: while other processes commit a thousand times a
second, one look at the change journal finds several commits."""


@final
class Notifier:
    """Notifies the sessions that a commit concerns.

    Commits of this process notify at once, before the tasks that made them resume. Other workers
    wake this process (`watch_wakeups`), and commits of all other processes are found by
    `poll_forever`. A notification carries no data: its receiver reads the store. So one too many
    costs one look, and the next one makes up for one that was lost.
    """

    __slots__ = ("_connections", "_services", "_unsent", "_wakeup")

    def __init__(
        self, services: Services, connections: Connections, wakeup: Wakeup | None = None
    ) -> None:
        self._services = services
        self._connections = connections
        self._wakeup = wakeup
        self._unsent: set[Idler] = set()
        """Clients with output queued at the last push, which may have skipped changes."""
        if wakeup is not None:
            services.idlers.on_enter = wakeup.watch
            self._rearm()

    def notify(self, mailboxes: Collection[MailboxId]) -> None:
        """Push the changes of these mailboxes; for `Filepool.on_changes`."""
        idlers = self._services.idlers
        for mailbox in mailboxes:
            for idler in idlers.at(mailbox):
                self._push(idler)

    async def watch_wakeups(self) -> None:
        """Push commits of other workers as soon as they wake this process."""
        assert self._wakeup is not None
        while True:
            await wait_readable(self._wakeup.fd)
            self._rearm()
            try:
                await self._notify_foreign_changes()
            except FilepoolError as error:
                _log(error)
            await trio.sleep(WAKEUP_INTERVAL_SECONDS)

    async def poll_forever(self) -> None:
        """Poll once a second."""
        while True:
            await trio.sleep(POLL_SECONDS)
            try:
                await self.poll()
            except FilepoolError as error:
                _log(error)

    async def poll(self) -> None:
        """Find commits of other processes, clients that read again, and sessions to end."""
        self._rearm()
        await self._notify_foreign_changes()
        unsent, self._unsent = self._unsent, set()
        for idler in unsent:
            self._push(idler)  # does nothing after IDLE

    def _rearm(self) -> None:
        if self._wakeup is not None:
            self._wakeup.rearm(waiting=len(self._services.idlers) > 0)

    async def _notify_foreign_changes(self) -> None:
        pool = self._services.pool
        changed = pool.foreign_changes()
        if changed:
            self.notify(changed)
        if pool.accounts_changed():
            await self._end_sessions()

    async def _end_sessions(self) -> None:
        """End the sessions of accounts that were deleted or have a new password."""
        accounts = self._services.pool.accounts
        epochs: dict[AccountId, int | None] = {}
        for number, connection in enumerate(self._connections):
            if number % SWEEP_SLICE == SWEEP_SLICE - 1:
                await trio.lowlevel.checkpoint()
            session = connection.context.session
            if session.store is None:
                continue
            account = session.store.account.id
            if account not in epochs:
                epochs[account] = accounts.login_epoch(account)
            if epochs[account] is None:
                connection.end("account was deleted")
            elif epochs[account] != session.login_epoch:
                connection.end("password was changed; log in again")

    def _push(self, idler: Idler) -> None:
        """Push to one client; an internal error ends that connection only."""
        try:
            idler.push()
            if idler.channel.waiting:
                self._unsent.add(idler)
        except BaseException as error:
            if not is_internal_error(error):
                raise
            for connection in self._connections:
                if connection.context is idler:
                    LOG.exception(
                        "connection ended by an internal error",
                        extra={**connection.context.session.log_fields(), "command": "IDLE"},
                    )
                    idler.out.take()
                    connection.end(INTERNAL_ERROR)


def _log(error: FilepoolError) -> None:
    """Log and continue: a disk that fails for a while must not end all connections."""
    LOG.warning("cannot read changes", extra={"error": str(error)})
