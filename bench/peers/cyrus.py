"""Cyrus of Debian, unpacked into its own tree: no saslauthd, passwords in a sasldb.

Settings other than the defaults: plaintext log-in without TLS is allowed; INBOX is created at the
first log-in or delivery; duplicate suppression is off, because the load tool repeats messages;
processes are preforked, so that a connection does not wait for a fork; `idled` runs, which its
documentation recommends for IDLE (without it, mailboxes are polled once a minute).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.disk.fixed_latency import FixedLatency, environment_of
from bench.peers import unpacked
from bench.peers.peer import (
    HOST,
    Light,
    PeerMissingError,
    Service,
    Users,
    free_addresses,
    mail_account,
    no_light_hash,
)
from bench.peers.processes import served
from imapvm.server.net.certificate import self_signed

PACKAGES: Final = ("cyrus-imapd", "cyrus-common", "db5.3-util")
GET: Final = "python -m bench.peers get cyrus"

IMAPD: Final = """\
configdirectory: {base}/config
defaultpartition: default
partition-default: {base}/mail
proc_path: {base}/config/proc
mboxname_lockpath: {base}/config/lock
cyrus_user: {user}
servername: localhost
altnamespace: yes
unixhierarchysep: yes
hashimapspool: yes
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {base}/sasldb2
sasl_mech_list: PLAIN LOGIN
autocreate_quota: 0
autocreate_post: yes
duplicatesuppression: no
sieveusehomedir: no
sievedir: {base}/sieve
tls_server_cert: {certificate}
tls_server_key: {key}
idlesocket: {base}/config/socket/idle
"""

CYRUS: Final = """\
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {base}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {base}/imapd.conf -U 256" listen="{host}:{imap}" prefork=4 maxchild=20000
  imaps cmd="{bin}/imapd -C {base}/imapd.conf -s -U 256" listen="{host}:{imaps}" maxchild=20000
  lmtp cmd="{bin}/lmtpd -C {base}/imapd.conf -a" listen="{host}:{lmtp}" prefork=2 maxchild=1000
}}
DAEMON {{
  idled cmd="{bin}/idled -C {base}/imapd.conf"
}}
"""


def missing() -> str | None:
    """Return the command that fetches Cyrus, or None where it can run."""
    return GET if unpacked.root_of("cyrus") is None else None


def get() -> None:
    """Fetch Cyrus into var/peers."""
    unpacked.get("cyrus", PACKAGES)


@contextmanager
def running(
    base: Path,
    users: Users,
    *,
    light: Light = no_light_hash,
    disk: FixedLatency | None = None,
) -> Iterator[Service]:
    """Run the server for some users, name to password, until the block ends."""
    del light  # passwords are not hashed
    root = unpacked.root_of("cyrus")
    if root is None:
        raise PeerMissingError(GET)
    base = base.resolve()
    base.mkdir(parents=True, exist_ok=True)
    base.chmod(0o755)
    account = mail_account()
    for part in ("config/socket", "config/proc", "config/lock", "config/db", "mail", "sieve"):
        (base / part).mkdir(parents=True, exist_ok=True)
    certificate, key = self_signed(base / "tls")
    imap, imaps, lmtp = free_addresses(3)
    places = {
        "base": base, "user": account, "certificate": certificate, "key": key, "host": HOST,
        "imap": imap[1], "imaps": imaps[1], "lmtp": lmtp[1], "bin": root / "usr/lib/cyrus/bin",
    }  # fmt: skip
    (base / "imapd.conf").write_text(IMAPD.format(**places))
    (base / "cyrus.conf").write_text(CYRUS.format(**places))
    environment = {**unpacked.libraries(root), **environment_of(disk)}
    _write_passwords(root, base / "sasldb2", users)
    if os.getuid() == 0:
        for path in (base, *base.rglob("*")):
            shutil.chown(path, account, account)
    command: list[str | Path] = [
        root / "usr/sbin/cyrmaster", "-D",
        "-C", base / "imapd.conf", "-M", base / "cyrus.conf", "-p", base / "master.pid",
    ]  # fmt: skip
    with served(
        command, log=base / "server.log", listens=[imap, imaps, lmtp], environment=environment
    ) as pid:
        yield Service(
            name="cyrus",
            version=version(),
            pid=pid,
            imap=imap,
            imaps=imaps,
            lmtp=lmtp,
            fsync="the defaults: messages, indexes and databases are synced",
            passwords="in a sasldb, not hashed",
            settings="idled; 4 imapd and 2 lmtpd preforked, each for 256 connections; no duplicate"
            " suppression",
        )


def version() -> str:
    """Return name and version."""
    return "Cyrus " + unpacked.version("cyrus", "cyrus-imapd")


def _write_passwords(root: Path, path: Path, users: Users) -> None:
    """Write a sasldb: a Berkeley DB hash of name, realm and property to the password."""
    path.unlink(missing_ok=True)
    lines = [f"{name}\\00localhost\\00userPassword\n{word}\n" for name, word in users.items()]
    subprocess.run(
        [root / "usr/bin/db5.3_load", "-T", "-t", "hash", path],
        input="".join(lines),
        text=True,
        check=True,
        env={**os.environ, **unpacked.libraries(root)},
    )
