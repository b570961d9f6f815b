"""Notification of systemd; without systemd nothing happens."""

import socket

import pytest

from imapvm.ops.serving.systemd import notify


@pytest.fixture
def listener():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(5)
        yield receiver


def test_socket_in_the_file_system(listener, tmp_path, monkeypatch):
    listener.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    notify("READY=1")
    assert listener.recv(100) == b"READY=1"


def test_abstract_socket(listener, tmp_path, monkeypatch):
    name = f"imapvm-test-{tmp_path.name}-{id(listener)}"
    listener.bind(f"\0{name}")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    notify("STOPPING=1")
    assert listener.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("address", [None, "", "/no/such/socket", "@no-such-socket", "odd"])
def test_without_a_listener_nothing_happens(address, monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")
