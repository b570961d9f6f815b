"""Task tree of a server process, and the order in which tasks start and end.

Inside out: tasks start from the first line to the last, and end in the reverse order.

    writers of the filepool
      background: maintenance, reactor, notifier, sweeper of connections
        one task for each client
          intake: LMTP and the spool
            acceptors
"""

import gc
import logging
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Final, final

import trio

from imapvm.auth.authenticator import Authenticator
from imapvm.commands.message_limit import MessageLimit
from imapvm.commands.services import Services
from imapvm.filepool.errors import FilepoolError, TruncatedFileError
from imapvm.filepool.pool import Filepool, open_filepool
from imapvm.intake.deliver import Deliverer
from imapvm.intake.lmtp.listener import serve_lmtp
from imapvm.intake.spool.watcher import watch_spool
from imapvm.model.names import normal_name
from imapvm.server.imap.acceptor import Acceptor
from imapvm.server.imap.connections import Connections
from imapvm.server.imap.login_runtime import TrioRuntime
from imapvm.server.imap.notifier import Notifier
from imapvm.server.net.listen import Listeners, open_listeners
from imapvm.server.net.reactor import Reactor
from imapvm.server.net.tls import TlsServer
from imapvm.server.net.transport import Transport
from imapvm.server.role import ALL_ROLES, Role
from imapvm.server.settings import SHUTDOWN_SECONDS, Listening, Settings
from imapvm.server.shared.memory import SharedMemory
from imapvm.server.shared.wakeup import Wakeup, WorkerWakeup

LOG: Final = logging.getLogger(__name__)

SWITCH_SECONDS: Final = 0.0005
"""Longest time for which a busy thread keeps the GIL from the event loop; Python's default of 5 ms
is the time of ten thousand reads from the store."""
GC_THRESHOLDS: Final = (10_000, 100, 1000)
"""A collection of 10,000 new objects takes up to 10 ms if all are garbage; a full one visits ten
objects a connection, so it is rare. Cycles are broken by hand."""
SHUTTING_DOWN: Final = "server is shutting down"
RESTARTING: Final = "server is restarting, reconnect"
"""BYE texts; the second for clients of a worker that is replaced."""
SWEEP_SECONDS: Final = 60.0
"""Between two sweeps of the filepool."""
SWEEP_PAUSE_SECONDS: Final = 0.1
"""Between two steps of a sweep, for the clients' commits."""


@final
class RoleEvents:
    """Events that end a running process, or make it work."""

    __slots__ = ("drain", "stop", "sweep")

    def __init__(self) -> None:
        self.stop = trio.Event()
        """Shut down: finish running commands, send BYE, end."""
        self.drain = trio.Event()
        """Stop accepting; send BYE to all clients within `reload_seconds`; end."""
        self.sweep = trio.Event()
        """Sweep the filepool now: a process has died. Set by `sweep_now`."""

    def sweep_now(self) -> None:
        """Set `sweep`; may be called again."""
        done, self.sweep = self.sweep, trio.Event()
        done.set()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Siblings:
    """Means of a process that serves clients to communicate with the others."""

    memory: SharedMemory
    wakeup: WorkerWakeup


async def serve(
    settings: Settings,
    *,
    tls: TlsServer | None = None,
    clock: Callable[[], float] = time.time,
    task_status: trio.TaskStatus[Listening] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve in this process until cancelled, with all roles.

    Cancelled, it stops listening, lets running commands finish for SHUTDOWN_SECONDS, sends BYE to
    all clients, and closes the filepool.

    Args:
        settings: checked first; `workers` is ignored.
        tls: from `tls_of`; made here if it is None.
        clock: seconds since 1970 UTC.
        task_status: started with the addresses when all sockets listen.

    Raises:
        SettingsError: the settings do not fit together, or an address cannot be bound.
        CertificateError: the certificate or key cannot be used.
        FilepoolError: the filepool cannot be opened.
        TruncatedFileError: a data file was truncated.
    """
    settings.check()
    tls = tls or tls_of(settings)
    listeners = open_listeners(settings)
    try:
        events = RoleEvents()
        async with trio.open_nursery() as nursery:
            await nursery.start(
                partial(serve_roles, ALL_ROLES, settings, listeners, events, tls=tls, clock=clock)
            )
            task_status.started(listeners.addresses())
            try:
                await trio.sleep_forever()
            finally:
                events.stop.set()
    finally:
        listeners.close()


async def serve_roles(
    roles: Collection[Role],
    settings: Settings,
    listeners: Listeners,
    events: RoleEvents,
    *,
    tls: TlsServer | None,
    wakeup: Wakeup | None = None,
    siblings: Siblings | None = None,
    clock: Callable[[], float] = time.time,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run one process of a server, or all of it, until `events` end it.

    It cannot be cancelled: while commands finish, all tasks have to run, the filepool's writers
    included.

    Args:
        roles: of this process.
        settings: checked before.
        listeners: those for clients are closed as soon as no more clients are accepted.
        events: end it.
        tls: None without a certificate.
        wakeup: wakes the other processes after a commit; None if there are none.
        siblings: the other processes that serve clients; None if there are none, or if this one
            does not serve clients.
        clock: seconds since 1970 UTC.
        task_status: started when all sockets listen.

    Raises:
        FilepoolError: the filepool cannot be opened.
        TruncatedFileError: a data file was truncated.
        SpoolError, OSError: the spool cannot be watched.
    """
    tune_interpreter()
    with trio.CancelScope(shield=True):
        async with open_filepool(settings.filepool, clock=clock, quota=settings.quota) as pool:
            if wakeup is not None:
                pool.set_commit_hooks(wakeup.wake, partial(wakeup.wake, unconditional=True))
            async with trio.open_nursery() as background:
                if Role.MAINTENANCE in roles:
                    background.start_soon(maintain, pool, events, settings.remembered_expunges)
                reactor = Reactor()
                reactor.turns.before = pool.yield_gil
                await background.start(reactor.run)
                clients = None
                if Role.WORKER in roles:
                    clients = _ClientService(reactor, pool, settings, tls, siblings, clock)
                    clients.start(background)
                async with trio.open_nursery() as client_tasks, trio.open_nursery() as intake:
                    if Role.INTAKE in roles:
                        _check_postmaster(pool, settings)
                        deliverer = Deliverer(pool, settings.delivery, clock=clock)
                        for listener in listeners.lmtp:
                            await intake.start(
                                serve_lmtp, listener, deliverer, partial(Transport, reactor)
                            )
                        if settings.spool is not None:
                            await intake.start(watch_spool, settings.spool, deliverer)
                    if clients is None:
                        task_status.started()
                        await events.stop.wait()
                        intake.cancel_scope.cancel()
                    else:
                        await clients.serve(listeners, events, client_tasks, intake, task_status)
                background.cancel_scope.cancel()


def _check_postmaster(pool: Filepool, settings: Settings) -> None:
    """Warn if the postmaster of the configuration is not enrolled: that mail is refused."""
    postmaster = settings.delivery.postmaster
    if postmaster and pool.accounts.find(postmaster) is None:
        LOG.warning("delivery.postmaster is not a user", extra={"user": postmaster})


def tls_of(settings: Settings) -> TlsServer | None:
    """Return the TLS server of the settings; None if they have no certificate.

    Raises:
        CertificateError: the certificate or key cannot be used.
    """
    if settings.certificate is None or settings.key is None:
        return None
    return TlsServer(settings.certificate, settings.key)


def tune_interpreter() -> None:
    """Tune the interpreter for an event loop with very many tasks."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*GC_THRESHOLDS)
    gc.collect()
    gc.freeze()


@final
class _ClientService:
    """Tasks that serve IMAP clients."""

    def __init__(
        self,
        reactor: Reactor,
        pool: Filepool,
        settings: Settings,
        tls: TlsServer | None,
        siblings: Siblings | None,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tls = tls
        self.reactor = reactor
        if siblings is None:
            authenticator = Authenticator(pool.accounts, TrioRuntime())
            self.connections = Connections(limit_per_peer=settings.connections_per_peer)
        else:
            memory, index = siblings.memory, siblings.wakeup.index
            authenticator = Authenticator(
                pool.accounts,
                TrioRuntime(clock=time.monotonic, processes=settings.workers),
                cache=memory.verification_cache(),
                failures=memory.failures(),
            )
            self.connections = Connections(
                limit_per_peer=settings.connections_per_peer, shared=memory.peers(index)
            )
        self.services = Services(
            pool=pool,
            authenticator=authenticator,
            clock=clock,
            turns=reactor.turns,
            capability_rules=settings.capability_rules(),
            administrators=frozenset(map(normal_name, settings.administrators)),
            annotations=settings.annotations(),
            message_limit=MessageLimit(settings.messages_per_command, settings.saved_per_command),
        )
        self.notifier = Notifier(self.services, self.connections, siblings and siblings.wakeup)
        pool.on_changes = self.notifier.notify

    def start(self, background: trio.Nursery) -> None:
        """Start the background tasks of connections, which have to outlive them."""
        background.start_soon(self.notifier.push_forever)
        background.start_soon(self.notifier.poll_forever)
        background.start_soon(self.notifier.watch_wakeups)
        background.start_soon(self.connections.sweep_forever)
        background.start_soon(self.reactor.codecs.sweep_forever)

    async def serve(
        self,
        listeners: Listeners,
        events: RoleEvents,
        client_tasks: trio.Nursery,
        intake: trio.Nursery,
        task_status: trio.TaskStatus[None],
    ) -> None:
        """Accept clients until `events` end it; then end all connections.

        Args:
            listeners: sockets for clients.
            events: end it.
            client_tasks: gets a task for each client.
            intake: is cancelled when no more clients are accepted.
            task_status: started when clients can connect.
        """
        acceptor = Acceptor(
            self.services,
            self.connections,
            self.reactor,
            client_tasks,
            tls=self._tls,
            plaintext=self._settings.plaintext,
        )
        async with trio.open_nursery() as accepting:
            for listener in listeners.imap:
                accepting.start_soon(partial(acceptor.accept_forever, listener, tls_first=False))
            for listener in listeners.imaps:
                accepting.start_soon(partial(acceptor.accept_forever, listener, tls_first=True))
            task_status.started()
            await _first(events.stop, events.drain)
            accepting.cancel_scope.cancel()
        listeners.close_imap()
        intake.cancel_scope.cancel()  # a delivery in progress is still answered
        with trio.CancelScope(shield=True):
            if not events.stop.is_set():
                await self._drain(events.stop)
            with trio.move_on_after(SHUTDOWN_SECONDS):
                await self.connections.end_all(
                    SHUTTING_DOWN if events.stop.is_set() else RESTARTING
                )
        client_tasks.cancel_scope.cancel()

    async def _drain(self, stop: trio.Event) -> None:
        """End the connections one after another, until `stop` is set."""
        seconds = self._settings.reload_seconds
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_at, stop, nursery.cancel_scope)
                await self.connections.end_gradually(RESTARTING, seconds)
                nursery.cancel_scope.cancel()


async def _first(*events: trio.Event) -> None:
    """Wait for the first of several events."""
    async with trio.open_nursery() as nursery:
        for event in events:
            nursery.start_soon(_cancel_at, event, nursery.cancel_scope)


async def _cancel_at(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


async def maintain(pool: Filepool, events: RoleEvents, expunges_kept: int) -> None:
    """Sweep the filepool regularly, in bounded steps.

    Args:
        pool: the filepool.
        events: may start a sweep earlier.
        expunges_kept: changes of a mailbox for which expunges are remembered.

    Raises:
        TruncatedFileError: the process has to end.
    """
    while True:
        more = False
        now = events.sweep
        try:
            more = (await pool.sweep(expunges_kept=expunges_kept)).more
        except TruncatedFileError:
            raise
        except FilepoolError as error:
            LOG.warning("cannot sweep filepool", extra={"error": str(error)})
        with trio.move_on_after(SWEEP_PAUSE_SECONDS if more else SWEEP_SECONDS):
            await now.wait()
