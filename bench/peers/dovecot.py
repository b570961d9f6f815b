"""Dovecot of Debian: sdbox, with the settings that its documentation recommends for speed.

* Log-in: "high-performance mode" of its page on login processes (`service_count = 0`, one process
  per core), so that no process is started for a connection.
* `service imap`: a process serves 256 connections one after the other, and some are preforked, so
  that a log-in does not wait for a fork. Several connections of a process at the same time
  (`client_limit`) are not recommended: one client would wait for the disk of another.
* Passwords: from SQLite, because lookup and verification then run in `auth-worker` processes, one
  per core. With a passwd-file, the single process `auth` verifies all: half as many log-ins on two
  cores, with and without `auth_cache_verify_password_with_worker`.
* Hibernation of idle connections is off, as by default; the variant with hibernation follows its
  page on hibernation.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.disk.fixed_latency import FixedLatency, environment_of
from bench.peers.hashes import ABOUT, hashes
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

INSTALL: Final = (
    "apt-get install --no-install-recommends dovecot-imapd dovecot-lmtpd dovecot-sqlite"
)

PARTS: Final = (
    Path("/usr/lib/dovecot/imap"),
    Path("/usr/lib/dovecot/lmtp"),
    Path("/usr/lib/dovecot/modules/auth/libdriver_sqlite.so"),
)

CONFIGURATION: Final = """\
protocols = imap lmtp
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/dovecot.log
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain
auth_cache_size = 0
auth_worker_max_count = {cores}
mail_location = sdbox:{base}/mail/%u
mail_uid = {user}
mail_gid = {group}
mail_fsync = {fsync}
first_valid_uid = 1
mail_max_userip_connections = 100000
default_process_limit = 60000
default_client_limit = 100000
default_vsz_limit = 0
passdb {{
  driver = sql
  args = {base}/passwords.conf
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={base}/mail/%u
}}
service anvil {{
  client_limit = 200000
}}
service auth {{
  client_limit = 200000
}}
service imap-login {{
  service_count = 0
  process_min_avail = {cores}
  inet_listener imap {{
    address = {host}
    port = {imap}
  }}
  inet_listener imaps {{
    address = {host}
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  service_count = 256
  process_min_avail = {ready}
}}
service lmtp {{
  process_min_avail = {cores}
  inet_listener lmtp {{
    address = {host}
    port = {lmtp}
  }}
}}
protocol lmtp {{
  auth_username_format = %Ln
}}
"""

PASSWORDS: Final = """\
driver = sqlite
connect = {base}/passwords.sqlite
password_query = SELECT name AS user, hash AS password FROM users WHERE name = '%u'
"""

HIBERNATION: Final = """\
imap_hibernate_timeout = 5s
service imap {
  unix_listener imap-master {
    user = $default_internal_user
  }
}
"""

COMPRESSION: Final = """\
mail_plugins = $mail_plugins zlib
protocol imap {
  mail_plugins = $mail_plugins imap_zlib
}
"""

INHERITED: Final = """\
import_environment = $import_environment {names}
"""
"""Dovecot gives its processes only the variables that are named."""

FSYNC: Final = {
    "optimized": "mail_fsync = optimized: deliveries and APPEND are synced, flags are not",
    "always": "mail_fsync = always: every change is synced",
}


def missing() -> str | None:
    """Return the command that installs Dovecot, or None where it is installed."""
    here = shutil.which("dovecot") and all(part.exists() for part in PARTS)
    return None if here else INSTALL


def version() -> str:
    """Return name and version."""
    shown = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True)
    return "Dovecot " + shown.stdout.split()[0]


@contextmanager
def running(
    base: Path,
    users: Users,
    *,
    light: Light = no_light_hash,
    disk: FixedLatency | None = None,
    fsync: str = "optimized",
    hibernate: bool = False,
    compress: bool = False,
    name: str = "dovecot",
) -> Iterator[Service]:
    """Run the server for some users, name to password, until the block ends."""
    if (command := missing()) is not None:
        raise PeerMissingError(command)
    base = base.resolve()
    base.mkdir(parents=True, exist_ok=True)
    base.chmod(0o755)  # its processes run as three users
    account = mail_account()
    (base / "mail").mkdir(exist_ok=True)
    if os.getuid() == 0:
        shutil.chown(base / "mail", account, account)
    certificate, key = self_signed(base / "tls")
    _write_passwords(base, hashes(users, light))
    imap, imaps, lmtp = free_addresses(3)
    cores = os.cpu_count() or 1
    environment = environment_of(disk)
    configuration = base / "dovecot.conf"
    configuration.write_text(
        CONFIGURATION.format(
            base=base,
            certificate=certificate,
            key=key,
            user=account,
            group=account,
            fsync=fsync,
            cores=cores,
            ready=2 * cores,
            host=HOST,
            imap=imap[1],
            imaps=imaps[1],
            lmtp=lmtp[1],
        )
        + (HIBERNATION if hibernate else "")
        + (COMPRESSION if compress else "")
        + (INHERITED.format(names=" ".join(environment)) if environment else "")
    )
    with served(
        ["dovecot", "-F", "-c", str(configuration)],
        log=base / "server.log",
        listens=[imap, imaps, lmtp],
        environment=environment,
    ) as pid:
        yield Service(
            name=name,
            version=version(),
            pid=pid,
            imap=imap,
            imaps=imaps,
            lmtp=lmtp,
            fsync=FSYNC[fsync],
            passwords=f"{ABOUT}; verified by auth-workers, one per core",
            settings="sdbox; login in high-performance mode; "
            + ("hibernation after 5 s of IDLE" if hibernate else "no hibernation (the default)"),
        )


def _write_passwords(base: Path, hashed: Mapping[str, str]) -> None:
    """Write a table of names and hashes; Dovecot only reads it."""
    path = base / "passwords.sqlite"
    path.unlink(missing_ok=True)
    table = sqlite3.connect(path)
    with table:
        table.execute("CREATE TABLE users (name TEXT PRIMARY KEY, hash TEXT NOT NULL)")
        table.executemany(
            "INSERT INTO users VALUES (?, ?)",
            [(user, f"{{ARGON2ID}}{value}") for user, value in hashed.items()],
        )
    table.close()
    path.chmod(0o644)
    (base / "passwords.conf").write_text(PASSWORDS.format(base=base))
