"""`python -m bench.peers`: list servers and run one."""

import imaplib
import signal
import subprocess
import sys

import pytest
from bench.peers import PEERS

COMMAND = [sys.executable, "-m", "bench.peers"]


def test_all_servers_are_listed():
    output = subprocess.run(COMMAND, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in output.splitlines()] == list(PEERS)


def test_an_unknown_name_is_refused_with_the_known_names():
    done = subprocess.run([*COMMAND, "exchange"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown server 'exchange': use imapvm" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["imapvm", "dovecot"])
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_server_prints_its_addresses_and_runs_until_a_signal(name, end, tmp_path):
    tmp_path.chmod(0o755)
    command = [*COMMAND, name, "--dir", str(tmp_path / "mail"), "--users", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        values = {}
        for line in server.stdout:
            key, _, value = line.strip().partition("=")
            values[key] = value
            if line == "ready\n":
                break
        host, _, port = values["imap"].rpartition(":")
        with imaplib.IMAP4(host, int(port)) as client:
            client.login("user2", "secret")
        server.send_signal(end)
        assert server.wait(20) == 0
    with pytest.raises(ConnectionRefusedError):
        imaplib.IMAP4(host, int(port))
