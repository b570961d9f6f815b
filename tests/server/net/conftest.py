import socket
import ssl
from collections.abc import AsyncIterator

import pytest
import trio
from tests.server.conftest import tcp_pair

from imapvm.server.net.reactor import Reactor
from imapvm.server.net.tls import TlsServer
from imapvm.server.net.transport import Transport


@pytest.fixture(params=["tcp", "unix"])
def pair(request: pytest.FixtureRequest) -> tuple[socket.socket, socket.socket]:
    """Ours and the client's end of a connection."""
    return tcp_pair() if request.param == "tcp" else socket.socketpair()


@pytest.fixture(params=["tcp", "unix", "tls"])
async def connected(
    request: pytest.FixtureRequest,
    reactor: Reactor,
    tls_server: TlsServer,
    client_tls: ssl.SSLContext,
) -> AsyncIterator[tuple[Transport, trio.abc.Stream]]:
    """A transport, and the client's end as a Trio stream: plain TCP, AF_UNIX, and TLS over TCP."""
    ours, theirs = socket.socketpair() if request.param == "unix" else tcp_pair()
    transport = Transport(reactor, ours, peer="192.0.2.1", tls_server=tls_server)
    plain = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
    client: trio.abc.Stream = plain
    if request.param == "tls":
        client = secure = trio.SSLStream(plain, client_tls, server_hostname="imap.example.org")
        async with trio.open_nursery() as both:
            both.start_soon(transport.start_tls)
            both.start_soon(secure.do_handshake)
    yield transport, client
    transport.close()
    await trio.aclose_forcefully(client)
