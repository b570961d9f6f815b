import socket
from collections.abc import AsyncIterator

import pytest
from tests.server.whole import Server, running

from imapvm.server.net.tls import TlsServer


@pytest.fixture
def tls_server(tls_server_files) -> TlsServer:
    return TlsServer(*tls_server_files)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        return ours, client


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
        log_format="json",
    ) as server:
        yield server
