"""Acceptor: limits, plaintext passwords, and lack of descriptors."""

import errno
import gc
import os
import socket

import pytest
import trio
from tests.server.conftest import tcp_pair
from tests.server.whole import line, until
from trio.testing import wait_all_tasks_blocked

from imapvm.server.imap import acceptor as acceptor_module
from imapvm.server.imap.acceptor import PAUSE_SECONDS, Acceptor
from imapvm.server.imap.connections import Connections


def new_acceptor(services, connections, reactor, nursery, **options) -> Acceptor:
    return Acceptor(
        services, connections, reactor, nursery, tls=options.get("tls"),
        plaintext=options.get("plaintext", "loopback"),
    )  # fmt: skip


async def test_a_connection_past_the_limit_is_sent_bye(nursery, reactor, services):
    connections = Connections(limit=1)
    acceptor = new_acceptor(services, connections, reactor, nursery)
    first, refused = tcp_pair(), tcp_pair()
    acceptor.admit(first[0], ("192.0.2.1", 1), tls_first=False)
    await wait_all_tasks_blocked()
    acceptor.admit(refused[0], ("192.0.2.2", 1), tls_first=False)
    with first[1], refused[1]:
        assert refused[1].recv(100).startswith(b"* BYE [UNAVAILABLE] too many connections")
        assert refused[1].recv(100) == b""
        assert first[1].recv(100).startswith(b"* OK")
    assert len(connections) <= 1


async def test_a_tls_connection_past_the_limit_is_closed_without_bye(nursery, reactor, services):
    acceptor = new_acceptor(services, Connections(limit=0), reactor, nursery)
    ours, theirs = tcp_pair()
    acceptor.admit(ours, ("192.0.2.2", 1), tls_first=True)
    with theirs:
        assert theirs.recv(100) == b""


@pytest.mark.parametrize(
    ("plaintext", "peer", "allowed"),
    [
        ("loopback", "127.0.0.1", True),
        ("loopback", "::1", True),
        ("loopback", "192.0.2.1", False),
        ("always", "192.0.2.1", True),
        ("never", "127.0.0.1", False),
    ],
)
async def test_plaintext_setting_decides_whether_logindisabled_is_offered(
    nursery, reactor, services, plaintext, peer, allowed
):
    acceptor = new_acceptor(services, Connections(), reactor, nursery, plaintext=plaintext)
    ours, theirs = tcp_pair()
    acceptor.admit(ours, (peer, 1), tls_first=False)
    await wait_all_tasks_blocked()
    with theirs:
        assert (b"LOGINDISABLED" in theirs.recv(1000)) is not allowed


async def test_accepting_pauses_without_descriptors_and_resumes(
    nursery, reactor, services, monkeypatch, caplog
):
    left = 3

    class Listener:
        """A listening socket on a machine that has run out of descriptors three times."""

        def __init__(self) -> None:
            self.sock = socket.create_server(("127.0.0.1", 0))

        def fileno(self) -> int:
            return self.sock.fileno()

        def settimeout(self, seconds: float) -> None:
            self.sock.settimeout(seconds)

        def accept(self):
            nonlocal left
            if left:
                left -= 1
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return self.sock.accept()

    monkeypatch.setattr(acceptor_module, "PAUSE_SECONDS", PAUSE_SECONDS / 100)
    listener = Listener()
    acceptor = new_acceptor(services, Connections(), reactor, nursery)

    async def accept_forever() -> None:
        await acceptor.accept_forever(listener, tls_first=False)

    nursery.start_soon(accept_forever)
    client = await trio.open_tcp_stream(*listener.sock.getsockname())
    with trio.fail_after(5):
        assert (await line(client)).startswith(b"* OK")
    assert left == 0
    assert [r.getMessage() for r in caplog.records] == ["cannot accept connection"]
    await client.aclose()
    nursery.cancel_scope.cancel()
    listener.sock.close()


async def test_a_thousand_closed_connections_leave_no_descriptor_or_task(
    nursery, reactor, services
):
    connections = Connections()
    acceptor = new_acceptor(services, connections, reactor, nursery)
    gc.collect()  # descriptors that an earlier test left to the garbage collector
    before = len(os.listdir("/proc/self/fd"))
    with trio.fail_after(30):
        for _ in range(20):
            ends = [tcp_pair() for _ in range(50)]
            for ours, _ in ends:
                acceptor.admit(ours, ("127.0.0.1", 1), tls_first=False)
            await wait_all_tasks_blocked()
            assert len(connections) == len(reactor) == 50
            for number, (_, theirs) in enumerate(ends):
                if number % 2:
                    theirs.sendall(b"a LOGOUT\r\nb NOOP\r\n")
                theirs.close()
            await until(lambda: not len(connections))
    assert len(reactor) == 0
    assert len(os.listdir("/proc/self/fd")) == before
    assert not nursery.child_tasks - {task for task in nursery.child_tasks if "run" in task.name}
