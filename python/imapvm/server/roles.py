"""Which tasks a server consists of, and in which order they begin and end."""

import gc
import logging
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, final

import trio

from imapvm.auth.authenticator import Authenticator
from imapvm.commands.services import Services
from imapvm.filepool.errors import FilepoolError
from imapvm.filepool.pool import open_filepool
from imapvm.intake.deliver import Deliverer
from imapvm.intake.lmtp.listener import serve_lmtp
from imapvm.intake.spool.watcher import watch_spool
from imapvm.server.imap.acceptor import Acceptor
from imapvm.server.imap.connections import Connections
from imapvm.server.imap.login_runtime import TrioRuntime
from imapvm.server.imap.notifier import Notifier
from imapvm.server.net.listen import Listeners, open_listeners
from imapvm.server.net.reactor import Reactor
from imapvm.server.net.tls import TlsServer
from imapvm.server.net.transport import Transport
from imapvm.server.settings import SHUTDOWN_SECONDS
from imapvm.server.supervisor.spawn_config import ALL_ROLES, Role

if TYPE_CHECKING:
    from imapvm.filepool.pool import Filepool
    from imapvm.server.settings import Listening, Settings
    from imapvm.server.shared.memory import SharedMemory
    from imapvm.server.shared.wakeup import Wakeup

LOG: Final = logging.getLogger(__name__)

SWITCH_SECONDS: Final = 0.0005
"""How long a busy thread may keep the interpreter from the event loop; Python's own 5 ms would be
the time of ten thousand reads from the store."""
GC_THRESHOLDS: Final = (50_000, 50, 1000)
"""A full collection looks at ten objects a connection: make it rare. Cycles are broken by hand."""
RESTARTING: Final = "the server begins anew; come again"
"""What clients of a worker hear that others replace."""
SWEEP_SECONDS: Final = 60.0
"""Between two clean-ups of the filepool."""
BETWEEN_PIECES_SECONDS: Final = 0.1
"""Within a clean-up that has more to do: clients' commits go first."""


@final
class RoleEvents:
    """What a running process can be told."""

    __slots__ = ("drain", "stop", "sweep")

    def __init__(self) -> None:
        self.stop = trio.Event()
        """End: finish what runs, say BYE."""
        self.drain = trio.Event()
        """Let nobody in any more; say BYE to everybody within `reload_seconds`; end."""
        self.sweep = trio.Event()
        """Clean the filepool up now: a process has died. Set by `sweep_now`."""

    def sweep_now(self) -> None:
        """Have it done; may be called again and again."""
        done, self.sweep = self.sweep, trio.Event()
        done.set()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Siblings:
    """What a process has of the others of its server."""

    memory: "SharedMemory"
    wakeup: "Wakeup"
    index: int | None
    """Its own, where it serves clients."""


async def serve(
    settings: "Settings",
    *,
    tls: TlsServer | None = None,
    clock: Callable[[], float] = time.time,
    task_status: "trio.TaskStatus[Listening]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve in this process until cancelled: connections, intake and upkeep in one tree.

    Cancelled, it stops listening, lets running commands finish for SHUTDOWN_SECONDS, says BYE to
    everybody, and closes the filepool.

    Args:
        settings: are checked first; how many workers they ask for is not looked at.
        tls: made by `tls_of`; made here where it is not given.
        clock: seconds since 1970 UTC.
        task_status: started when everything listens; says where.

    Raises:
        SettingsError: it cannot run like this.
        CertificateError: TLS cannot be had with these files.
        FilepoolError: the filepool cannot be opened.
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
    settings: "Settings",
    listeners: Listeners,
    events: RoleEvents,
    *,
    tls: TlsServer | None,
    siblings: Siblings | None = None,
    clock: Callable[[], float] = time.time,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Be one process of a server, or all of it, until ordered to end.

    It cannot be cancelled: all of it must go on working while commands finish, the filepool's
    writers, too.

    Args:
        roles: what to do.
        settings: checked before.
        listeners: those for clients are closed as soon as nobody is let in any more.
        events: end it.
        tls: None where there is no certificate.
        siblings: the other processes; None where there are none.
        clock: seconds since 1970 UTC.
        task_status: started when everything listens.

    Raises:
        FilepoolError: the filepool cannot be opened.
        SpoolInUseError, OSError: the spool cannot be watched.
    """
    tune_interpreter()
    with trio.CancelScope(shield=True):
        async with open_filepool(settings.filepool, clock=clock) as pool:
            if siblings is not None:
                wakeup = siblings.wakeup
                pool.set_commit_hooks(wakeup.wake, partial(wakeup.wake, unconditional=True))
            async with trio.open_nursery() as inside:
                if Role.MAINTENANCE in roles:
                    inside.start_soon(maintain, pool, events)
                reactor = Reactor()
                await inside.start(reactor.run)
                clients = None
                if Role.WORKER in roles:
                    clients = _ClientService(reactor, pool, settings, tls, siblings, clock)
                    clients.start(inside)
                async with trio.open_nursery() as client_tasks, trio.open_nursery() as intake:
                    if Role.INTAKE in roles:
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
                inside.cancel_scope.cancel()


def tls_of(settings: "Settings") -> TlsServer | None:
    """What the settings say about TLS; None where they have no certificate.

    Raises:
        CertificateError: it cannot be had with these files.
    """
    if settings.certificate is None or settings.key is None:
        return None
    return TlsServer(settings.certificate, settings.key)


def tune_interpreter() -> None:
    """Settings of the whole process, for a loop with very many tasks."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*GC_THRESHOLDS)
    gc.collect()
    gc.freeze()


@final
class _ClientService:
    """Serving clients: begun from the inside to the outside, and ended the other way round."""

    def __init__(
        self,
        reactor: Reactor,
        pool: "Filepool",
        settings: "Settings",
        tls: TlsServer | None,
        siblings: Siblings | None,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._has_siblings = siblings is not None
        self.reactor = reactor
        if siblings is None:
            authenticator = Authenticator(pool.accounts, TrioRuntime())
            self.connections = Connections(limit_per_peer=settings.connections_per_peer)
        else:
            assert siblings.index is not None
            memory = siblings.memory
            authenticator = Authenticator(
                pool.accounts,
                TrioRuntime(clock=time.monotonic, processes=settings.workers),
                cache=memory.verification_cache(),
                failures=memory.failures(),
            )
            self.connections = Connections(
                limit_per_peer=settings.connections_per_peer, shared=memory.peers(siblings.index)
            )
        self.services = Services(pool=pool, authenticator=authenticator, clock=clock)
        self.notifier = Notifier(self.services, self.connections, siblings and siblings.wakeup)
        pool.on_changes = self.notifier.notify

    def start(self, inside: trio.Nursery) -> None:
        """Start what clients need; it has to outlive them."""
        inside.start_soon(self.notifier.poll_forever)
        if self._has_siblings:
            inside.start_soon(self.notifier.watch_wakeups)
        inside.start_soon(self.connections.sweep_forever)

    async def serve(
        self,
        listeners: Listeners,
        events: RoleEvents,
        client_tasks: trio.Nursery,
        intake: trio.Nursery,
        task_status: trio.TaskStatus[None],
    ) -> None:
        """Let clients in, until ordered to end; then take leave of them.

        Args:
            listeners: where they come.
            events: end it.
            client_tasks: gets a task for each client.
            intake: stands inside `client_tasks`, and is cancelled when nobody is let in any more.
            task_status: started when they can come.
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
        intake.cancel_scope.cancel()  # a delivery that runs is answered all the same
        with trio.CancelScope(shield=True):
            if not events.stop.is_set():
                await self._drain(events.stop)
            with trio.move_on_after(SHUTDOWN_SECONDS):
                await self.connections.end_all(
                    "the server is shutting down" if events.stop.is_set() else RESTARTING
                )
        client_tasks.cancel_scope.cancel()

    async def _drain(self, stop: trio.Event) -> None:
        """Say BYE to one after the other, unless the order comes to stop at once."""
        seconds = self._settings.reload_seconds
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_at, stop, nursery.cancel_scope)
                await self.connections.end_gradually(RESTARTING, seconds)
                nursery.cancel_scope.cancel()


async def _first(*events: trio.Event) -> None:
    """Wait for whichever comes first."""
    async with trio.open_nursery() as nursery:
        for event in events:
            nursery.start_soon(_cancel_at, event, nursery.cancel_scope)


async def _cancel_at(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


async def maintain(pool: "Filepool", events: RoleEvents) -> None:
    """Clean the filepool up, now and then, a bounded piece at a time."""
    while True:
        more = False
        ordered = events.sweep
        try:
            more = (await pool.sweep()).more
        except FilepoolError as fault:
            LOG.warning("the filepool is not swept", extra={"reason": str(fault)})
        with trio.move_on_after(BETWEEN_PIECES_SECONDS if more else SWEEP_SECONDS):
            await ordered.wait()
