"""LMTP listener: accepts connections and serves each in a task.

At most LMTP_CONNECTIONS_MAX connections are served; LMTP_WAITING_MAX more are accepted and wait
without a greeting. The next one served is of the peer with the fewest connections. While some wait,
idle connections are closed with 421, of the peer with the most connections first; and if a peer
with less than its share waits, also a slow message of a peer with more.
"""

import contextlib
import errno
import ipaddress
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable
from typing import Final

import trio

from imapvm.intake.deliver import Deliverer
from imapvm.intake.lmtp.connection import LmtpConnection, serve_connection
from imapvm.intake.lmtp.protocol import TOO_MANY_CONNECTIONS
from imapvm.intake.lmtp.transport import LmtpTransport
from imapvm.model.limits import LMTP_CONNECTIONS_MAX, LMTP_WAITING_MAX
from imapvm.model.logs import LogInterval
from imapvm.model.peers import PROXY_LOG_SECONDS

log = logging.getLogger(__name__)

ACCEPT_RETRY_SECONDS: Final = 0.1

IDLE_WHEN_FULL_SECONDS: Final = 10
"""Time without a message, or in one message, after which a connection is closed for another."""
CLOSE_INTERVAL_SECONDS: Final = 1
"""Time between two searches for such connections, while others wait."""

REFUSAL_LOG_SECONDS: Final = 1.0
"""Least interval of the log event for a refused connection."""

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
    accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    async with accepting, trio.open_nursery() as connections:
        slots = _Slots(connections, deliverer, connect)
        connections.start_soon(slots.close_idle_forever)
        task_status.started()
        try:
            while True:
                try:
                    accepted = await accepting.accept()
                except OSError as error:
                    if error.errno not in _NO_RESOURCES:
                        raise
                    log.error("cannot accept LMTP", extra={"error": os.strerror(error.errno)})
                    await trio.sleep(ACCEPT_RETRY_SECONDS)
                    continue
                slots.add(socket.socket(fileno=accepted.socket.detach()))
        finally:
            slots.close_waiting()


class _Client:
    """Accepted connection."""

    __slots__ = ("address", "connection", "peer", "socket")

    def __init__(self, connected: socket.socket) -> None:
        """Read the peer's address.

        Raises:
            OSError: the peer has closed the connection.
        """
        self.socket = connected
        self.address = _peer_of(connected)
        self.peer = _network_of(self.address)
        """Peer for the purpose of fairness."""
        self.connection: LmtpConnection | None = None
        """Set while it is served."""


class _Slots:
    """Connections that are served, and connections that wait."""

    def __init__(
        self,
        nursery: trio.Nursery,
        deliverer: Deliverer,
        connect: Callable[[socket.socket], LmtpTransport],
    ) -> None:
        self._nursery = nursery
        self._deliverer = deliverer
        self._connect = connect
        self._served: set[_Client] = set()
        self._waiting: list[_Client] = []
        self._has_waiting = trio.Event()
        self._proxy_headers = LogInterval(PROXY_LOG_SECONDS)
        self._refusals = LogInterval(REFUSAL_LOG_SECONDS)

    def add(self, connected: socket.socket) -> None:
        """Serve a connection, let it wait, or refuse one."""
        try:
            client = _Client(connected)
        except OSError:  # the peer has closed already
            connected.close()
            return
        self._waiting.append(client)
        self._start_waiting()
        if len(self._waiting) > LMTP_WAITING_MAX:
            self._refuse_one()
        if self._waiting:
            self._has_waiting.set()

    def _start_waiting(self) -> None:
        """Serve waiting connections while there is room: the peer with the fewest first."""
        while self._waiting and len(self._served) < LMTP_CONNECTIONS_MAX:
            served = Counter(client.peer for client in self._served)
            client = min(self._waiting, key=lambda client: served[client.peer])
            self._waiting.remove(client)
            self._served.add(client)
            self._nursery.start_soon(self._serve, client)

    def _refuse_one(self) -> None:
        """Refuse the newest waiting connection of the peer with the most."""
        counts = Counter(client.peer for client in self._waiting)
        client = max(reversed(self._waiting), key=lambda client: counts[client.peer])
        self._waiting.remove(client)
        if (skipped := self._refusals.skipped(trio.current_time())) is not None:
            extra = {"peer": client.address, "skipped": skipped}
            log.info("LMTP connection refused", extra=extra)
        with contextlib.suppress(OSError):
            client.socket.settimeout(0)
            client.socket.send(TOO_MANY_CONNECTIONS.line)
        client.socket.close()

    async def _serve(self, client: _Client) -> None:
        try:
            transport = self._connect(client.socket)
        except OSError:  # the peer has closed already
            client.socket.close()
        else:

            def on_start(connection: LmtpConnection) -> None:
                client.connection = connection

            await serve_connection(transport, self._deliverer, client.address, on_start)
            if client.connection is not None and client.connection.has_proxy_header:
                self._log_proxy_header(client)
        finally:
            self._served.discard(client)
            self._start_waiting()

    def _log_proxy_header(self, client: _Client) -> None:
        if (skipped := self._proxy_headers.skipped(trio.current_time())) is not None:
            extra = {"peer": client.address, "skipped": skipped}
            log.warning("PROXY header received and connection closed", extra=extra)

    async def close_idle_forever(self) -> None:
        """Close connections for those that wait, until cancelled."""
        while True:
            await self._has_waiting.wait()
            self._close_idle()
            await trio.sleep(CLOSE_INTERVAL_SECONDS)
            if not self._waiting:
                self._has_waiting = trio.Event()

    def _close_idle(self) -> None:
        served = Counter(client.peer for client in self._served)
        share = LMTP_CONNECTIONS_MAX / len(served.keys() | {c.peer for c in self._waiting})
        closed: set[_Client] = set()
        for waiting in self._waiting:
            found = [
                (client, connection)
                for client in self._served - closed
                if (connection := client.connection) is not None
                and (
                    connection.is_idle(IDLE_WHEN_FULL_SECONDS)
                    or (
                        served[waiting.peer] < share < served[client.peer]
                        and connection.has_read_for(IDLE_WHEN_FULL_SECONDS)
                    )
                )
            ]
            if not found:
                continue
            client, connection = max(found, key=lambda pair: served[pair[0].peer])
            connection.close_for_another()
            closed.add(client)
            served[client.peer] -= 1
            served[waiting.peer] += 1

    def close_waiting(self) -> None:
        """Close the connections that wait. At the end."""
        for client in self._waiting:
            client.socket.close()
        self._waiting.clear()


def _network_of(address: str | None) -> str | None:
    """Return the /64 network of an IPv6 address, else the address."""
    if address is None or ":" not in address:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False))


def _peer_of(connected: socket.socket) -> str | None:
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    address: str = connected.getpeername()[0]
    return address.partition("%")[0].removeprefix("::ffff:")
