"""Text that `imapvm demo` prints when it is ready: for people, then `key=value` for programs."""

import contextlib
import shlex
import shutil
import sys
from pathlib import Path

from imapvm.ops.demo.users import DemoUser
from imapvm.server.settings import Listening, Settings


def banner(
    settings: Settings, listening: Listening, user: DemoUser, no_tls: str | None
) -> list[str]:
    """Return the lines to print; the last one is `ready`.

    Args:
        settings: of the server.
        listening: the addresses, with real ports.
        user: whose name and password are shown.
        no_tls: reason why there is no certificate; None: there is one.
    """
    addresses = {
        kind: address
        for kind, address in (
            ("imap", listening.imap),
            ("imaps", listening.imaps),
            ("lmtp", listening.lmtp),
        )
        if address is not None
    }
    written = {
        kind: f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        for kind, (host, port) in addresses.items()
    }
    host, port = addresses["imap"]
    url = f"imap://{written['imap']}/INBOX;MAILINDEX=1"
    if "imaps" in addresses:
        encrypted = f"or port {addresses['imaps'][1]} with SSL/TLS (self-signed certificate)"
    else:
        encrypted = f"SSL/TLS is not available: {no_tls}"
    return [
        "imapvm is running. Press Ctrl-C to stop; mail is kept for the next run.",
        "",
        f"  mail client    IMAP server {host}, port {port} without encryption,",
        f"                 {encrypted}",
        f"  user           {user.name}",
        f"  password       {user.password}",
        f"  shell          curl --user {shlex.quote(f'{user.name}:{user.password}')} '{url}'",
        f"  deliver mail   by LMTP to {written['lmtp']}, or a message on standard input:",
        f"                 {_smtpexit()} --spool {shlex.quote(str(settings.spool))}"
        f" {shlex.quote(user.name)}",
        "",
        *(f"{kind}={address}" for kind, address in written.items()),
        f"spool={settings.spool and settings.spool.resolve()}",
        f"filepool={settings.filepool.resolve()}",
        "ready",
    ]


def _smtpexit() -> str:
    """Return the command `imapvm-smtpexit` with the path that a shell here needs."""
    if shutil.which("imapvm-smtpexit"):
        return "imapvm-smtpexit"
    program = Path(sys.executable).with_name("imapvm-smtpexit")
    with contextlib.suppress(ValueError):
        program = program.relative_to(Path.cwd())
    return shlex.quote(str(program))
