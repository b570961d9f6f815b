"""LMTP listener: accepts connections and serves each in a task."""

import errno
import logging
import os
import socket
from collections.abc import Callable
from typing import Final

import trio

from imapvm.intake.deliver import Deliverer
from imapvm.intake.lmtp.connection import serve_connection
from imapvm.intake.lmtp.transport import LmtpTransport
from imapvm.model.limits import LMTP_CONNECTIONS_MAX

log = logging.getLogger(__name__)

ACCEPT_RETRY_SECONDS: Final = 0.1

_NO_RESOURCES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}


async def serve_lmtp(
    listener: socket.socket,
    deliverer: Deliverer,
    connect: Callable[[socket.socket], LmtpTransport],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept and serve LMTP connections until cancelled.

    Args:
        listener: a listening socket, TCP or unix; closed at the end.
        deliverer: receives the messages.
        connect: makes a transport of a connected socket, and owns the socket from then on.
        task_status: started when connections are accepted.
    """
    slots = trio.Semaphore(LMTP_CONNECTIONS_MAX)
    accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    async with accepting, trio.open_nursery() as connections:
        task_status.started()
        while True:
            await slots.acquire()
            try:
                accepted = await accepting.accept()
            except OSError as error:
                slots.release()
                if error.errno not in _NO_RESOURCES:
                    raise
                log.error("cannot accept LMTP", extra={"error": os.strerror(error.errno)})
                await trio.sleep(ACCEPT_RETRY_SECONDS)
                continue
            connected = socket.socket(fileno=accepted.socket.detach())
            connections.start_soon(_serve_and_release, connected, deliverer, connect, slots)


async def _serve_and_release(
    connected: socket.socket,
    deliverer: Deliverer,
    connect: Callable[[socket.socket], LmtpTransport],
    slots: trio.Semaphore,
) -> None:
    try:
        address = _peer_of(connected)
        transport = connect(connected)
    except OSError:  # the peer has closed already
        connected.close()
    else:
        await serve_connection(transport, deliverer, address)
    finally:
        slots.release()


def _peer_of(connected: socket.socket) -> str | None:
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    address: str = connected.getpeername()[0]
    return address.partition("%")[0].removeprefix("::ffff:")
