"""Main function of a process that the master has spawned."""

import ctypes
import faulthandler
import logging
import os
import signal
import socket
from collections.abc import Iterable
from typing import Final

import trio

from imapvm.server.net.listen import Listeners
from imapvm.server.role import Role
from imapvm.server.roles import RoleEvents, Siblings, serve_roles, tls_of
from imapvm.server.shared.memory import SharedMemory
from imapvm.server.shared.wakeup import Wakeup, WorkerWakeup
from imapvm.server.supervisor.report import Report
from imapvm.server.supervisor.spawn_config import SpawnConfig

LOG: Final = logging.getLogger(__name__)

# <linux/prctl.h>
PR_SET_PDEATHSIG: Final = 1
PR_SET_NAME: Final = 15
TITLE_BYTES: Final = 15


def serve_role(spawn_config: SpawnConfig) -> None:
    """Run one role until the master ends the process; in the main thread of a new process.

    Raises:
        CertificateError, FilepoolError, SpoolError, OSError: as `serve_roles`.
    """
    _die_with(spawn_config.master)
    _set_name(title_of(spawn_config.role, spawn_config.name))
    faulthandler.enable()  # for SIGABRT, which the master sends to a hung process
    for what in (signal.SIGINT, signal.SIGHUP):  # from a terminal: for the master
        signal.signal(what, signal.SIG_IGN)
    trio.run(_serve, spawn_config)


async def _serve(spawn_config: SpawnConfig) -> None:
    settings = spawn_config.settings
    for fd in spawn_config.descriptors():  # sendmail must not inherit them
        os.set_inheritable(fd, False)  # noqa: FBT003  # positional only
    report = Report(spawn_config.report)
    events = RoleEvents()
    memory = SharedMemory(spawn_config.memory, len(spawn_config.eventfds))
    wakeup, siblings = _siblings(spawn_config, memory)
    listeners = Listeners(
        imap=list(_sockets(spawn_config.imap)),
        imaps=list(_sockets(spawn_config.imaps)),
        lmtp=list(_sockets(spawn_config.lmtp)),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(_receive_signals, events)
        nursery.start_soon(report.beat_forever)
        async with trio.open_nursery() as serving:

            async def serve(*, task_status: trio.TaskStatus[None]) -> None:
                await serve_roles(
                    {spawn_config.role},
                    settings,
                    listeners,
                    events,
                    tls=tls_of(settings) if spawn_config.role is Role.WORKER else None,
                    wakeup=wakeup,
                    siblings=siblings,
                    task_status=task_status,
                )

            await serving.start(serve)
            LOG.info("process ready", extra={"pid": os.getpid()})
            report.ready()
        nursery.cancel_scope.cancel()


def _siblings(spawn_config: SpawnConfig, memory: SharedMemory) -> tuple[Wakeup, Siblings | None]:
    fds, states = spawn_config.eventfds, memory.wakeup_states
    if spawn_config.index is None:
        return Wakeup(fds, states), None
    wakeup = WorkerWakeup(fds, states, spawn_config.index)
    return wakeup, Siblings(memory=memory, wakeup=wakeup)


async def _receive_signals(
    events: RoleEvents, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2) as signals:
        task_status.started()
        async for what in signals:
            match what:
                case signal.SIGTERM:
                    events.stop.set()
                case signal.SIGUSR1:
                    events.drain.set()
                case _:
                    events.sweep_now()


def _sockets(fds: Iterable[int]) -> Iterable[socket.socket]:
    return (socket.socket(fileno=fd) for fd in fds)


def _die_with(master: int) -> None:
    """Have the kernel kill this process when the master dies.

    Not the end of a pipe: a hung process would not read it, and must not hold the spool and the
    filepool while the next master starts. Nothing that was acknowledged is lost.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != master:  # it has died already
        signal.raise_signal(signal.SIGKILL)


def title_of(role: Role, name: str) -> str:
    """Return the process title, shortened so that all titles differ in the kernel's 15 bytes."""
    if role is Role.MAINTENANCE:
        return "imapvm-maint"
    title = f"imapvm-{name}"
    return title if len(title) <= TITLE_BYTES else title.replace("worker", "work")


def _set_name(name: str) -> None:
    """Set the title that `top` and `ps -o comm` show: 15 bytes at most."""
    _prctl(PR_SET_NAME, name.encode()[:TITLE_BYTES] + b"\0")


def _prctl(option: int, argument: int | bytes) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
