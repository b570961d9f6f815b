"""pymap of PyPI, in its own virtual environment: Maildir, pure Python on asyncio."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.disk.fixed_latency import FixedLatency, environment_of
from bench.peers.peer import (
    HOST,
    Light,
    PeerMissingError,
    Service,
    Users,
    free_addresses,
    no_light_hash,
)
from bench.peers.processes import served
from bench.peers.unpacked import PLACE

PACKAGE: Final = "pymap>=0.36,<0.37"
GET: Final = "python -m bench.peers get pymap"

ROUNDS: Final = 500_000

HASHING: Final = """\
import sys
from pysasl.hashing import BuiltinHash
for line in sys.stdin:
    rounds, word = line.rstrip("\\n").split(" ", 1)
    print(BuiltinHash(rounds=int(rounds)).hash(word))
"""


def missing() -> str | None:
    """Return the command that fetches pymap, or None where it can run."""
    return None if _program("pymap").exists() else GET


def get() -> None:
    """Install pymap into a virtual environment in var/peers."""
    python = _program("python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", PLACE / "pymap"], check=True)
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", PACKAGE], check=True
    )


def version() -> str:
    """Return name and version."""
    shown = subprocess.run(
        [_program("pymap"), "--version"], capture_output=True, text=True, check=True
    )
    return f"pymap {shown.stdout.split()[-1]}"


@contextmanager
def running(
    base: Path,
    users: Users,
    *,
    light: Light = no_light_hash,
    disk: FixedLatency | None = None,
) -> Iterator[Service]:
    """Run the server for some users, name to password, until the block ends."""
    if (command := missing()) is not None:
        raise PeerMissingError(command)
    base.mkdir(parents=True, exist_ok=True)
    mail = base.resolve() / "mail"
    mail.mkdir(exist_ok=True)
    _write_users(mail, users, light)
    [imap] = free_addresses(1)
    command_line: list[str | Path] = [
        _program("pymap"), "--host", HOST, "--port", str(imap[1]), "--no-tls", "maildir", mail,
    ]  # fmt: skip
    with served(
        command_line, log=base / "server.log", listens=[imap], environment=environment_of(disk)
    ) as pid:
        yield Service(
            name="pymap",
            version=version(),
            pid=pid,
            imap=imap,
            imaps=None,
            lmtp=None,
            fsync="its defaults: APPEND is synced, flags are not",
            passwords=f"PBKDF2-SHA256 with {ROUNDS:,} rounds, its default, where log-ins are"
            " measured; a light hash elsewhere",
            settings="Maildir; one process; no TLS",
        )


def _program(name: str) -> Path:
    return PLACE / "pymap" / "bin" / name


def _write_users(mail: Path, users: Users, light: Light) -> None:
    """Write its passwd and shadow files, with a hash for each password."""
    words = {name: f"{1 if light(name) else ROUNDS} {word}" for name, word in users.items()}
    wanted = sorted(set(words.values()))
    done = subprocess.run(
        [_program("python"), "-c", HASHING],
        input="".join(f"{word}\n" for word in wanted),
        capture_output=True,
        text=True,
        check=True,
    )
    hashes = dict(zip(wanted, done.stdout.split(), strict=True))
    (mail / "pymap-etc-passwd").write_text("".join(f"{name}:x:1:1::{name}:\n" for name in users))
    (mail / "pymap-etc-shadow").write_text(
        "".join(f"{name}:{hashes[word]}:::::::\n" for name, word in words.items())
    )
