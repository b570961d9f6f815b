"""Listening sockets of several workers, held by one process."""

import os
import select
import socket
from pathlib import Path

import pytest

from imapvm.server.settings import Settings, SettingsError
from imapvm.server.supervisor.listener_set import Slots


def settings(workers: int = 3, **listen) -> Settings:
    return Settings(filepool=Path("x"), workers=workers, **listen)


@pytest.fixture
def slots():
    slots = Slots(settings(imap=("127.0.0.1:0", "[::1]:0"), lmtp=("127.0.0.1:0",)))
    yield slots
    slots.close()


def connected(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=5)


def queued(slots: Slots, worker: int) -> bool:
    """Whether anybody waits to be accepted by a worker."""
    poll = select.poll()
    for sock in slots.of(worker).imap:
        poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def test_each_worker_has_a_socket_of_its_own_at_each_address(slots):
    places = [[sock.getsockname()[:2] for sock in slots.of(worker).imap] for worker in range(3)]
    assert places[0] == places[1] == places[2]
    assert [host for host, _ in places[0]] == ["127.0.0.1", "::1"]
    fds = [sock.fileno() for worker in range(3) for sock in slots.of(worker).imap]
    assert len(set(fds)) == 6
    assert slots.where().imap == places[0][0]
    assert slots.where().lmtp == slots.intake.lmtp[0].getsockname()


def test_connections_are_dealt_out(slots):
    clients = [connected(slots.where().imap) for _ in range(100)]
    assert [queued(slots, worker) for worker in range(3)] == [True] * 3
    for client in clients:
        client.close()


def test_a_paused_worker_gets_no_connections_until_it_is_back(slots):
    slots.pause(1)
    slots.pause(1)
    clients = [connected(slots.where().imap) for _ in range(100)]
    got = []
    for worker in (0, 2):
        (listener, _) = slots.of(worker).imap
        listener.settimeout(0)
        while True:
            try:
                got.append(listener.accept()[0])
            except BlockingIOError:
                break
    assert len(got) == 100
    slots.resume(1)
    slots.resume(1)
    assert slots.of(1).imap[0].getsockname() == slots.where().imap
    clients += [connected(slots.where().imap) for _ in range(100)]
    assert queued(slots, 1)
    for sock in (*clients, *got):
        sock.close()


def test_where_nobody_listens_any_more_connections_are_refused(slots):
    address = slots.where().imap
    slots.close()
    slots.close()
    with pytest.raises(ConnectionRefusedError):
        connected(address)


@pytest.mark.parametrize("shares", [False, True], ids=["alone", "shared by another server of ours"])
def test_a_port_in_use_is_said_in_one_sentence(shares):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(SettingsError, match=f"cannot listen at {address}: address already"):
            Slots(settings(imap=("127.0.0.1:0", address)))
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_port_that_is_named_can_be_had_again_at_once(slots):
    port = slots.where().imap[1]
    client = connected(slots.where().imap)
    slots.close()
    again = Slots(settings(imap=(f"127.0.0.1:{port}",)))
    assert again.where().imap == ("127.0.0.1", port)
    again.close()
    client.close()


def test_a_unix_socket_is_listened_at_by_all_together_and_goes_with_the_master(tmp_path):
    path = tmp_path / "imap"
    slots = Slots(settings(imap=(f"unix:{path}",)))
    assert len({slots.of(worker).imap[0].fileno() for worker in range(3)}) == 1
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert all(queued(slots, worker) for worker in range(3))
    slots.pause(0)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    slots.close()
    assert not path.exists()


def test_imaps_without_a_certificate_is_refused():
    with pytest.raises(SettingsError, match="certificate"):
        Slots(settings(imaps=("127.0.0.1:0",)))
