"""Mail systems of Debian, unpacked into a directory of their own and run privately.

Postfix and Exim exclude each other as packages, and an installed one would be somebody's: so they
are downloaded and unpacked, with what they need and this machine has not, and never installed.
"""

import imaplib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.demo import PROGRAM, Demo, started

CONFIG = Path(__file__).parents[2] / "config"
PACKAGE = Path(__file__).parents[2] / "python"
USERS = {"ada": "secret-a", "bob": "secret-b"}


@contextmanager
def public_directory() -> Iterator[Path]:
    """A directory that other users of this machine can reach, as a mail system's must be."""
    path = Path(tempfile.mkdtemp(prefix="imapvm-interop-", dir="/var/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def server(directory: Path, *options: str) -> Iterator[Demo]:
    """An imapvm with ada and bob, into whose spool everybody may write."""
    users = [f"--user={name}:{password}" for name, password in USERS.items()]
    with started(directory / "imapvm", *users, *options) as demo:
        for path in (directory / "imapvm", demo.spool):
            path.chmod(0o711)
        for part in ("tmp", "new"):
            (demo.spool / part).chmod(0o777)
        yield demo


class Configured:
    """A server that a configuration file describes: what the tests ask of it, as of a demo."""

    def __init__(self, directory: Path) -> None:
        self.imap = ("127.0.0.1", free_port())
        self.spool = directory / "spool"
        self.socket = directory / "lmtp"
        self.config = directory / "imapvm.toml"
        self.config.write_text(
            f"""\
filepool = "filepool"
spool = "spool"
hostname = "mail.test"
[listen]
imap = ["127.0.0.1:{self.imap[1]}"]
lmtp = ["unix:{self.socket}"]
[delivery]
domains = ["example.org"]
"""
        )


@contextmanager
def configured(directory: Path) -> Iterator[Configured]:
    """`imapvm serve` with ada and bob, listening for LMTP on a unix socket."""
    directory.mkdir()
    here = Configured(directory)
    config = ["--config", str(here.config)]
    subprocess.run([PROGRAM, "filepool", "create", *config], check=True)
    for name, password in USERS.items():
        enroll = [PROGRAM, "user", "enroll", name, "--password-stdin", *config]
        subprocess.run(enroll, input=password.encode(), check=True)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, "serve", *config], stderr=log)
    try:
        until(
            lambda: here.socket.exists() or process.poll() is not None,
            lambda: (directory / "log").read_text(),
        )
        assert process.poll() is None, (directory / "log").read_text()
        here.socket.chmod(0o666)  # an operator puts the mail system into the socket's group
        yield here
    finally:
        process.terminate()
        process.wait(30)


def unpacked(package: str, directory: Path) -> Path:
    """Unpack a Debian package, and those it needs that are not here; return the new root."""
    assert os.geteuid() == 0, "a mail system wants to be started by root; .ci/run is"
    root = directory / package
    root.mkdir()
    simulated = ["apt-get", "-s", "-q", "install", "--no-install-recommends", package]
    done = subprocess.run(simulated, capture_output=True, text=True, check=False)
    if done.returncode:
        subprocess.run(["apt-get", "-q", "update"], check=True, capture_output=True)
        done = subprocess.run(simulated, capture_output=True, text=True, check=True)
    wanted = {package, *re.findall(r"^Inst (\S+)", done.stdout, re.MULTILINE)}
    get = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *sorted(wanted)]
    subprocess.run(get, cwd=root, check=True, capture_output=True)
    for archive in root.glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, root], check=True)
    return root


def libraries(root: Path) -> str:
    """Where the loader finds what was unpacked."""
    found = {str(path.parent) for path in root.rglob("*.so*")}
    return ":".join(sorted(found))


def smtpexit_for_anybody(directory: Path) -> Path:
    """`imapvm-smtpexit` as a user without any right can run it.

    The interpreter and the tree of a developer may be where only she can read; what the command
    imports is copied, and the first interpreter that anybody may run is taken.
    """
    for name in ("__init__.py", "intake/__init__.py", "intake/smtpexit.py", "intake/paths.py",
                 "intake/spool/file.py", "model/__init__.py", "model/limits.py"):  # fmt: skip
        copy = directory / "python/imapvm" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGE / "imapvm" / name, copy)
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if _anybody_runs(python):
            break
    else:
        raise AssertionError("there is no Python that an unprivileged user can run")
    script = directory / "imapvm-smtpexit"
    script.write_text(
        f"#!{python}\nimport sys\nsys.path.insert(0, {str(directory / 'python')!r})\n"
        "from imapvm.intake.smtpexit import main\nmain()\n"
    )
    script.chmod(0o755)
    return script


def _anybody_runs(python: str) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
            user="nobody",
            group="nogroup",
            extra_groups=[],
            cwd="/",
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def snippet(name: str, changes: dict[str, str]) -> str:
    """A snippet of config/, with what is different in a test exchanged."""
    text = (CONFIG / name).read_text()
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in {name}"
        text = text.replace(old, new)
    return text


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def until(condition: Callable[[], bool], explain: Callable[[], str], seconds: float = 60) -> None:
    """Wait for what another program does.

    Raises:
        AssertionError: it did not; with what `explain` knows.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, explain()
        time.sleep(0.05)


def inbox(demo: Demo | Configured, user: str) -> list[bytes]:
    """All messages in a user's INBOX, as they are."""
    with imaplib.IMAP4(*demo.imap, timeout=30) as imap:
        imap.login(user, USERS[user])
        status, answer = imap.select("INBOX", readonly=True)
        assert status == "OK", answer
        if answer == [b"0"]:
            return []
        _, rows = imap.fetch("1:*", "(BODY.PEEK[])")
        return [row[1] for row in rows if isinstance(row, tuple)]


def sent_part(data: bytes) -> bytes:
    """A message from its X-Sent field on: what mail systems put in front is left out."""
    return data[data.index(b"X-Sent: ") :]


def deliverable(mark: str, more: bytes = b"") -> bytes:
    """A message with what mail systems are said to trip over; complete, so that none adds a field.

    No line is over 998 data (RFC 5322 section 2.1.1), none has a bare CR or LF.
    """
    return (
        b"X-Sent: %s\r\nFrom: cyn@x.test\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\n"
        b"Message-ID: <%s@x.test>\r\nSubject: x\r\n\r\n"
        b".\r\n..\r\n.x\r\n %s\r\nFrom the start\r\n>From\r\n\t \r\n\xc3\xbc \xff\r\n%s\r\n"
        % (mark.encode(), mark.encode(), b"x" * 900, more)
    )


def check(
    demo: Demo | Configured, said: Callable[[], str], message: bytes, users: list[str]
) -> None:
    """Each of `users` has the message exactly once, octet for octet; others have not."""
    mark = message.partition(b"\r\n")[0] + b"\r\n"

    def held(user: str) -> list[bytes]:
        return [data for data in inbox(demo, user) if mark in data]

    until(lambda: all(held(user) for user in users), said)
    for user in USERS:
        found = [sent_part(data) for data in held(user)]
        assert found == [message] * (user in users)
