"""`imapvm demo`, after its command line: prepare a directory, then serve as `imapvm serve` does.

The sample messages are put into the spool, as a mail system would do it.
"""

import argparse
import contextlib
import errno
import fcntl
import os
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import trio

from imapvm.auth.passwords import hash_password, verify
from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.intake.spool.file import submit
from imapvm.ops import logs
from imapvm.ops.demo.banner import banner
from imapvm.ops.demo.sample_messages import sample_messages
from imapvm.ops.demo.users import DemoUser
from imapvm.ops.errors import USAGE, OperatorError
from imapvm.ops.serving.run import serve_until_stopped
from imapvm.server.net.certificate import NoCertificateError, self_signed
from imapvm.server.settings import Listening, Settings

KINDS: Final = ("imap", "imaps", "lmtp")
CONCURRENT_ENROLLMENTS: Final = 64
"""Enrollments in progress at the same time; they share commits."""


def run_demo(arguments: argparse.Namespace) -> int:
    """Prepare what is missing, serve until stopped, and return the exit code."""
    logs.configure(style="text", level="warning")
    for kind in KINDS:
        _check_port(arguments.host, kind, getattr(arguments, f"{kind}_port"))
    directory: Path = arguments.dir
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        users = arguments.named or [DemoUser("demo", "demo")]
        more = [user for group in arguments.counted for user in group]
        if not arguments.no_samples:
            submit_samples(directory, [user.name for user in users])
        filepool = directory / "filepool"
        if not (filepool / "FORMAT").exists():
            create_filepool(filepool)
        trio.run(_enroll, filepool, users + more)
        settings, no_tls = _settings(arguments)

        def ready(listening: Listening) -> None:
            for line in banner(settings, listening, users[0], no_tls):
                print(line, flush=True)

        return serve_until_stopped(settings, ready)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Lock the directory against a second demonstration."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperatorError(
                f"cannot lock {directory}: another demonstration is using it; stop it, or choose"
                " another directory with --dir"
            ) from None
        yield
    finally:
        os.close(lock)


def _check_port(host: str, kind: str, port: int) -> None:
    """Check that a port can be bound, before anything is created.

    Raises:
        OperatorError: it cannot; the message names the option to change.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        reason = (error.strerror or "unknown error").lower()
        raise OperatorError(f"cannot resolve {host} (--host): {reason}", USAGE) from None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            written = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            message = f"cannot bind {written}: {reason}"
            match error.errno:
                case errno.EADDRNOTAVAIL:
                    raise OperatorError(
                        f"{message}; --host must be an address of this machine", USAGE
                    ) from None
                case errno.EACCES:
                    hint = f"choose a port above 1023 with --{kind}-port"
                case _:
                    hint = f"choose another port with --{kind}-port (0 selects a free port)"
            raise OperatorError(f"{message}; {hint}") from None


def submit_samples(directory: Path, names: list[str]) -> None:
    """Put the sample messages into the spool, for the users that have not received them before.

    The names of the spool files are always the same, so after an interrupted run the next one
    completes the work without duplicates.
    """
    record = directory / "samples-sent"
    sent = record.read_text().splitlines() if record.exists() else []
    new = [name for name in names if name not in sent]
    if not new:
        return
    spool = directory / "spool"
    for part in ("tmp", "new"):
        (spool / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    addresses = [name if "@" in name else f"{name}@localhost" for name in new]
    group = f"{zlib.crc32(' '.join(new).encode()):08x}"
    for sample in sample_messages(addresses[0], time.time()):
        name = f"sample-{group}-{sample.name}"
        submit(spool, sample.sender, addresses, [sample.message], name=name)
    record.write_text("".join(f"{name}\n" for name in (*sent, *new)))


async def _enroll(filepool: Path, users: list[DemoUser]) -> None:
    """Enroll the users that are missing, and set the passwords that differ.

    Hashing a password takes a tenth of a second by design, so each password is hashed once.
    """
    hashes: dict[str, str] = {}
    matches: dict[tuple[str, str], bool] = {}
    waiting = iter(users)

    def credential(password: str) -> str:
        if password not in hashes:
            hashes[password] = hash_password(password.encode())
        return hashes[password]

    async def enroll_next() -> None:
        for user in waiting:
            account = pool.accounts.find(user.name)
            if account is None:
                await pool.accounts.enroll(user.name, credential(user.password))
                continue
            key = (account.credential, user.password)
            if key not in matches:
                matches[key] = verify(account.credential, user.password.encode())
            if not matches[key]:
                await pool.accounts.set_credential(account.id, credential(user.password))

    async with open_filepool(filepool) as pool, trio.open_nursery() as nursery:
        for _ in range(CONCURRENT_ENROLLMENTS):
            nursery.start_soon(enroll_next)


def _settings(arguments: argparse.Namespace) -> tuple[Settings, str | None]:
    """Return the settings and, without a certificate, the reason for that."""
    directory: Path = arguments.dir
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    pair: tuple[Path, Path] | None = None
    no_tls = None
    try:
        pair = self_signed(directory / "tls")
    except NoCertificateError as error:
        no_tls = str(error)
    settings = Settings(
        filepool=directory / "filepool",
        spool=directory / "spool",
        imap=(f"{host}:{arguments.imap_port}",),
        imaps=(f"{host}:{arguments.imaps_port}",) if pair else (),
        lmtp=(f"{host}:{arguments.lmtp_port}",),
        certificate=pair[0] if pair else None,
        key=pair[1] if pair else None,
        workers=arguments.workers,
        log_level="warning",
    )
    return settings, no_tls
