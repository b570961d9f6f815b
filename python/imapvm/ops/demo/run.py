"""`imapvm demo`: a server to look at, with users and mail, on loopback, until Ctrl-C.

It takes no short cut: the sample messages go into the spool as a mail system would put them there,
and the server that answers is the one of `imapvm serve`.
"""

import argparse
import contextlib
import errno
import fcntl
import os
import re
import shlex
import shutil
import socket
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imapvm.ops.errors import USAGE, OperatorError
from imapvm.ops.verbs.user import utf8

if TYPE_CHECKING:
    from imapvm.server.settings import Listening, Settings

DIRECTORY: Final = Path("var/demo")
PORTS: Final = {"imap": 1143, "imaps": 1993, "lmtp": 1024}
"""The registered ports 143, 993 and 24, and a thousand, so that nobody needs to be root."""
USERS_MAX: Final = 1_000_000
WORKERS_MAX: Final = 256
ENROLLING_AT_ONCE: Final = 64
"""Enrolments under way at the same time: they share commits."""


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A user of the demonstration, whose password is no secret."""

    name: str
    password: str


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb."""
    demo = verbs.add_parser(
        "demo",
        help="a server with a demonstration user and sample mail, until Ctrl-C",
        description="A server with a demonstration user and sample mail, until Ctrl-C. The mail of"
        " last time is still there.",
    )
    demo.add_argument(
        "--dir",
        type=Path,
        default=DIRECTORY,
        help="where everything is kept (default: %(default)s)",
    )
    demo.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: %(default)s)"
    )
    for kind, text in {
        "imap": "IMAP",
        "imaps": "IMAP inside TLS",
        "lmtp": "LMTP, which mail systems deliver by",
    }.items():
        demo.add_argument(
            f"--{kind}-port",
            type=_port,
            default=PORTS[kind],
            metavar="N",
            help=f"port of {text}; 0 takes a free one (default: %(default)s)",
        )
    demo.add_argument(
        "--user",
        action="append",
        type=_user,
        metavar="NAME:PASSWORD",
        dest="named",
        help="a user to enrol; may be repeated (default: demo:demo)",
    )
    demo.add_argument(
        "--users",
        action="append",
        type=_users,
        default=[],
        metavar="PATTERN%d:COUNT:PASSWORD",
        dest="counted",
        help="COUNT users, numbered from 1, who all have this password: load%%d:1000:secret",
    )
    demo.add_argument(
        "--workers",
        type=_workers,
        default=0,
        metavar="N",
        help="processes that serve connections; 0: one does everything (default: %(default)s)",
    )
    demo.add_argument("--no-samples", action="store_true", help="without the sample messages")
    demo.set_defaults(run=run)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def _workers(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > WORKERS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of workers: 0 to {WORKERS_MAX}")
    return int(text)


def _user(text: str) -> DemoUser:
    name, colon, password = utf8(text).partition(":")
    if not (name and colon and password):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME:PASSWORD")
    return DemoUser(name, password)


def _users(text: str) -> list[DemoUser]:
    form = re.fullmatch(r"([^:%]*)%(0[1-9])?d([^:%]*):([0-9]{1,7}):(.+)", utf8(text))
    if form is None or not 1 <= int(form[4]) <= USERS_MAX:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form PATTERN%d:COUNT:PASSWORD (COUNT: 1 to {USERS_MAX})"
        )
    before, width, after, count, password = form.groups()
    return [
        DemoUser(f"{before}{number:{width or ''}d}{after}", password)
        for number in range(1, int(count) + 1)
    ]


def run(arguments: argparse.Namespace) -> int:
    """Prepare what is missing, serve, and say so."""
    import trio

    from imapvm.filepool.pool import create_filepool
    from imapvm.ops import logs
    from imapvm.ops.serving.run import serve_until_stopped

    logs.configure(style="text", level="warning")
    for kind in PORTS:
        _refuse_busy_port(arguments.host, kind, getattr(arguments, f"{kind}_port"))
    directory: Path = arguments.dir
    directory.mkdir(parents=True, exist_ok=True)
    with _only_here(directory):
        users = arguments.named or [DemoUser("demo", "demo")]
        many = [user for group in arguments.counted for user in group]
        if not arguments.no_samples:
            _hand_over_samples(directory, [user.name for user in users])
        filepool = directory / "filepool"
        if not (filepool / "FORMAT").exists():
            create_filepool(filepool)
        trio.run(_enroll, filepool, users + many)
        settings, fault = _settings(arguments)
        return serve_until_stopped(
            settings,
            lambda listening: _say(settings, listening, users[0], fault),
        )


@contextlib.contextmanager
def _only_here(directory: Path) -> Iterator[None]:
    """Keep a second demonstration out of the directory while this one runs."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperatorError(
                f"a demonstration runs in {directory} already: end it, or choose another --dir"
            ) from None
        yield
    finally:
        os.close(lock)


def _refuse_busy_port(host: str, kind: str, port: int) -> None:
    """Look before anything is made, so that the sentence can name the option."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        fault = (error.strerror or "unknown").lower()
        raise OperatorError(f"--host {host} is no address here: {fault}", USAGE) from None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError:
            raise OperatorError(
                f"port {port} needs more rights than yours: choose another with --{kind}-port"
            ) from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise OperatorError(f"--host {host} is no address of this machine", USAGE) from None
            fault = (error.strerror or str(error)).lower()
            raise OperatorError(
                f"port {port} at {host} cannot be had ({fault}): choose another with"
                f" --{kind}-port, where 0 takes a free one"
            ) from None


def _hand_over_samples(directory: Path, names: list[str]) -> None:
    """Put the sample messages into the spool, for those users who never got them.

    The names of the files do not change, so that a run that was interrupted here is made good by
    the next one.
    """
    from imapvm.intake.spool.file import submit
    from imapvm.ops.demo.sample_messages import sample_messages

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
    """Enrol who is missing, and give everybody the password that was asked for.

    A credential costs a tenth of a second to make, by design: each password is hashed once.
    """
    import trio

    from imapvm.auth.passwords import hash_password, verify
    from imapvm.filepool.pool import open_filepool

    made: dict[str, str] = {}
    right: dict[tuple[str, str], bool] = {}
    waiting = iter(users)

    def credential(password: str) -> str:
        if password not in made:
            made[password] = hash_password(password.encode())
        return made[password]

    async def enroll_next() -> None:
        for user in waiting:
            account = pool.accounts.find(user.name)
            if account is None:
                await pool.accounts.enroll(user.name, credential(user.password))
                continue
            key = (account.credential, user.password)
            if key not in right:
                right[key] = verify(account.credential, user.password.encode())
            if not right[key]:
                await pool.accounts.set_credential(account.id, credential(user.password))

    async with open_filepool(filepool) as pool, trio.open_nursery() as nursery:
        for _ in range(ENROLLING_AT_ONCE):
            nursery.start_soon(enroll_next)


def _settings(arguments: argparse.Namespace) -> tuple["Settings", str | None]:
    """Settings of the demonstration; and why there is no TLS, where there is none."""
    from imapvm.server.net.certificate import NoCertificateError, self_signed
    from imapvm.server.settings import Settings

    directory: Path = arguments.dir
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    pair: tuple[Path, Path] | None = None
    fault = None
    try:
        pair = self_signed(directory / "tls")
    except NoCertificateError as error:
        fault = str(error)
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
    return settings, fault


def _say(settings: "Settings", listening: "Listening", user: DemoUser, fault: str | None) -> None:
    """How to connect: for people first, then for programs, and `ready` at the end."""
    places = {
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
        for kind, (host, port) in places.items()
    }
    host, port = places["imap"]
    url = f"imap://{written['imap']}/INBOX;MAILINDEX=1"
    if "imaps" in places:
        encrypted = f"or port {places['imaps'][1]} with SSL/TLS (the certificate is self-signed)"
    else:
        encrypted = f"there is no TLS: {fault}"
    lines = [
        "imapvm serves. Ctrl-C ends it; the mail stays for next time.",
        "",
        f"  mail program   IMAP, server {host}, port {port}, no encryption",
        f"                 {encrypted}",
        f"  user           {user.name}",
        f"  password       {user.password}",
        f"  in a shell     curl --user {shlex.quote(f'{user.name}:{user.password}')} '{url}'",
        f"  hand it mail   LMTP at {written['lmtp']}, or a message on standard input of",
        f"                 {_smtpexit()} --spool {shlex.quote(str(settings.spool))}"
        f" {shlex.quote(user.name)}",
        "",
        *(f"{kind}={address}" for kind, address in written.items()),
        f"spool={settings.spool and settings.spool.resolve()}",
        f"filepool={settings.filepool.resolve()}",
        "ready",
    ]
    for line in lines:
        print(line, flush=True)


def _smtpexit() -> str:
    """The command as it can be typed here, where perhaps no PATH leads to it."""
    if shutil.which("imapvm-smtpexit"):
        return "imapvm-smtpexit"
    beside = Path(sys.executable).with_name("imapvm-smtpexit")
    with contextlib.suppress(ValueError):
        beside = beside.relative_to(Path.cwd())
    return shlex.quote(str(beside))
