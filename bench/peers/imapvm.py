"""imapvm, started as by an operator: a configuration and `imapvm serve`."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Final

import trio

from bench.disk.fixed_latency import FixedLatency, environment_of
from bench.peers.hashes import ABOUT, hashes
from bench.peers.peer import HOST, Light, Service, Users, free_addresses, no_light_hash
from bench.peers.processes import served
from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.server.net.certificate import NoCertificateError, self_signed

CONFIGURATION: Final = """\
filepool = "filepool"
spool = "spool"
hostname = "localhost"
workers = {workers}

[listen]
imap = ["{host}:{imap}"]
imaps = [{imaps}]
lmtp = ["{host}:{lmtp}"]
{tls}
[log]
level = "warning"
"""

ENROLLING_AT_ONCE: Final = 64
"""Concurrent enroll operations; they share commits."""


def version() -> str:
    """Return name and version."""
    return "imapvm " + installed_version("imapvm")


def missing() -> None:
    """Return None: imapvm is always installed here."""
    return


@contextmanager
def running(
    base: Path,
    users: Users,
    *,
    light: Light = no_light_hash,
    disk: FixedLatency | None = None,
    workers: int = 0,
    name: str = "imapvm",
) -> Iterator[Service]:
    """Run the server for some users, name to password, until the block ends."""
    base.mkdir(parents=True, exist_ok=True)
    (base / "spool").mkdir(mode=0o700, exist_ok=True)
    filepool = base / "filepool"
    if not (filepool / "FORMAT").exists():
        create_filepool(filepool)
    trio.run(_enroll, filepool, hashes(users, light))
    imap, lmtp, over_tls = free_addresses(3)
    imaps, tls = None, ""
    try:
        certificate, key = self_signed(base / "tls")
    except NoCertificateError:
        pass
    else:
        imaps = over_tls
        tls = f'\n[tls]\ncertificate = "{certificate.resolve()}"\nkey = "{key.resolve()}"\n'
    configuration = base / "imapvm.toml"
    configuration.write_text(
        CONFIGURATION.format(
            workers=workers,
            host=HOST,
            imap=imap[1],
            imaps=f'"{HOST}:{imaps[1]}"' if imaps else "",
            lmtp=lmtp[1],
            tls=tls,
        )
    )
    command = [sys.executable, "-m", "imapvm", "serve", "--config", str(configuration)]
    listens = [imap, lmtp, *([imaps] if imaps else [])]
    environment = environment_of(disk)
    log = base / "server.log"
    with served(command, log=log, listens=listens, environment=environment) as pid:
        yield Service(
            name=name,
            version=version(),
            pid=pid,
            imap=imap,
            imaps=imaps,
            lmtp=lmtp,
            fsync="every commit is on disk before it is acknowledged",
            passwords=f"{ABOUT}; a successful verification is cached for ten minutes, as a keyed"
            " digest in memory",
            settings=f"workers = {workers}",
        )


async def _enroll(filepool: Path, credentials: Mapping[str, str]) -> None:
    """Enroll the users that are missing."""
    async with open_filepool(filepool) as pool:
        waiting = iter([each for each in credentials.items() if not pool.accounts.find(each[0])])

        async def enroll_next() -> None:
            for name, credential in waiting:
                await pool.accounts.enroll(name, credential)

        async with trio.open_nursery() as nursery:
            for _ in range(ENROLLING_AT_ONCE):
                nursery.start_soon(enroll_next)
