"""One address with as many connections as it may have does not delay the logins of others."""

from functools import partial

import pytest
import trio
from tests.server.whole import Client

from imapvm.model.limits import CONNECTIONS_PER_PEER_MAX

pytestmark = pytest.mark.slow

ATTACKER = "127.0.0.9"
LOGIN_SECONDS_MAX = 10
"""Bound of a login on a busy machine. The errors that these tests were written for took 30 s."""


@pytest.fixture
def connect(secure_server, client_tls):
    """Return a function that connects to the port for TLS from an address of this machine."""

    async def connect(address: str, *, tls: bool = True) -> trio.abc.Stream:
        host, port = secure_server.listening.imaps
        plain = await trio.open_tcp_stream(host, port, local_address=address)
        if not tls:
            return plain
        return trio.SSLStream(plain, client_tls, server_hostname="imap.example.org")

    return connect


async def log_in(connect, address: str, user: bytes) -> None:
    with trio.fail_after(LOGIN_SECONDS_MAX):
        client = Client(await connect(address))
        await client.until(b"* OK")
        assert (await client.command(b"LOGIN " + user + b" secret"))[-1].startswith(b"t OK")
        await client.stream.aclose()


async def guess_forever(connect, number: int) -> None:
    while True:
        client = Client(await connect(ATTACKER))
        try:
            await client.until(b"* OK")
            while (await client.command(b"LOGIN user%d wrong" % number))[-1].startswith(b"t NO"):
                pass
        except (AssertionError, trio.BrokenResourceError):
            await trio.aclose_forcefully(client.stream)
            await trio.sleep(0.01)


async def test_wrong_passwords_of_one_address(connect, nursery):
    for number in range(CONNECTIONS_PER_PEER_MAX):
        nursery.start_soon(partial(guess_forever, connect, number % 50))
    await trio.sleep(2)
    for number in range(65):
        await log_in(connect, f"127.0.1.{1 + number % 40}", (b"ada", b"grace")[number % 2])


async def test_silent_connections_of_one_address(connect):
    silent = [Client(await connect(ATTACKER, tls=False)) for _ in range(CONNECTIONS_PER_PEER_MAX)]
    for number in range(5):
        await log_in(connect, f"127.0.1.{1 + number}", b"ada")
    with trio.fail_after(30):  # a handshake has ten seconds
        for client in silent:
            assert await client.line() == b""
