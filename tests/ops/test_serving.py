"""`imapvm serve`: ready is said when it is, and a stop is clean."""

import imaplib
import signal
import socket
import subprocess
import sys

import pytest

from imapvm.intake.spool_directory import SpoolDirectory
from imapvm.ops import cli
from imapvm.server.certificate import self_signed

PATIENCE_SECONDS = 30


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What systemd is told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(PATIENCE_SECONDS)
        receiver.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield receiver


def serve(config):
    return subprocess.Popen(
        [sys.executable, "-m", "imapvm", "serve", "--config", config],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refused(config):
    """The exit code and the words of a server that does not start."""
    with serve(config) as process:
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, said


@pytest.fixture(params=[0, 2], ids=["alone", "2 workers"])
def workers(request):
    return request.param


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_is_ready_when_it_says_so_and_ends_when_told(tmp_path, port, told, how, workers):
    config = tmp_path / "imapvm.toml"
    self_signed(tmp_path / "tls")
    config.write_text(
        f"""
        filepool = "pool"
        spool = "spool"
        workers = {workers}
        listen.imap = ["127.0.0.1:{port}"]
        listen.lmtp = ["unix:{tmp_path}/lmtp"]
        tls = {{ certificate = "tls/certificate.pem", key = "tls/key.pem" }}
        log = {{ format = "json", level = "warning" }}
        """
    )
    assert cli.main(["filepool", "create", "--config", str(config)]) == 0
    with serve(config) as process:
        try:
            assert told.recv(100) == b"READY=1"
            with imaplib.IMAP4("127.0.0.1", port, timeout=PATIENCE_SECONDS) as client:
                assert client.noop()[0] == "OK"
                assert "STARTTLS" in client.capabilities
                with socket.socket(socket.AF_UNIX) as lmtp:
                    lmtp.settimeout(PATIENCE_SECONDS)
                    lmtp.connect(str(tmp_path / "lmtp"))
                    assert lmtp.recv(100).startswith(b"220 ")
                process.send_signal(how)
                assert told.recv(100) == b"STOPPING=1"
                assert process.wait(PATIENCE_SECONDS) == 0
        finally:
            process.kill()
        assert process.stderr.read() == ""
    assert (tmp_path / "spool/new").is_dir()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("filepool = 'none'", "none"),
        ("workers = 257", "imapvm.toml:2: workers: "),
        ("[listen]\nimap = ['here']", "imapvm.toml:3: listen.imap: "),
        (
            "tls = { certificate = 'imapvm.toml', key = 'imapvm.toml' }",
            "not a PEM certificate and key",
        ),
    ],
)
def test_what_cannot_be_served_is_one_sentence(tmp_path, text, says, workers):
    config = tmp_path / "imapvm.toml"
    config.write_text(f"{'' if 'workers' in text else f'workers = {workers}'}\n{text}")
    code, said = refused(config)
    assert code == (1 if "none" in says else 78)
    assert said.startswith("imapvm: ")
    assert says in said
    assert said.count("\n") == 1


def test_a_port_that_is_taken_is_one_sentence(tmp_path, workers):
    config = tmp_path / "imapvm.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(
            f"filepool = 'pool'\nspool = ''\nworkers = {workers}\n"
            f"listen.imap = ['127.0.0.1:{port}']"
        )
        assert cli.main(["filepool", "create", "--config", str(config)]) == 0
        code, said = refused(config)
    assert code == 78
    assert str(port) in said
    assert said.count("\n") == 1


def test_a_spool_that_another_server_watches_is_one_sentence(tmp_path, workers):
    config = tmp_path / "imapvm.toml"
    config.write_text(f"filepool = 'pool'\nspool = 'spool'\nworkers = {workers}\nlisten.imap = []")
    assert cli.main(["filepool", "create", "--config", str(config)]) == 0
    watching = SpoolDirectory(tmp_path / "spool")
    try:
        code, said = refused(config)
    finally:
        watching.close()
    assert code == 1
    assert said.startswith("imapvm: ")
    assert "spool" in said
    assert said.count("\n") == 1
