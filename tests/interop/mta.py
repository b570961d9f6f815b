"""Mail systems of Debian, unpacked into a directory and run privately.

The packages of Postfix and Exim conflict, and an installed one may be in use. Therefore they are
downloaded and unpacked with their missing dependencies, and not installed.
"""

import imaplib
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.demo import PROGRAM, Demo, started

CONFIG = Path(__file__).parents[2] / "config"
PACKAGE = Path(__file__).parents[2] / "python"
USERS = {"ada": "secret-a", "bob": "secret-b"}


@contextmanager
def public_directory() -> Iterator[Path]:
    """Make a directory that other users of this machine can reach, as a mail system requires."""
    path = Path(tempfile.mkdtemp(prefix="imapvm-interop-", dir="/var/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def server(directory: Path, *options: str) -> Iterator[Demo]:
    """Run an imapvm with ada and bob, and a spool that every user may write to."""
    users = [f"--user={name}:{password}" for name, password in USERS.items()]
    with started(directory / "imapvm", *users, *options) as demo:
        for path in (directory / "imapvm", demo.spool):
            path.chmod(0o711)
        for part in ("tmp", "new"):
            (demo.spool / part).chmod(0o777)
        yield demo


class Configured:
    """Server with a configuration file, with the attributes of a demo that the tests use."""

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
    """Run `imapvm serve` with ada and bob, and LMTP on a unix socket."""
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
            lambda: "server ready" in (directory / "log").read_text() or process.poll() is not None,
            lambda: (directory / "log").read_text(),
        )
        assert process.poll() is None, (directory / "log").read_text()
        here.socket.chmod(0o666)  # an operator adds the mail system to the socket's group
        yield here
    finally:
        process.terminate()
        process.wait(30)


def unpacked(package: str, directory: Path) -> Path:
    """Unpack a Debian package and its missing dependencies; return the new root."""
    assert os.geteuid() == 0, "a mail system must be started by root, as in .ci/run"
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
    """Return LD_LIBRARY_PATH for the unpacked libraries."""
    found = {str(path.parent) for path in root.rglob("*.so*")}
    return ":".join(sorted(found))


def public_smtpexit(directory: Path) -> Path:
    """Make an `imapvm-smtpexit` that an unprivileged user can run.

    The interpreter and the tree of a developer may be in a private directory. Therefore the modules
    of the command are copied, and the first interpreter that the user can run is used.
    """
    for name in ("__init__.py", "intake/__init__.py", "intake/smtpexit.py", "intake/paths.py",
                 "intake/spool/file.py", "model/__init__.py", "model/limits.py"):  # fmt: skip
        copy = directory / "python/imapvm" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGE / "imapvm" / name, copy)
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if _unprivileged_user_runs(python):
            break
    else:
        raise AssertionError("no Python that an unprivileged user can run")
    script = directory / "imapvm-smtpexit"
    script.write_text(
        f"#!{python}\nimport sys\nsys.path.insert(0, {str(directory / 'python')!r})\n"
        "from imapvm.intake.smtpexit import main\nmain()\n"
    )
    script.chmod(0o755)
    return script


def _unprivileged_user_runs(python: str) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
            user="news",
            group="news",
            extra_groups=[],
            cwd="/",
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def snippet(name: str, changes: dict[str, str]) -> str:
    """Return a snippet of config/ with some replacements for the test."""
    text = (CONFIG / name).read_text()
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in {name}"
        text = text.replace(old, new)
    return text


def free_port() -> int:
    """Return a random free port below those that Linux gives to connections."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(condition: Callable[[], bool], explain: Callable[[], str], seconds: float = 60) -> None:
    """Wait for a condition that another program makes true.

    Raises:
        AssertionError: it stayed false; the text is that of `explain`.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, explain()
        time.sleep(0.05)


def inbox(demo: Demo | Configured, user: str) -> list[bytes]:
    """Return all messages in a user's INBOX."""
    with imaplib.IMAP4(*demo.imap, timeout=30) as imap:
        imap.login(user, USERS[user])
        status, answer = imap.select("INBOX", readonly=True)
        assert status == "OK", answer
        if answer == [b"0"]:
            return []
        _, rows = imap.fetch("1:*", "(BODY.PEEK[])")
        return [row[1] for row in rows if isinstance(row, tuple)]


def sent_part(data: bytes) -> bytes:
    """Return a message from its X-Sent field on, without the fields that mail systems add."""
    return data[data.index(b"X-Sent: ") :]


def deliverable(mark: str, more: bytes = b"") -> bytes:
    """Return a message with difficult lines, and all fields that a mail system would add.

    No line is over 998 bytes (RFC 5322 section 2.1.1), none has a bare CR or LF.
    """
    return (
        b"X-Sent: %s\r\nFrom: cyn@x.test\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\n"
        b"Message-ID: <%s@x.test>\r\nSubject: x\r\n\r\n"
        b".\r\n..\r\n.x\r\n %s\r\nFrom the start\r\n>From\r\n\t \r\n\xc3\xbc \xff\r\n%s\r\n"
        % (mark.encode(), mark.encode(), b"x" * 900, more)
    )


def check(
    demo: Demo | Configured, output: Callable[[], str], message: bytes, users: list[str]
) -> None:
    """Check that each of `users` has the message exactly once, unchanged, and no other user."""
    mark = message.partition(b"\r\n")[0] + b"\r\n"

    def held(user: str) -> list[bytes]:
        return [data for data in inbox(demo, user) if mark in data]

    until(lambda: all(held(user) for user in users), output)
    for user in USERS:
        found = [sent_part(data) for data in held(user)]
        assert found == [message] * (user in users)
