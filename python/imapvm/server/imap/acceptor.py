"""From a listening socket to a task for each connection."""

import contextlib
import errno
import logging
import os
import socket
from functools import partial
from typing import Final, final

import trio
from trio.lowlevel import wait_readable

from imapvm.commands.services import Services
from imapvm.server.imap.connection import serve_connection
from imapvm.server.imap.connections import LOCAL, Connections, is_loopback
from imapvm.server.net.reactor import Reactor
from imapvm.server.net.tls import TlsServer
from imapvm.server.net.transport import Transport
from imapvm.server.settings import Plaintext

LOG: Final = logging.getLogger(__name__)

ACCEPTS_PER_TURN: Final = 64
"""Connections that are taken before others get their turn."""
PAUSE_SECONDS: Final = 0.25
"""After accept has failed for want of descriptors or memory; meanwhile connections end."""
LOG_AGAIN_SECONDS: Final = 60.0
"""Between two log events about the same trouble."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@final
class Acceptor:
    """Lets clients in: what a new connection is given, and how many may come."""

    __slots__ = (
        "_connections",
        "_logged_at",
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
        """Keep what connections need.

        Args:
            services: what they share.
            connections: where they are counted.
            reactor: runs longer than `nursery`.
            nursery: gets a task for each.
            tls: None where there is no certificate.
            plaintext: who may send a password without TLS.
        """
        self._services = services
        self._connections = connections
        self._reactor = reactor
        self._nursery = nursery
        self._tls = tls
        self._plaintext = plaintext
        self._logged_at = float("-inf")

    async def accept_forever(self, listener: socket.socket, *, tls_first: bool) -> None:
        """Let in who comes to this socket, until cancelled."""
        listener.settimeout(0)
        while True:
            await wait_readable(listener)
            for _ in range(ACCEPTS_PER_TURN):
                try:
                    sock, address = listener.accept()
                except BlockingIOError:
                    break
                except OSError as fault:
                    if fault.errno in _EXHAUSTED:
                        self._log("cannot accept a connection", os.strerror(fault.errno))
                        await trio.sleep(PAUSE_SECONDS)
                        break
                    # The client was faster: accept(2) passes on what happened to it meanwhile.
                    LOG.debug("connection lost before it began", extra={"reason": str(fault)})
                    continue
                self.admit(sock, address, tls_first=tls_first)

    def admit(self, sock: socket.socket, address: object, *, tls_first: bool) -> None:
        """Begin to serve a connection, or turn it away.

        Args:
            sock: connected; not to be used by the caller any more.
            address: of the client, as `socket.accept` has it.
            tls_first: shake hands before the greeting.
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
        except OSError as fault:
            LOG.debug("connection lost before it began", extra={"reason": str(fault)})
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
        """Once a minute: whoever fills the table of connections shall not fill the log, too."""
        now = trio.current_time()
        if now - self._logged_at >= LOG_AGAIN_SECONDS:
            self._logged_at = now
            LOG.warning(event, extra={"reason": reason})
