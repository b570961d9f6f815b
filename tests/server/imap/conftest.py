from functools import partial

import pytest
import trio
from tests.server.conftest import tcp_pair

from imapvm.commands.services import Services
from imapvm.server.imap.connection import serve_connection
from imapvm.server.net.transport import Transport


@pytest.fixture
def services() -> Services:
    return Services(pool=None, authenticator=None, clock=lambda: 0.0)


@pytest.fixture
async def connect(nursery, reactor, services):
    """Serve a connection; gives the client's end, which is closed with the test."""
    clients = []

    async def connect(
        connections, *, plain_allowed=True, tls=None, tls_first=False, within=nursery
    ):
        ours, theirs = tcp_pair()
        transport = Transport(reactor, ours, peer="192.0.2.1", tls_server=tls)
        within.start_soon(
            partial(
                serve_connection,
                transport,
                services,
                connections,
                plain_allowed=plain_allowed,
                tls_first=tls_first,
            )
        )
        clients.append(trio.SocketStream(trio.socket.from_stdlib_socket(theirs)))
        return clients[-1]

    yield connect
    for client in clients:
        await trio.aclose_forcefully(client)
