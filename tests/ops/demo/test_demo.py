"""`imapvm demo`, from its command line to mail that an IMAP client reads."""

import argparse
import imaplib
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from imapvm.ops import cli
from imapvm.ops.demo.banner import banner
from imapvm.ops.demo.run import KINDS, submit_samples
from imapvm.ops.demo.sample_messages import sample_messages
from imapvm.ops.demo.users import USERS_MAX, DemoUser, parse_user, parse_users
from imapvm.ops.verbs import demo
from imapvm.server.settings import Listening, Settings

README = Path(__file__).parents[3] / "README.md"
SAMPLES = len(sample_messages("a@b", 0.0))
DEADLINE_SECONDS = 30
"""Time for a process to start or mail to arrive, on a machine busy with other tests."""


def arguments(*words):
    return cli.parser().parse_args(["demo", *words])


def test_defaults():
    given = arguments()
    assert (given.host, given.imap_port, given.imaps_port, given.lmtp_port) == (
        "127.0.0.1",
        1143,
        1993,
        1024,
    )
    assert str(given.dir) == "var/demo"


def test_user_options():
    given = arguments(
        "--user", "ada:pass:word", "--user", "bob@x:y", "--users", "u%d@x:3:pw:1", "--users",
        "%03d:2:s",
    )  # fmt: skip
    assert given.named == [DemoUser("ada", "pass:word"), DemoUser("bob@x", "y")]
    assert given.counted == [
        [DemoUser(f"u{number}@x", "pw:1") for number in (1, 2, 3)],
        [DemoUser("001", "s"), DemoUser("002", "s")],
    ]


def test_readme_shows_the_banner(monkeypatch):
    monkeypatch.setattr("imapvm.ops.demo.banner._smtpexit", lambda: ".venv/bin/imapvm-smtpexit")
    listening = Listening(*(("127.0.0.1", demo.PORTS[kind]) for kind in KINDS))
    settings = Settings(filepool=demo.DIRECTORY / "filepool", spool=demo.DIRECTORY / "spool")
    lines = banner(settings, listening, DemoUser("demo", "demo"), None)
    shown = "\n".join(f"    {line}".rstrip() for line in lines[: lines.index("", 2)])
    assert shown in README.read_text()


def test_banner_without_a_certificate():
    listening = Listening(imap=("::1", 1143), lmtp=("::1", 1024))
    settings = Settings(filepool=Path("pool"), spool=Path("spool"))
    lines = banner(settings, listening, DemoUser("demo", "demo"), "no openssl command")
    assert "                 SSL/TLS is not available: no openssl command" in lines
    assert "imap=[::1]:1143" in lines
    assert lines[-1] == "ready"


def test_host_of_another_machine(tmp_path, capsys):
    assert cli.main(["demo", "--dir", str(tmp_path), "--host", "192.0.2.1"]) == 2
    assert capsys.readouterr().err == (
        "imapvm: cannot bind 192.0.2.1:1143: cannot assign requested address;"
        " --host must be an address of this machine\n"
    )


@pytest.mark.parametrize("text", ["ada", "ada:", ":x", ""])
def test_malformed_user(text):
    with pytest.raises(argparse.ArgumentTypeError, match="NAME:PASSWORD"):
        parse_user(text)


@pytest.mark.parametrize(
    "text", ["u:3:p", "u%d:0:p", "u%d:x:p", "u%d:3:", "u%s:3:p", "u%d%d:3:p", "u%d:3", "u%d:-1:p"]
)
def test_malformed_users(text):
    with pytest.raises(argparse.ArgumentTypeError, match="PATTERN%d:COUNT:PASSWORD"):
        parse_users(text)


def test_largest_count_of_users(monkeypatch):
    monkeypatch.setattr("imapvm.ops.demo.users.DemoUser", lambda name, _password: name)
    assert len(parse_users(f"u%d:{USERS_MAX}:p")) == USERS_MAX
    with pytest.raises(argparse.ArgumentTypeError):
        parse_users(f"u%d:{USERS_MAX + 1}:p")


@pytest.mark.parametrize("text", ["-1", "two", str(demo.WORKERS_MAX + 1)])
def test_number_of_workers_outside_the_range(tmp_path, capsys, text):
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", "--dir", str(tmp_path / "d"), f"--workers={text}"])
    assert ended.value.code == 2
    assert (
        f"{text!r} is not a number of workers (0 to {demo.WORKERS_MAX})" in capsys.readouterr().err
    )
    assert demo._workers(str(demo.WORKERS_MAX)) == demo.WORKERS_MAX


@pytest.mark.parametrize("kind", ["imap", "imaps", "lmtp"])
def test_port_in_use_is_reported_with_its_option(tmp_path, capsys, kind):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = [w for k in KINDS for w in (f"--{k}-port", str(port if k == kind else 0))]
        assert cli.main(["demo", "--dir", str(tmp_path / "d"), *words]) == 1
    assert capsys.readouterr().err == (
        f"imapvm: cannot bind 127.0.0.1:{port}: address already in use;"
        f" choose another port with --{kind}-port (0 selects a free port)\n"
    )
    assert not (tmp_path / "d").exists()


def test_host_that_does_not_resolve(tmp_path, capsys):
    assert cli.main(["demo", "--dir", str(tmp_path), "--host", "no.such.host.invalid"]) == 2
    assert "imapvm: cannot resolve no.such.host.invalid (--host): " in capsys.readouterr().err


# --- the whole server -----------------------------------------------------------------------------


class Demo:
    """Demonstration in its own process, and the lines it printed up to `ready`."""

    def __init__(self, process):
        self.process = process
        self.lines = []
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line == "ready\n":
                break
        else:
            raise AssertionError(f"it ended: {process.wait()} {process.stderr.read()}")
        self.places = dict(re.match(r"(\w+)=(.*)", line).groups() for line in self.lines[-6:-1])

    def address(self, kind):
        host, _, port = self.places[kind].rpartition(":")
        return host, int(port)

    def login(self, user="demo", password="demo", kind="imap"):
        host, port = self.address(kind)
        if kind == "imap":
            client = imaplib.IMAP4(host, port, timeout=DEADLINE_SECONDS)
        else:
            context = ssl._create_unverified_context()
            client = imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=DEADLINE_SECONDS)
        assert client.login(user, password)[0] == "OK"
        return client

    def count(self, wanted, **login):
        """Wait until INBOX has `wanted` messages; return how many it has."""
        client = self.login(**login)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            count = int(client.select("INBOX", readonly=True)[1][0])
            if count >= wanted or time.monotonic() > deadline:
                client.logout()
                return count
            time.sleep(0.02)

    def stop(self, how=signal.SIGTERM):
        started = time.monotonic()
        self.process.send_signal(how)
        code = self.process.wait(DEADLINE_SECONDS)
        return code, time.monotonic() - started


@contextmanager
def demonstration(directory, *words):
    process = subprocess.Popen(
        [sys.executable, "-m", "imapvm", "demo", "--dir", directory, "--imap-port", "0",
         "--imaps-port", "0", "--lmtp-port", "0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    with process:
        try:
            yield Demo(process)
        finally:
            process.kill()


@pytest.mark.slow
def test_first_run_and_second_run(tmp_path):
    """One long test, because a start takes a second."""
    with demonstration(tmp_path / "demo") as server:
        text = "\n".join(server.lines)
        host, port = server.address("imap")
        assert f"curl --user demo:demo 'imap://{host}:{port}/INBOX;MAILINDEX=1'" in text
        assert server.places["spool"] == str(tmp_path / "demo/spool")
        assert server.places["filepool"] == str(tmp_path / "demo/filepool")
        assert server.count(SAMPLES) == SAMPLES
        assert server.count(SAMPLES, kind="imaps") == SAMPLES

        client = server.login()
        client.select("INBOX")
        _, [found] = client.search(None, "SUBJECT", '"Welcome"')
        assert client.fetch(found, "(RFC822.SIZE)")[0] == "OK"
        client.store(found, "+FLAGS", r"(\Deleted)")
        client.expunge()
        client.logout()
        assert server.stop(signal.SIGINT)[0] == 0
        assert server.process.stderr.read() == ""

    with demonstration(tmp_path / "demo", "--user", "demo:changed", "--users", "u%d:20:x") as again:
        assert again.count(SAMPLES - 1, password="changed") == SAMPLES - 1
        assert again.count(0, user="u20", password="x") == 0
        code, seconds = again.stop(signal.SIGTERM)
        assert code == 0
        assert seconds < 2
        assert sorted((tmp_path / "demo/spool/new").iterdir()) == []


@pytest.mark.slow
def test_second_demonstration_in_one_directory(tmp_path):
    with demonstration(tmp_path, "--no-samples") as server:
        assert server.count(0) == 0
        second = subprocess.run(
            [sys.executable, "-m", "imapvm", "demo", "--dir", tmp_path, "--imap-port", "0",
             "--imaps-port", "0", "--lmtp-port", "0"],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert second.stderr == (
            f"imapvm: cannot lock {tmp_path}: another demonstration is using it; stop it, or choose"
            " another directory with --dir\n"
        )


def test_samples_are_submitted_once_to_each_user(tmp_path):
    spool = tmp_path / "spool/new"
    submit_samples(tmp_path, ["ada", "bob@example.org"])
    first = {path.name: path.read_bytes() for path in spool.iterdir()}
    assert len(first) == SAMPLES
    assert all(b"RCPT TO:<bob@example.org>" in data for data in first.values())
    submit_samples(tmp_path, ["ada"])
    assert {path.name for path in spool.iterdir()} == set(first)
    submit_samples(tmp_path, ["ada", "carol"])
    assert len(list(spool.iterdir())) == 2 * SAMPLES
    assert (tmp_path / "samples-sent").read_text().split() == ["ada", "bob@example.org", "carol"]


def test_interrupted_submission_is_completed_without_duplicates(tmp_path):
    submit_samples(tmp_path, ["ada"])
    names = {path.name for path in (tmp_path / "spool/new").iterdir()}
    (tmp_path / "samples-sent").unlink()
    submit_samples(tmp_path, ["ada"])
    assert {path.name for path in (tmp_path / "spool/new").iterdir()} == names
