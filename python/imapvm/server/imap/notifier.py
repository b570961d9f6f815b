"""Notifier: pushes changes to the clients in IDLE, and with NOTIFY, after a commit."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection
from time import perf_counter
from typing import Final, final

import trio
from trio.lowlevel import wait_readable

from imapvm.commands.dispatch import INTERNAL_ERROR
from imapvm.commands.idlers import Idler
from imapvm.commands.outcome import Hangup
from imapvm.commands.services import Services
from imapvm.filepool.errors import FilepoolError, TruncatedFileError
from imapvm.model.changes import Changed
from imapvm.model.ids import AccountId
from imapvm.model.logs import is_internal_error
from imapvm.server.imap.connections import SWEEP_SLICE, Connections
from imapvm.server.shared.wakeup import WorkerWakeup

LOG: Final = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
"""Between two polls for commits of other processes, and for clients that did not read."""
WAKEUP_INTERVAL_SECONDS: Final = 0.002
"""Shortest time between two reactions to wakeups: while other processes commit a thousand times a
second, one look at the change journal finds several commits."""
PROMPT_SECONDS: Final = 0.001
"""Pushes at once after a commit. Those that take longer continue in turns of the event loop."""


@final
class Notifier:
    """Notifies the sessions that a commit concerns.

    Commits of this process notify at once, before the tasks that made them resume. Other workers
    wake this process (`watch_wakeups`), and commits of all other processes are found by
    `poll_forever`. A notification carries no data: its receiver reads the store. So one too many
    costs one look, and the next one makes up for one that was lost.

    A commit may concern thousands of clients, and one client may get thousands of updates. Each
    push is short; clients with pushes left wait in a queue, which `push_forever` serves in turns
    (`imapvm.commands.turns`). The queue has each client once. Their updates are not in memory: a
    push renders them from the store.
    """

    __slots__ = (
        "_clock",
        "_connections",
        "_due",
        "_has_due",
        "_journal_due",
        "_services",
        "_unsent",
        "_wakeup",
    )

    def __init__(
        self,
        services: Services,
        connections: Connections,
        wakeup: WorkerWakeup | None = None,
        *,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._services = services
        self._connections = connections
        self._wakeup = wakeup
        self._clock = clock
        self._due: OrderedDict[Idler, None] = OrderedDict()
        """Clients to push to, first come, first served."""
        self._has_due = trio.Event()
        self._journal_due = False
        """True if the watchers have not read the whole change journal."""
        self._unsent: set[Idler] = set()
        """Clients with output queued at the last push, which may have skipped changes."""
        services.idlers.push_later = self.push_later
        services.watchers.on_enter = self._catch_up
        if wakeup is not None:
            services.idlers.on_enter = wakeup.watch
            self._rearm()

    def notify(self, changed: Collection[Changed]) -> None:
        """Push the changes of these mailboxes and accounts; for `Filepool.on_changes`.

        Pushes for PROMPT_SECONDS now, the rest later.
        """
        idlers = self._services.idlers
        for one in changed:
            for idler in idlers.at(one):
                self._due[idler] = None
        if self._services.watchers:
            self._read_journal()
        self._push_promptly()

    def _read_journal(self) -> None:
        """Read rows of the change journal for the clients with NOTIFY, in some milliseconds.

        After an error, the next poll reads them.
        """
        watchers, groups = self._services.watchers, self._services.pool.groups
        self._journal_due = False
        try:
            woken, self._journal_due = watchers.read_journal(groups)
        except FilepoolError as error:
            _log(error)
            return
        self._due.update(dict.fromkeys(woken))
        if self._journal_due:
            self._has_due.set()

    def _catch_up(self) -> None:
        """Read the change journal to its end before another client starts to watch."""
        if self._wakeup is not None:
            self._wakeup.watch()
        self._read_journal()
        if self._due:
            self._has_due.set()

    def push_later(self, idler: Idler) -> None:
        """Push to a client in one of the next turns."""
        self._due[idler] = None
        self._has_due.set()

    async def push_forever(self) -> None:
        """Push to the clients in the queue, a turn at a time."""
        turns = self._services.turns
        while True:
            if not self._due and not self._journal_due:
                self._has_due = trio.Event()
                await self._has_due.wait()
            await turns.next()
            if self._journal_due:
                self._read_journal()
            self._push_until(turns.is_over)

    def _push_promptly(self) -> None:
        until = self._clock() + PROMPT_SECONDS
        self._push_until(lambda: self._clock() >= until)
        if self._due or self._journal_due:
            self._has_due.set()

    def _push_until(self, is_over: Callable[[], bool]) -> None:
        """Push to clients in the queue, to at least one; a client with more due comes last."""
        while self._due:
            idler, _ = self._due.popitem(last=False)
            if self._push(idler):
                self._due[idler] = None
            if is_over():
                return

    async def watch_wakeups(self) -> None:
        """Push commits of other workers as soon as they wake this process, if there are others.

        Raises:
            TruncatedFileError: the process has to end.
        """
        if self._wakeup is None:
            return
        while True:
            await wait_readable(self._wakeup.fd)
            self._rearm()
            try:
                await self._notify_foreign_changes()
            except TruncatedFileError:
                raise
            except FilepoolError as error:
                _log(error)
            await trio.sleep(WAKEUP_INTERVAL_SECONDS)

    async def poll_forever(self) -> None:
        """Poll once a second.

        Raises:
            TruncatedFileError: the process has to end.
        """
        while True:
            await trio.sleep(POLL_SECONDS)
            try:
                await self.poll()
            except TruncatedFileError:
                raise
            except FilepoolError as error:
                _log(error)

    async def poll(self) -> None:
        """Find commits of other processes, clients that read again, and sessions to end."""
        self._rearm()
        await self._notify_foreign_changes()
        if self._services.watchers:
            self._read_journal()
        unsent, self._unsent = self._unsent, set()
        self._due.update(dict.fromkeys(unsent))  # a push does nothing after IDLE
        self._push_promptly()

    def _rearm(self) -> None:
        if self._wakeup is not None:
            self._wakeup.rearm(
                waiting=len(self._services.idlers) + len(self._services.watchers) > 0
            )

    async def _notify_foreign_changes(self) -> None:
        pool = self._services.pool
        changed = pool.foreign_changes()
        if changed:
            self.notify(changed)
        if pool.accounts_changed():
            await self._end_sessions()

    async def _end_sessions(self) -> None:
        """End the sessions of accounts that were deleted or have a new password.

        Push to those in IDLE that have a mailbox of another account selected.
        """
        accounts = self._services.pool.accounts
        epochs: dict[AccountId, int | None] = {}
        for number, connection in enumerate(self._connections):
            if number % SWEEP_SLICE == SWEEP_SLICE - 1:
                await trio.lowlevel.checkpoint()
            session = connection.context.session
            if session.store is None:
                continue
            if session.shared is not None:
                # The user may have left a group that gave it the right to read.
                self.push_later(connection.context)
            if self._services.watchers.note_rights(connection.context):
                self.push_later(connection.context)
            account = session.store.account.id
            if account not in epochs:
                epochs[account] = accounts.login_epoch(account)
            if epochs[account] is None:
                connection.end("account was deleted", "CONTACTADMIN")
            elif epochs[account] != session.login_epoch:
                connection.end("password was changed; log in again", "EXPIRED")

    def _push(self, idler: Idler) -> bool:
        """Push to one client; return True if more is due.

        An internal error ends that connection only.
        """
        try:
            more = idler.push()
            if idler.channel.waiting:
                self._unsent.add(idler)
            return more
        except Hangup as reason:
            self._end(idler, reason)
            return False
        except BaseException as error:
            if not is_internal_error(error):
                raise
            self._end(idler, Hangup(INTERNAL_ERROR, "SERVERBUG"), error)
            return False

    def _end(self, idler: Idler, reason: Hangup, error: BaseException | None = None) -> None:
        for connection in self._connections:
            if connection.context is idler:
                if error is not None:
                    LOG.error(
                        "connection ended by an internal error",
                        exc_info=error,
                        extra={**connection.context.session.log_fields(), "command": "IDLE"},
                    )
                    idler.out.take()
                connection.end(reason.text, reason.code)


def _log(error: FilepoolError) -> None:
    """Log and continue: a disk that fails for a while must not end all connections."""
    LOG.warning("cannot read changes", extra={"error": str(error)})
