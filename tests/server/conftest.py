import socket
import ssl
from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio
import trustme
from tests.server.whole import Server, running

from imapvm.commands.services import Services
from imapvm.server.imap.connection import serve_connection
from imapvm.server.net.reactor import Reactor
from imapvm.server.net.tls import TlsServer
from imapvm.server.net.transport import Transport


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def tls_server_files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("imap.example.org")
    key, certificate = directory / "key.pem", directory / "cert.pem"
    issued.private_key_pem.write_to_path(key)
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return certificate, key


@pytest.fixture
def tls_server(tls_server_files) -> TlsServer:
    return TlsServer(*tls_server_files)


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        return ours, client


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


@pytest.fixture
async def server(tmp_path) -> AsyncIterator[Server]:
    async with running(tmp_path) as server:
        yield server


@pytest.fixture(params=[0, pytest.param(3, marks=pytest.mark.slow)], ids=["alone", "3 workers"])
def workers(request: pytest.FixtureRequest) -> int:
    """How many processes serve clients; 0: everything is in this one."""
    return request.param


@pytest.fixture
async def any_server(tmp_path, workers) -> AsyncIterator[Server]:
    async with running(tmp_path, workers=workers) as server:
        yield server


@pytest.fixture
async def secure_server(tmp_path, tls_server_files, workers) -> AsyncIterator[Server]:
    certificate, key = tls_server_files
    async with running(
        tmp_path,
        certificate=certificate,
        key=key,
        imaps=("127.0.0.1:0",),
        plaintext="never",
        workers=workers,
    ) as server:
        yield server


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
