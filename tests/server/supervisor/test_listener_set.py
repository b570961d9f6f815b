"""Listening sockets of several workers, held by the master."""

import os
import select
import socket
from pathlib import Path

import pytest

from imapvm.server.settings import Settings, SettingsError
from imapvm.server.supervisor.listener_set import ListenerSet


def settings(workers: int = 3, **listen) -> Settings:
    return Settings(filepool=Path("x"), workers=workers, **listen)


@pytest.fixture
def listeners():
    listeners = ListenerSet(settings(imap=("127.0.0.1:0", "[::1]:0"), lmtp=("127.0.0.1:0",)))
    yield listeners
    listeners.close()


def connected(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=5)


def queued(listeners: ListenerSet, worker: int) -> bool:
    """Return True if a connection waits to be accepted by a worker."""
    poll = select.poll()
    for sock in listeners.of(worker).imap:
        poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def test_each_worker_has_its_own_socket_at_each_address(listeners):
    places = [[sock.getsockname()[:2] for sock in listeners.of(worker).imap] for worker in range(3)]
    assert places[0] == places[1] == places[2]
    assert [host for host, _ in places[0]] == ["127.0.0.1", "::1"]
    fds = [sock.fileno() for worker in range(3) for sock in listeners.of(worker).imap]
    assert len(set(fds)) == 6
    assert listeners.addresses().imap == places[0][0]
    assert listeners.addresses().lmtp == listeners.intake.lmtp[0].getsockname()


def test_connections_are_distributed_to_all_workers(listeners):
    clients = [connected(listeners.addresses().imap) for _ in range(100)]
    assert [queued(listeners, worker) for worker in range(3)] == [True] * 3
    for client in clients:
        client.close()


def test_paused_worker_gets_no_connections_until_it_resumes(listeners):
    listeners.pause(1)
    listeners.pause(1)
    clients = [connected(listeners.addresses().imap) for _ in range(100)]
    got = []
    for worker in (0, 2):
        (listener, _) = listeners.of(worker).imap
        listener.settimeout(0)
        while True:
            try:
                got.append(listener.accept()[0])
            except BlockingIOError:
                break
    assert len(got) == 100
    listeners.resume(1)
    listeners.resume(1)
    assert listeners.of(1).imap[0].getsockname() == listeners.addresses().imap
    clients += [connected(listeners.addresses().imap) for _ in range(100)]
    assert queued(listeners, 1)
    for sock in (*clients, *got):
        sock.close()


def test_connections_after_close_are_refused(listeners):
    address = listeners.addresses().imap
    listeners.close()
    listeners.close()
    with pytest.raises(ConnectionRefusedError):
        connected(address)


@pytest.mark.parametrize("shares", [False, True], ids=["alone", "shared by another server of ours"])
def test_port_in_use_is_reported(shares):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(SettingsError, match=f"cannot bind {address}: address already"):
            ListenerSet(settings(imap=("127.0.0.1:0", address)))
        assert len(os.listdir("/proc/self/fd")) == before


def test_fixed_port_can_be_bound_again_at_once(listeners):
    port = listeners.addresses().imap[1]
    client = connected(listeners.addresses().imap)
    listeners.close()
    again = ListenerSet(settings(imap=(f"127.0.0.1:{port}",)))
    assert again.addresses().imap == ("127.0.0.1", port)
    again.close()
    client.close()


def test_unix_socket_is_shared_by_all_workers_and_removed_at_close(tmp_path):
    path = tmp_path / "imap"
    listeners = ListenerSet(settings(imap=(f"unix:{path}",)))
    assert len({listeners.of(worker).imap[0].fileno() for worker in range(3)}) == 1
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert all(queued(listeners, worker) for worker in range(3))
    listeners.pause(0)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listeners.close()
    assert not path.exists()


def test_imaps_without_a_certificate_is_refused():
    with pytest.raises(SettingsError, match="certificate"):
        ListenerSet(settings(imaps=("127.0.0.1:0",)))
