"""Courier of Debian, in its own mount namespace: Maildir, passwords in a userdb.

Courier's programs have their paths compiled in (/etc/courier, /run/courier, /usr/lib/courier). In
the namespace these are overlays of the unpacked packages, and a configuration written here. The
rest of the machine is not affected. A mount namespace needs root.

Settings other than the defaults: limits on processes and addresses are raised. IDLE polls the
mailbox every minute, as by default (its "enhanced" IDLE needs a FAM service). Debian's package has
no LMTP.
"""

import os
import shlex
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

PACKAGES: Final = ("courier-imap", "courier-base", "courier-authdaemon", "courier-authlib-userdb")
GET: Final = "python -m bench.peers get courier"

AUTHDAEMONRC: Final = """\
authmodulelist="authuserdb"
authmodulelistorig="authuserdb"
daemons={cores}
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
LOGGEROPTS=""
"""

SCRIPT: Final = """\
set -e
mount -t overlay overlay -o lowerdir={root}/usr:/usr /usr
mount -t overlay overlay -o lowerdir={root}/etc:/etc /etc
mount --bind {etc} /etc/courier
mount -t tmpfs tmpfs /run
mkdir -p /run/courier/authdaemon
makeuserdb
set -a
. /etc/courier/imapd
. /etc/courier/imapd-ssl
IMAP_STARTTLS=NO
IMAP_TLS_REQUIRED=0
TLS_CERTFILE={pem}
TLS_CACHEFILE=
set +a
/usr/lib/courier/courier-authlib/authdaemond &
authdaemon=$!
while ! test -S /run/courier/authdaemon/socket; do sleep 0.02; done
tcpd="couriertcpd -address={host} -maxprocs=20000 -maxperip=20000 -nodnslookup -noidentlookup"
login="/usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir"
$tcpd {imap} $login &
plain=$!
IMAP_TLS=1 $tcpd {imaps} /usr/bin/couriertls -server -tcpd -user={user} $login &
trap "kill $authdaemon $plain $!" TERM
wait || true
wait
"""


def missing() -> str | None:
    """Return the command that fetches Courier, or None where it can run."""
    if os.getuid() != 0:
        return "(as root, for a mount namespace) " + GET
    return GET if unpacked.root_of("courier") is None else None


def get() -> None:
    """Fetch Courier into var/peers."""
    unpacked.get("courier", PACKAGES)


def version() -> str:
    """Return name and version."""
    return "Courier " + unpacked.version("courier", "courier-imap")


@contextmanager
def running(
    base: Path,
    users: Users,
    *,
    light: Light = no_light_hash,
    disk: FixedLatency | None = None,
) -> Iterator[Service]:
    """Run the server for some users, name to password, until the block ends."""
    del light  # SHA-512 crypt is cheap to verify
    root = unpacked.root_of("courier")
    if root is None or os.getuid() != 0:
        raise PeerMissingError(missing() or GET)
    base = base.resolve()
    base.mkdir(parents=True, exist_ok=True)
    base.chmod(0o755)
    account = mail_account()
    imap, imaps = free_addresses(2)
    etc = base / "etc"
    shutil.copytree(root / "etc/courier", etc, dirs_exist_ok=True)
    (etc / "authdaemonrc").write_text(AUTHDAEMONRC.format(cores=os.cpu_count() or 1))
    _write_users(base, users, account)
    certificate, key = self_signed(base / "tls")
    pem = base / "tls" / "both.pem"
    pem.write_text(key.read_text() + certificate.read_text())
    shutil.chown(pem, account)
    script = SCRIPT.format(
        root=shlex.quote(str(root)),
        etc=shlex.quote(str(etc)),
        pem=shlex.quote(str(pem)),
        host=HOST,
        imap=imap[1],
        imaps=imaps[1],
        user=account,
    )
    with served(
        ["unshare", "--mount", "sh", "-c", script],
        log=base / "server.log",
        listens=[imap, imaps],
        environment={**unpacked.libraries(root), **environment_of(disk)},
    ) as pid:
        yield Service(
            name="courier",
            version=version(),
            pid=pid,
            imap=imap,
            imaps=imaps,
            lmtp=None,
            fsync="its defaults: nothing is synced; a flag is a rename",
            passwords="SHA-512 crypt, the strongest scheme of its userdb",
            settings="Maildir; a process for each connection; IDLE polls every 60 s",
            prefix="INBOX.",
        )


def _write_users(base: Path, users: Users, account: str) -> None:
    """Write a userdb, and an empty Maildir for each user."""
    hashes = {word: _hashed(word) for word in set(users.values())}
    mail = base / "mail"
    mail.mkdir(exist_ok=True)
    shutil.chown(mail, account, account)
    owner = mail.stat()
    lines = []
    for name, password in users.items():
        home = mail / name
        fields = {"uid": owner.st_uid, "gid": owner.st_gid, "home": home, "mail": home / "Maildir"}
        record = "|".join(f"{field}={value}" for field, value in fields.items())
        lines.append(f"{name}\t{record}|imappw={hashes[password]}\n")
        for part in ("", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"):
            (home / part).mkdir(exist_ok=True)
            shutil.chown(home / part, account, account)
    userdb = base / "etc/userdb"
    userdb.touch(mode=0o600)
    userdb.write_text("".join(lines))


def _hashed(password: str) -> str:
    done = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],
        input=password,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
