"""Servers are started and ended with their descendants."""

import socket
import sys
from pathlib import Path

import pytest
from bench.peers.peer import PeerFailedError, free_addresses
from bench.peers.processes import descendants, served


def is_running(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


LISTENS = """\
import socket, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import signal, time;"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"],
    stdout=subprocess.PIPE)
child.stdout.readline()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    listener.accept()
"""


def test_a_child_that_its_server_leaves_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.peers.processes.END_SECONDS", 0.3)
    [address] = free_addresses(1)
    command = [sys.executable, "-c", LISTENS, str(address[1])]
    with served(command, log=tmp_path / "log", listens=[address]) as pid:
        socket.create_connection(address).close()
        family = descendants(pid)
        assert len(family) == 2
    assert not [each for each in family if is_running(each)]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_a_server_that_ends_at_once_is_reported_with_its_output(tmp_path):
    command = [sys.executable, "-c", "print('no such key: colour'); raise SystemExit(3)"]
    with (
        pytest.raises(PeerFailedError, match=r"exit status 3: no such key: colour"),
        served(command, log=tmp_path / "log", listens=free_addresses(1)),
    ):
        pass


def test_a_server_that_does_not_listen_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.peers.processes.START_SECONDS", 0.2)
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with (
        pytest.raises(PeerFailedError, match="no server at 127"),
        served(command, log=tmp_path / "log", listens=free_addresses(1)),
    ):
        pass
