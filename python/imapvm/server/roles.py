"""Which tasks a server consists of, and in which order they begin and end."""

import gc
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from imapvm.commands.services import Services
from imapvm.filepool.errors import FilepoolError
from imapvm.filepool.pool import open_filepool
from imapvm.intake.deliver import Deliverer
from imapvm.intake.lmtp import serve_lmtp
from imapvm.intake.spool import watch_spool
from imapvm.server.accept import Door
from imapvm.server.authenticator import Authenticator
from imapvm.server.connections import Connections
from imapvm.server.doorbell import Doorbell
from imapvm.server.listen import Listeners, open_listeners
from imapvm.server.reactor import Reactor
from imapvm.server.tls import TlsServer

if TYPE_CHECKING:
    from imapvm.filepool.pool import Filepool
    from imapvm.server.settings import Listening, Settings

LOG: Final = logging.getLogger(__name__)

SWITCH_SECONDS: Final = 0.0005
"""How long a busy thread may keep the interpreter from the event loop; Python's own 5 ms would be
the time of ten thousand reads from the store."""
GC_THRESHOLDS: Final = (50_000, 50, 1000)
"""A full collection looks at ten objects a connection: make it rare. Cycles are broken by hand."""
SHUTDOWN_SECONDS: Final = 10.0
"""For commands that run when the server stops; who needs longer is cut off."""
SWEEP_SECONDS: Final = 60.0
"""Between two clean-ups of the filepool."""
BETWEEN_PIECES_SECONDS: Final = 0.1
"""Within a clean-up that has more to do: clients' commits go first."""


async def serve(
    settings: "Settings",
    *,
    clock: Callable[[], float] = time.time,
    task_status: "trio.TaskStatus[Listening]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve in this process until cancelled: connections, intake and upkeep in one tree.

    Cancelled, it stops listening, lets running commands finish for SHUTDOWN_SECONDS, says BYE to
    everybody, and closes the filepool.

    Args:
        settings: are checked first.
        clock: seconds since 1970 UTC.
        task_status: started when everything listens; says where.

    Raises:
        SettingsError: it cannot run like this.
        CertificateError: TLS cannot be had with these files.
        FilepoolError: the filepool cannot be opened.
    """
    settings.check()
    tls = None
    if settings.certificate is not None and settings.key is not None:
        tls = TlsServer(settings.certificate, settings.key)
    listeners = open_listeners(settings)
    try:
        tune_interpreter()
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(_serve_shielded, settings, tls, clock, stop, listeners)
            task_status.started(listeners.where())
            try:
                await trio.sleep_forever()
            finally:
                stop.set()
    finally:
        listeners.close()


def tune_interpreter() -> None:
    """Settings of the whole process, for a loop with very many tasks."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*GC_THRESHOLDS)
    gc.collect()
    gc.freeze()


async def _serve_shielded(
    settings: "Settings",
    tls: TlsServer | None,
    clock: Callable[[], float],
    stop: trio.Event,
    listeners: Listeners,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    """All of it must go on working while commands finish, the filepool's writers, too."""
    with trio.CancelScope(shield=True):
        async with open_filepool(settings.filepool, clock=clock) as pool:
            await _serve_pool(pool, settings, tls, clock, stop, listeners, task_status)


async def _serve_pool(
    pool: "Filepool",
    settings: "Settings",
    tls: TlsServer | None,
    clock: Callable[[], float],
    stop: trio.Event,
    listeners: Listeners,
    task_status: trio.TaskStatus[None],
) -> None:
    """Begin from the inside to the outside: what lets clients in comes last, and ends first."""
    reactor = Reactor()
    connections = Connections(most_per_peer=settings.connections_per_peer)
    services = Services(pool=pool, authenticator=Authenticator(pool.accounts), clock=clock)
    doorbell = Doorbell(services, connections)
    deliverer = Deliverer(pool, settings.intake, clock=clock)
    async with trio.open_nursery() as inside:
        await inside.start(reactor.run)
        inside.start_soon(doorbell.look_forever)
        inside.start_soon(connections.sweep_forever)
        inside.start_soon(keep, pool)
        pool.on_news = doorbell.ring
        async with trio.open_nursery() as clients, trio.open_nursery() as intake:
            for listener in listeners.lmtp:
                await intake.start(serve_lmtp, listener, deliverer)
            if settings.spool is not None:
                await intake.start(watch_spool, settings.spool, deliverer)
            door = Door(
                services, connections, reactor, clients, tls=tls, plaintext=settings.plaintext
            )
            async with trio.open_nursery() as doors:
                for listener in listeners.imap:
                    doors.start_soon(partial(door.accept_forever, listener, tls_first=False))
                for listener in listeners.imaps:
                    doors.start_soon(partial(door.accept_forever, listener, tls_first=True))
                task_status.started()
                await stop.wait()
                doors.cancel_scope.cancel()
            listeners.close_imap()
            intake.cancel_scope.cancel()  # a delivery that runs is answered all the same
            with trio.move_on_after(SHUTDOWN_SECONDS, shield=True):
                await connections.end_all("the server is shutting down")
            clients.cancel_scope.cancel()
        inside.cancel_scope.cancel()


async def keep(pool: "Filepool") -> None:
    """Clean the filepool up, now and then, a bounded piece at a time."""
    while True:
        more = False
        try:
            more = (await pool.sweep()).more
        except FilepoolError as fault:
            LOG.warning("the filepool is not swept", extra={"reason": str(fault)})
        await trio.sleep(BETWEEN_PIECES_SECONDS if more else SWEEP_SECONDS)
