"""imapvm itself, started as anybody would: `imapvm demo`."""

import subprocess
import sys
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def version() -> str:
    return "imapvm " + installed_version("imapvm")


@contextmanager
def running(base: Path, users: dict[str, str]) -> "Iterator[Demo]":
    """Serve some users, name to password, until the block ends."""
    command = [
        sys.executable, "-m", "imapvm", "demo", "--no-samples", "--dir", str(base),
        "--imap-port", "0", "--imaps-port", "0", "--lmtp-port", "0",
        *(f"--user={name}:{password}" for name, password in users.items()),
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    said = {}
    try:
        for line in server.stdout:
            key, _, value = line.strip().partition("=")
            said[key] = value
            if line.strip() == "ready":
                break
        else:
            raise RuntimeError("imapvm demo ended before it was ready")
        yield Demo(server.pid, said)
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()


class Demo:
    """A running demo, by what it printed."""

    def __init__(self, pid: int, said: dict[str, str]) -> None:
        self.pid = pid
        self.spool = Path(said["spool"])
        self.imap = _address(said["imap"])
        self.imaps = _address(said["imaps"]) if "imaps" in said else None
        self.lmtp = _address(said["lmtp"])


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)
