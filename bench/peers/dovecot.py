"""Debian's Dovecot: sdbox, its "high-performance" login settings, one directory, loopback."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATION = """
protocols = imap
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/dovecot.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_cache_size = 0
mail_location = sdbox:{base}/mail/%u
mail_uid = {user}
mail_gid = {user}
mail_fsync = {fsync}
first_valid_uid = 1
mail_max_userip_connections = 1000
default_process_limit = 2000
default_client_limit = 20000
passdb {{
  driver = passwd-file
  args = {base}/users
}}
userdb {{
  driver = static
  args = uid={user} gid={user} home={base}/mail/%u
}}
service imap-login {{
  service_count = 0
  process_min_avail = 2
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service imap {{
  service_count = 256
  process_min_avail = 4
}}
"""


def is_installed() -> bool:
    return shutil.which("dovecot") is not None


def version() -> str:
    shown = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True)
    return "Dovecot " + shown.stdout.split()[0]


@contextmanager
def running(
    base: Path, users: dict[str, str], *, fsync: str = "optimized"
) -> "Iterator[tuple[str, int]]":
    """Serve some users, name to argon2id hash, until the block ends; yields the address."""
    port = free_port()
    base.mkdir(parents=True)
    base.chmod(0o755)
    account = "mail" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    (base / "mail").mkdir()
    shutil.chown(base / "mail", account)
    (base / "users").write_text("".join(f"{u}:{{ARGON2ID}}{h}\n" for u, h in users.items()))
    configuration = base / "dovecot.conf"
    configuration.write_text(CONFIGURATION.format(base=base, user=account, port=port, fsync=fsync))
    server = subprocess.Popen(["dovecot", "-F", "-c", str(configuration)])
    try:
        wait_for(("127.0.0.1", port), server)
        yield ("127.0.0.1", port)
    finally:
        server.terminate()
        server.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address: tuple[str, int], server: subprocess.Popen) -> None:
    """Wait until somebody answers at an address."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with status {server.returncode}")
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server did not answer within 20 seconds")
