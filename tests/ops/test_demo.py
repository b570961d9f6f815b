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

import pytest

from imapvm.ops import cli
from imapvm.ops.demo import run as demo
from imapvm.ops.demo.run import DemoUser
from imapvm.ops.demo.sample_messages import sample_messages

SAMPLES = len(sample_messages("a@b", 0.0))
PATIENCE_SECONDS = 30
"""For a process to start or mail to arrive, on a machine that is busy with other tests."""


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


def test_users_are_named_and_counted():
    given = arguments(
        "--user", "ada:pass:word", "--user", "bob@x:y", "--users", "u%d@x:3:pw:1", "--users",
        "%03d:2:s",
    )  # fmt: skip
    assert given.named == [DemoUser("ada", "pass:word"), DemoUser("bob@x", "y")]
    assert given.counted == [
        [DemoUser(f"u{number}@x", "pw:1") for number in (1, 2, 3)],
        [DemoUser("001", "s"), DemoUser("002", "s")],
    ]


def test_an_address_of_another_machine(tmp_path, capsys):
    assert cli.main(["demo", "--dir", str(tmp_path), "--host", "192.0.2.1"]) == 2
    assert capsys.readouterr().err == "imapvm: --host 192.0.2.1 is no address of this machine\n"


@pytest.mark.parametrize("text", ["ada", "ada:", ":x", ""])
def test_what_is_no_user(text):
    with pytest.raises(argparse.ArgumentTypeError, match="NAME:PASSWORD"):
        demo._user(text)


@pytest.mark.parametrize(
    "text", ["u:3:p", "u%d:0:p", "u%d:x:p", "u%d:3:", "u%s:3:p", "u%d%d:3:p", "u%d:3", "u%d:-1:p"]
)
def test_what_are_no_users(text):
    with pytest.raises(argparse.ArgumentTypeError, match="PATTERN%d:COUNT:PASSWORD"):
        demo._users(text)


def test_the_greatest_count_is_one_and_one_more_is_none():
    assert len(demo._users(f"u%d:{demo.USERS_MAX}:p")) == demo.USERS_MAX
    with pytest.raises(argparse.ArgumentTypeError):
        demo._users(f"u%d:{demo.USERS_MAX + 1}:p")


@pytest.mark.parametrize("text", ["-1", "two", str(demo.WORKERS_MAX + 1)])
def test_a_number_of_workers_that_cannot_be_is_a_sentence(tmp_path, capsys, text):
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", "--dir", str(tmp_path / "d"), f"--workers={text}"])
    assert ended.value.code == 2
    assert f"{text!r} is no number of workers" in capsys.readouterr().err
    assert demo._workers(str(demo.WORKERS_MAX)) == demo.WORKERS_MAX


@pytest.mark.parametrize("kind", ["imap", "imaps", "lmtp"])
def test_a_port_that_is_taken_is_named_with_its_option(tmp_path, capsys, kind):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = [w for k in demo.PORTS for w in (f"--{k}-port", str(port if k == kind else 0))]
        assert cli.main(["demo", "--dir", str(tmp_path / "d"), *words]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"imapvm: port {port} at 127.0.0.1 cannot be had (address already in")
    assert f"--{kind}-port" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "d").exists()


def test_an_address_that_is_not_of_this_machine(tmp_path, capsys):
    assert cli.main(["demo", "--dir", str(tmp_path), "--host", "no.such.host.invalid"]) == 2
    assert "--host no.such.host.invalid is no address here" in capsys.readouterr().err


# --- the whole of it ------------------------------------------------------------------------------


class Demo:
    """A demonstration in its own process, and what it printed until `ready`."""

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
            client = imaplib.IMAP4(host, port, timeout=PATIENCE_SECONDS)
        else:
            context = ssl._create_unverified_context()
            client = imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=PATIENCE_SECONDS)
        assert client.login(user, password)[0] == "OK"
        return client

    def count(self, wanted, **login):
        """Wait until INBOX has as many messages as are wanted; return how many it has."""
        client = self.login(**login)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            count = int(client.select("INBOX", readonly=True)[1][0])
            if count >= wanted or time.monotonic() > deadline:
                client.logout()
                return count
            time.sleep(0.02)

    def stop(self, how=signal.SIGTERM):
        begun = time.monotonic()
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE_SECONDS)
        return code, time.monotonic() - begun


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


def test_from_nothing_to_mail_and_again(tmp_path):
    """One long tale, because a start costs a second."""
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


def test_a_second_one_in_the_same_directory_is_a_sentence(tmp_path):
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
            f"imapvm: a demonstration runs in {tmp_path} already: end it, or choose another --dir\n"
        )


def test_the_samples_are_handed_over_once_to_each_user(tmp_path):
    spool = tmp_path / "spool/new"
    demo._hand_over_samples(tmp_path, ["ada", "bob@example.org"])
    first = {path.name: path.read_bytes() for path in spool.iterdir()}
    assert len(first) == SAMPLES
    assert all(b"RCPT TO:<bob@example.org>" in octets for octets in first.values())
    demo._hand_over_samples(tmp_path, ["ada"])
    assert {path.name for path in spool.iterdir()} == set(first)
    demo._hand_over_samples(tmp_path, ["ada", "carol"])
    assert len(list(spool.iterdir())) == 2 * SAMPLES
    assert (tmp_path / "samples-sent").read_text().split() == ["ada", "bob@example.org", "carol"]


def test_an_interrupted_handing_over_is_made_good_without_doubles(tmp_path):
    demo._hand_over_samples(tmp_path, ["ada"])
    names = {path.name for path in (tmp_path / "spool/new").iterdir()}
    (tmp_path / "samples-sent").unlink()
    demo._hand_over_samples(tmp_path, ["ada"])
    assert {path.name for path in (tmp_path / "spool/new").iterdir()} == names
