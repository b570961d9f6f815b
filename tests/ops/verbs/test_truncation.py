"""Truncated data files: exit code 3 and both sizes, in every verb and in a running server."""

import argparse
import imaplib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from imapvm.ops import cli
from imapvm.ops.errors import CORRUPT

DEADLINE_SECONDS = 30
POINTS = 55
"""Sizes to which a file is truncated."""
PASSWORD = "secret"

VERBS = {
    "filepool check": (),
    "filepool check --repair": (),
    "filepool sweep": (),
    "user enroll": ("bob", "--password-stdin"),
    "user delete": ("alice", "--yes"),
    "user rename": ("alice", "carol"),
    "user list": (),
    "user password": ("alice", "--password-stdin"),
    "user alias add": ("info", "alice"),
    "user alias remove": ("info",),
    "user alias list": (),
    "quota show": (),
    "quota set": ("alice", "--storage", "1G"),
    "quota unset": ("alice",),
    "quota recalculate": (),
    "acl show": ("alice",),
    "acl set": ("alice", "INBOX", "anyone", "l"),
    "acl delete": ("alice", "INBOX", "anyone"),
    "acl seen": ("alice", "INBOX", "shared"),
    "acl shared-account": (),
    "group create": ("team",),
    "group delete": ("team",),
    "group add": ("team", "alice"),
    "group remove": ("team", "alice"),
    "group list": (),
}
OTHERS = {
    "serve": "below",
    "demo": "runs `serve`",
    "role": "internal",
    "filepool create": "no pool",
}


def verbs(parser, name=""):
    """Return the names of all verbs of a parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return [
                found
                for verb, below in action.choices.items()
                for found in verbs(below, f"{name} {verb}")
            ]
    return [name.strip()]


def test_every_verb_is_tested():
    tested = {verb.removesuffix(" --repair") for verb in VERBS} | set(OTHERS)
    assert set(verbs(cli.parser())) == tested


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "imapvm", *arguments],
        input=PASSWORD + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Filepool with a user and some mail."""
    path = tmp_path_factory.mktemp("truncation") / "pool"
    assert run("filepool", "create", "--filepool", str(path)).returncode == 0
    made = run("user", "enroll", "--filepool", str(path), "alice", "--password-stdin")
    assert made.returncode == 0, made
    return path


@pytest.fixture
def pool(original, tmp_path):
    """Copy of it."""
    path = tmp_path / "pool"
    subprocess.run(["cp", "-a", str(original), str(path)], check=True)
    return path


def used(file):
    """Return the bytes of a data file up to its last page."""
    start = file.read_bytes()[:8192]
    metas = (start[at + 16 : at + 152] for at in (0, 4096))
    return 4096 * (
        1 + max((m[128:136][::-1], int.from_bytes(m[120:128], "little")) for m in metas)[1]
    )


@pytest.mark.parametrize("part", ["accounts", pytest.param("group-000", marks=pytest.mark.slow)])
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_reports_a_truncated_file(pool, verb, part):
    file = pool / part / "data.mdb"
    expected = used(file)
    os.truncate(file, expected - 4096)
    words = verb.split()
    ended = run(*words[:3], "--filepool", str(pool), *VERBS[verb])
    assert ended.returncode == CORRUPT, ended
    assert (
        f"cannot use {file}: the file is truncated: expected at least {expected} bytes, found "
        f"{expected - 4096};" in ended.stderr
    )
    assert ended.stderr.count("\n") == 1


# --- a server ---------------------------------------------------------------------------------


class Server:
    """`imapvm serve` in a subprocess."""

    def __init__(self, pool, workers):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]
        config = pool.parent / "imapvm.toml"
        config.write_text(
            f"""
            filepool = "{pool}"
            spool = "{pool.parent / "spool"}"
            workers = {workers}
            listen.imap = ["127.0.0.1:{self.port}"]
            """
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "imapvm", "serve", "--config", str(config)],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines = []
        self._ready = threading.Event()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if "server ready" in line:
                self._ready.set()
        self._ready.set()

    def ready(self):
        assert self._ready.wait(DEADLINE_SECONDS)

    def ended(self):
        """Return exit code and standard error."""
        code = self.process.wait(DEADLINE_SECONDS)
        self._reading.join(DEADLINE_SECONDS)
        return code, "".join(self.lines)


@pytest.fixture
def serve():
    started = []

    def start(pool, workers=0):
        started.append(Server(pool, workers))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()
        server._reading.join(DEADLINE_SECONDS)
        server.process.stderr.close()


@pytest.mark.parametrize("part", ["accounts", "group-000"])
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_server_does_not_start_with_a_truncated_file(pool, serve, workers, part):
    file = pool / part / "data.mdb"
    expected = used(file)
    os.truncate(file, expected - 4096)
    code, log = serve(pool, workers).ended()
    assert code == CORRUPT, log
    assert f"{file}: the file is truncated: expected at least {expected} bytes, found" in log


def truncate_while_serving(pool, server, part, number):
    """Truncate a file to one of POINTS sizes while a client sends commands; check the end."""
    file = pool / part / "data.mdb"
    server.ready()
    client = imaplib.IMAP4("127.0.0.1", server.port, timeout=DEADLINE_SECONDS)
    client.login("alice", PASSWORD)
    client.select("INBOX")
    client.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"text\r\n" * 20_000)
    size = used(file) * number // POINTS
    os.truncate(file, size)
    with suppress(imaplib.IMAP4.error, OSError):
        while True:
            client.noop()
            client.fetch("1:*", "(FLAGS BODY.PEEK[])")
            client.append("INBOX", None, None, b"Subject: y\r\n\r\ny\r\n")
    client.shutdown()
    code, log = server.ended()
    assert code == CORRUPT, (size, log)
    sizes = re.search(
        re.escape(str(file))
        + r": the file is truncated: expected at least (\d+) bytes, found (\d+); restore",
        log,
    )
    assert sizes is not None, (size, log)
    assert int(sizes[2]) < int(sizes[1])
    assert "internal error" not in log, log
    assert signal.Signals.SIGBUS.name not in log


@pytest.mark.parametrize("number", [0, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("part", ["accounts", "group-000"])
def test_file_that_is_truncated_while_it_is_served_ends_the_server(pool, serve, part, number):
    truncate_while_serving(pool, serve(pool), part, number)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(POINTS))
def test_file_that_is_truncated_at_any_point_ends_the_server(pool, serve, number):
    truncate_while_serving(pool, serve(pool), ("accounts", "group-000")[number % 2], number)


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 20, 54])
@pytest.mark.parametrize("part", ["accounts", "group-000"])
def test_file_that_is_truncated_ends_all_processes_of_a_server(pool, serve, part, number):
    truncate_while_serving(pool, serve(pool, 2), part, number)
