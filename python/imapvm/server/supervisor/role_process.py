"""A process that a master has started, from its assignment to its end."""

import ctypes
import faulthandler
import os
import signal
import socket
from typing import TYPE_CHECKING, Final

import trio

from imapvm.server.net.listen import Listeners
from imapvm.server.roles import Among, Orders, serve_roles, tls_of
from imapvm.server.shared.memory import SharedMemory
from imapvm.server.shared.wakeup import Bells
from imapvm.server.supervisor.report import Report
from imapvm.server.supervisor.spawn_config import Assignment, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

# <linux/prctl.h>
PR_SET_PDEATHSIG: Final = 1
PR_SET_NAME: Final = 15


def serve_assignment(assignment: Assignment) -> None:
    """Do what the master wants, until it says otherwise; in the main thread of a new process.

    Raises:
        CertificateError, FilepoolError, SpoolInUseError, OSError: it cannot; see `serve_roles`.
    """
    _die_with(assignment.master)
    _set_name(f"imapvm-{assignment.name}")
    faulthandler.enable()  # for SIGABRT, by which the master ends one that hangs
    for what in (signal.SIGINT, signal.SIGHUP):  # of a terminal: they are the master's
        signal.signal(what, signal.SIG_IGN)
    trio.run(_served, assignment)


async def _served(assignment: Assignment) -> None:
    settings = assignment.configuration.settings
    for fd in assignment.descriptors():  # whoever sends bounces gets none of them
        os.set_inheritable(fd, False)  # noqa: FBT003  # positional only
    report = Report(assignment.report)
    orders = Orders()
    memory = SharedMemory(assignment.memory, len(assignment.bells))
    bells = Bells(assignment.bells, memory.bells, assignment.place)
    listeners = Listeners(
        imap=list(_sockets(assignment.imap)),
        imaps=list(_sockets(assignment.imaps)),
        lmtp=list(_sockets(assignment.lmtp)),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(_take_orders, orders)
        nursery.start_soon(report.beat_forever)
        async with trio.open_nursery() as serving:

            async def serve(*, task_status: trio.TaskStatus[None]) -> None:
                await serve_roles(
                    {assignment.role},
                    settings,
                    listeners,
                    orders,
                    tls=tls_of(settings) if assignment.role is Role.WORKER else None,
                    among=Among(memory=memory, bells=bells, place=assignment.place),
                    task_status=task_status,
                )

            await serving.start(serve)
            report.ready()
        nursery.cancel_scope.cancel()


async def _take_orders(
    orders: Orders, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2) as signals:
        task_status.started()
        async for what in signals:
            match what:
                case signal.SIGTERM:
                    orders.stop.set()
                case signal.SIGUSR1:
                    orders.retire.set()
                case _:
                    orders.clean_now()


def _sockets(fds: "Iterable[int]") -> "Iterable[socket.socket]":
    return (socket.socket(fileno=fd) for fd in fds)


def _die_with(master: int) -> None:
    """Be killed when the master dies, however that happens.

    By the kernel, and not by the end of a pipe: a process that hangs would not read it, and must
    not hold the spool and the filepool while the next master starts. Nothing that was
    acknowledged is lost by it.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != master:  # it died before
        signal.raise_signal(signal.SIGKILL)


def _set_name(name: str) -> None:
    """What `top` and `ps -o comm` show: 15 octets at most."""
    _prctl(PR_SET_NAME, name.encode()[:15] + b"\0")


def _prctl(option: int, argument: int | bytes) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
