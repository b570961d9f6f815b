"""Acceptor: a task for each connection of a listening socket."""

import contextlib
import errno
import logging
import os
import socket
from collections import defaultdict
from functools import partial
from typing import Final, final

import trio
from trio.lowlevel import wait_readable

from imapvm.commands.services import Services
from imapvm.model.logs import LogInterval
from imapvm.model.peers import LOCAL, is_loopback
from imapvm.server.imap.connection import serve_connection
from imapvm.server.imap.connections import Connections
from imapvm.server.net.reactor import Reactor
from imapvm.server.net.tls import TlsServer
from imapvm.server.net.transport import Transport
from imapvm.server.settings import Plaintext

LOG: Final = logging.getLogger(__name__)

ACCEPTS_PER_TURN: Final = 64
"""Connections accepted before other tasks run."""
PAUSE_SECONDS: Final = 0.25
"""Pause after accept failed for want of descriptors or memory; meanwhile connections end."""
LOG_INTERVAL_SECONDS: Final = 60.0

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@final
class Acceptor:
    """Accepts connections within the limits, and starts to serve them."""

    __slots__ = (
        "_connections",
        "_log_intervals",
        "_nursery",
        "_plaintext",
        "_reactor",
        "_services",
        "_tls",
    )

    def __init__(
        self,
        services: Services,
        connections: Connections,
        reactor: Reactor,
        nursery: trio.Nursery,
        *,
        tls: TlsServer | None,
        plaintext: Plaintext,
    ) -> None:
        """Store the values that new connections need.

        Args:
            services: shared by all connections.
            connections: counts them.
            reactor: has to outlive `nursery`.
            nursery: gets a task for each connection.
            tls: None without a certificate.
            plaintext: which clients may send a password without TLS.
        """
        self._services = services
        self._connections = connections
        self._reactor = reactor
        self._nursery = nursery
        self._tls = tls
        self._plaintext = plaintext
        self._log_intervals: defaultdict[str, LogInterval] = defaultdict(
            partial(LogInterval, LOG_INTERVAL_SECONDS)
        )

    async def accept_forever(self, listener: socket.socket, *, tls_first: bool) -> None:
        """Accept connections of this socket until cancelled."""
        listener.settimeout(0)
        while True:
            await wait_readable(listener)
            for _ in range(ACCEPTS_PER_TURN):
                try:
                    sock, address = listener.accept()
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno in _EXHAUSTED:
                        self._log("cannot accept connection", os.strerror(error.errno))
                        await trio.sleep(PAUSE_SECONDS)
                        break
                    # accept(2) passes on errors of a connection that has failed already.
                    LOG.debug("connection lost before accept", extra={"reason": str(error)})
                    continue
                self.admit(sock, address, tls_first=tls_first)

    def admit(self, sock: socket.socket, address: object, *, tls_first: bool) -> None:
        """Start to serve a connection, or refuse it.

        Args:
            sock: connected; the caller must not use it any more.
            address: the client's, from `socket.accept`.
            tls_first: run the TLS handshake before the greeting.
        """
        peer = str(address[0]) if isinstance(address, tuple) else LOCAL
        refusal = self._connections.refusal(peer)
        if refusal is not None:
            self._log("connection refused", refusal)
            with sock, contextlib.suppress(OSError):
                if not tls_first:
                    sock.settimeout(0)
                    sock.send(f"* BYE [UNAVAILABLE] {refusal}\r\n".encode())
            return
        try:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            transport = Transport(self._reactor, sock, peer=peer, tls_server=self._tls)
        except OSError as error:
            LOG.debug("connection lost before accept", extra={"reason": str(error)})
            sock.close()
            return
        self._nursery.start_soon(
            partial(
                serve_connection,
                transport,
                self._services,
                self._connections,
                plain_allowed=self._may_send_password(peer),
                tls_first=tls_first,
            )
        )

    def _may_send_password(self, peer: str) -> bool:
        return self._plaintext == "always" or (self._plaintext == "loopback" and is_loopback(peer))

    def _log(self, event: str, reason: str) -> None:
        """Log each event once a minute."""
        skipped = self._log_intervals[event].skipped(trio.current_time())
        if skipped is not None:
            LOG.warning(event, extra={"reason": reason, "skipped": skipped})
