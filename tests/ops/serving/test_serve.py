"""`imapvm serve`: readiness, reload, and a clean stop."""

import imaplib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from importlib import metadata

import pytest

from imapvm.intake.spool.directory import SpoolDirectory
from imapvm.intake.spool.layout import create_spool
from imapvm.ops import cli
from imapvm.server.net.certificate import self_signed

DEADLINE_SECONDS = 30


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """Socket that receives the notifications for systemd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(DEADLINE_SECONDS)
        receiver.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield receiver


def create_config(directory, workers, text="", *, spool="spool"):
    """Write a configuration, and create its filepool; return the path of the configuration."""
    config = directory / "imapvm.toml"
    config.write_text(f"filepool = 'pool'\nspool = '{spool}'\nworkers = {workers}\n{text}")
    assert cli.main(["filepool", "create", "--config", str(config)]) == 0
    return config


def serve(config):
    return subprocess.Popen(
        [sys.executable, "-m", "imapvm", "serve", "--config", config],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refused(config):
    """Return exit code and standard error of a server that does not start."""
    with serve(config) as process:
        _, message = process.communicate(timeout=DEADLINE_SECONDS)
    return process.returncode, message


@pytest.fixture(params=[0, pytest.param(2, marks=pytest.mark.slow)], ids=["alone", "2 workers"])
def workers(request):
    return request.param


def test_start_and_stop_are_logged(tmp_path, port, workers):
    config = create_config(
        tmp_path,
        workers,
        f"""
        listen.imap = ["127.0.0.1:{port}"]
        log.format = "json"
        """,
    )
    with serve(config) as process:
        events = []
        for line in process.stderr:
            events.append(json.loads(line))
            if events[-1]["event"] == "server ready":
                process.terminate()
    by_name = {event["event"]: event for event in events}
    ready = by_name["server ready"]
    assert ready["version"] == metadata.version("imapvm")
    assert (ready["pid"], ready["workers"]) == (process.pid, workers)
    assert ready["imap"] == f"127.0.0.1:{port}"
    assert "lmtp" not in ready
    assert by_name["server stopping"]["signal"] == "SIGTERM"
    assert events[-1]["event"] == "server stopped"
    roles = {event["role"] for event in events if event["event"] == "process ready"}
    assert roles == ({"maintenance", "intake", "worker-1", "worker-2"} if workers else set())


@pytest.mark.parametrize(
    ("workers", "how"),
    [
        (0, signal.SIGTERM),
        (0, signal.SIGINT),
        pytest.param(2, signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(2, signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_readiness_and_stop(tmp_path, port, systemd, how, workers):
    self_signed(tmp_path / "tls")
    config = create_config(
        tmp_path,
        workers,
        f"""
        listen.imap = ["127.0.0.1:{port}"]
        listen.lmtp = ["unix:{tmp_path}/lmtp"]
        tls = {{ certificate = "tls/certificate.pem", key = "tls/key.pem" }}
        log = {{ format = "json", level = "warning" }}
        """,
    )
    with serve(config) as process:
        try:
            assert systemd.recv(100) == b"READY=1"
            with imaplib.IMAP4("127.0.0.1", port, timeout=DEADLINE_SECONDS) as client:
                assert client.noop()[0] == "OK"
                assert "STARTTLS" in client.capabilities
                with socket.socket(socket.AF_UNIX) as lmtp:
                    lmtp.settimeout(DEADLINE_SECONDS)
                    lmtp.connect(str(tmp_path / "lmtp"))
                    assert lmtp.recv(100).startswith(b"220 ")
                process.send_signal(how)
                assert systemd.recv(100) == b"STOPPING=1"
                assert process.wait(DEADLINE_SECONDS) == 0
        finally:
            process.kill()
        assert process.stderr.read() == ""
    assert (tmp_path / "spool/new").is_dir()


def test_warnings_at_start(tmp_path, systemd, workers):
    config = create_config(
        tmp_path,
        workers,
        """
        listen.imap = ["127.0.0.1:0"]
        delivery = { postmaster = "ada", domains = ["@example.org"] }
        log = { format = "json", level = "warning" }
        """,
    )
    (tmp_path / "pool").chmod(0o755)
    with serve(config) as process:
        try:
            assert systemd.recv(100) == b"READY=1"
            process.terminate()
            _, written = process.communicate(timeout=DEADLINE_SECONDS)
        finally:
            process.kill()
    events = {json.loads(line)["event"]: json.loads(line) for line in written.splitlines()}
    assert set(events) == {
        "filepool was accessible to other users; its mode is set to 0700",
        "delivery.domains has an entry that is no domain",
        "delivery.postmaster is not a user",
    }
    assert events["delivery.postmaster is not a user"]["user"] == "ada"
    assert (tmp_path / "pool").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("text", "message"),
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
def test_error_at_start_is_one_line(tmp_path, text, message, workers):
    config = tmp_path / "imapvm.toml"
    config.write_text(f"{'' if 'workers' in text else f'workers = {workers}'}\n{text}")
    code, written = refused(config)
    assert code == (1 if "none" in message else 78)
    assert written.startswith("imapvm: ")
    assert message in written
    assert written.count("\n") == 1


def test_port_in_use_is_one_line(tmp_path, workers):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = f"listen.imap = ['127.0.0.1:{port}']"
        config = create_config(tmp_path, workers, text, spool="")
        code, message = refused(config)
    assert code == 78
    assert str(port) in message
    assert message.count("\n") == 1


def test_spool_in_use_is_one_line(tmp_path, workers):
    config = create_config(tmp_path, workers, "listen.imap = []")
    watching = SpoolDirectory(tmp_path / "spool")
    try:
        code, message = refused(config)
    finally:
        watching.close()
    assert code == 1
    (error,) = [line for line in message.splitlines() if line.startswith("imapvm: ")]
    assert "spool" in error


def test_spool_that_cannot_be_used_is_one_line(tmp_path, workers):
    config = create_config(tmp_path, workers, "listen.imap = []")
    create_spool(tmp_path / "spool")
    claimed = tmp_path / "spool/cur"
    if os.geteuid() == 0:
        os.chown(claimed, 65432, 65432)
    else:
        claimed.chmod(0)
    code, message = refused(config)
    assert code == 1
    assert message.startswith(f"imapvm: cannot use spool {tmp_path}/spool")
    assert f"{tmp_path}/spool/cur" in message
    assert message.count("\n") == 1


def certificate_at(port) -> bytes:
    """Return the certificate that a new client receives."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS) as plain,
        context.wrap_socket(plain) as secure,
    ):
        return secure.getpeercert(binary_form=True)


def test_sighup_loads_a_new_certificate_and_keeps_the_old_one_on_error(
    tmp_path, port, systemd, workers
):
    certificate, key = self_signed(tmp_path / "tls")
    new = self_signed(tmp_path / "new")
    config = create_config(
        tmp_path,
        workers,
        f"""
        listen = {{ imap = [], imaps = ["127.0.0.1:{port}"] }}
        tls = {{ certificate = "tls/certificate.pem", key = "tls/key.pem" }}
        """,
    )
    with serve(config) as process:
        try:
            assert systemd.recv(100) == b"READY=1"
            before = certificate_at(port)
            assert before == ssl.PEM_cert_to_DER_cert(certificate.read_text())
            good = certificate.read_text()
            certificate.write_text("not PEM")
            process.send_signal(signal.SIGHUP)
            line = until(process, "reload failed")
            assert "not a PEM certificate and key" in line
            assert certificate_at(port) == before
            certificate.write_text(new[0].read_text())
            key.write_text(new[1].read_text())
            assert certificate.read_text() != good
            process.send_signal(signal.SIGHUP)
            until(process, "reloaded")
            if workers:
                assert systemd.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
                assert systemd.recv(100) == b"READY=1"
            deadline = time.monotonic() + DEADLINE_SECONDS
            while (
                now := certificate_at(port)
            ) == before:  # by an old worker that has not stopped listening
                assert time.monotonic() < deadline
            assert now == ssl.PEM_cert_to_DER_cert(certificate.read_text())
            process.send_signal(signal.SIGTERM)
            assert systemd.recv(100) == b"STOPPING=1"
            assert process.wait(DEADLINE_SECONDS) == 0
        finally:
            process.kill()


def until(process, words) -> str:
    """Return the next line of the log that contains `words`."""
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"the server ended without logging {words!r}")


ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="imap")
from imapvm.ops.cli import main
sys.exit(main(["serve", "--config", sys.argv[2]]))
"""


@pytest.mark.parametrize("configured", [False, True])
def test_socket_passed_by_systemd(tmp_path, systemd, workers, configured):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        same = [f"127.0.0.1:{listener.getsockname()[1]}"] if configured else []
        config = create_config(tmp_path, workers, f"listen.imap = {same}")
        serves_at(listener, config, systemd)


def serves_at(listener, config, systemd):
    """Start a server with a socket from systemd, and connect several times."""
    with (
        subprocess.Popen(
            [sys.executable, "-c", ACTIVATED, str(listener.fileno()), str(config)],
            pass_fds=[listener.fileno()],
        ) as process,
    ):
        try:
            assert systemd.recv(100) == b"READY=1"
            for _ in range(10):
                with imaplib.IMAP4(*listener.getsockname(), timeout=DEADLINE_SECONDS) as client:
                    assert client.noop()[0] == "OK"
            process.terminate()
            assert process.wait(DEADLINE_SECONDS) == 0
        finally:
            process.kill()
