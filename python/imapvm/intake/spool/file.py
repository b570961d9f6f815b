r"""Writer of spool files: batch SMTP (RFC 2442), stored durably.

    submit("/var/spool/imapvm", "ada@example.org", ["bob"], [b"Subject: hello\r\n\r\nhi\r\n"])

No server needs to be running. The steps are those of Maildir: write to `tmp/`, fsync, rename to
`new/`, fsync the directory. When `submit` or `submit_file` has returned, the file survives a power
loss.

This module imports little, since `imapvm-smtpexit` is started once for each message.
"""

import os
import time
from collections.abc import Iterable, Iterator

from imapvm.intake.paths import parse_address

TMP = "tmp"
NEW = "new"


def submit(
    spool: str | os.PathLike[str],
    sender: str,
    recipients: Iterable[str],
    message: Iterable[bytes],
    *,
    name: str | None = None,
) -> str:
    """Write one message into the spool; return the name of its file.

    Args:
        spool: the spool directory; `tmp/` and `new/` exist in it.
        sender: an address, or "" for the null sender.
        recipients: addresses.
        message: the message in portions of any size, lines ending with CRLF.
        name: name of the file; default: a new one.

    Raises:
        PathError: an address is malformed.
        OSError: the spool cannot be written to; see `submit_file`.
    """
    return submit_file(spool, write_bsmtp(sender, recipients, message), name=name)


def write_bsmtp(
    sender: str,
    recipients: Iterable[str],
    message: Iterable[bytes],
    *,
    mail_parameters: str = "BODY=8BITMIME",
    rcpt_parameters: str = "",
) -> Iterator[bytes]:
    """Yield a batch SMTP file with one message and its envelope.

    The message is kept byte for byte, except that CRLF is added to a last line without it: DATA
    requires that (RFC 5321 section 4.1.1.4).

    Args:
        sender: an address, or "" for the null sender.
        recipients: addresses.
        message: the message in portions of any size, lines ending with CRLF.
        mail_parameters: parameters of MAIL FROM; SMTPUTF8 is added if an address requires it.
        rcpt_parameters: parameters of every RCPT TO.

    Raises:
        PathError: an address is malformed.
    """
    paths = [parse_address(recipient) for recipient in recipients]
    path = parse_address(sender)
    extra = [mail_parameters] if mail_parameters else []
    if not all(address.isascii() for address in (path, *paths)):
        extra.append("SMTPUTF8")
    lines = [f"EHLO {os.uname().nodename}", " ".join([f"MAIL FROM:<{path}>", *extra])]
    lines += [" ".join([f"RCPT TO:<{p}>", rcpt_parameters]).rstrip() for p in paths]
    lines += ["DATA", ""]
    yield "\r\n".join(lines).encode()
    yield from dot_stuffed(message)
    yield b".\r\nQUIT\r\n"


def dot_stuffed(message: Iterable[bytes]) -> Iterator[bytes]:
    """Double each dot at the start of a line (RFC 5321 section 4.5.2), and end the last line.

    Only CRLF ends a line, as in the reader.
    """
    held = b""  # CRLF or CR at the end of the last portion
    empty = True
    for portion in message:
        data = held + portion
        if empty and data.startswith(b"."):
            data = b"." + data
        empty = empty and not portion
        held = data[-2:] if data.endswith(b"\r\n") else data[-1:] if data.endswith(b"\r") else b""
        yield data[: len(data) - len(held)].replace(b"\r\n.", b"\r\n..")
    if not empty:
        yield held if held == b"\r\n" else held + b"\r\n"


def crlf_lines(portions: Iterable[bytes]) -> Iterator[bytes]:
    """Replace every bare LF by CRLF."""
    held = b""
    for portion in portions:
        data = held + portion
        held = b"\r" if data.endswith(b"\r") else b""
        data = data[: len(data) - len(held)]
        yield data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield held


def submit_file(
    spool: str | os.PathLike[str], content: Iterable[bytes], *, name: str | None = None
) -> str:
    """Write a file into the spool durably; return its name.

    A given name replaces a file of that name in new/, so that a caller that chooses names can retry
    without submitting a message twice. Root acts as the owner of the spool: imapvm could not read a
    file of root, and the owner cannot lead root to another directory.

    Raises:
        OSError: nothing was written; or, if only the last fsync failed, the file is in the spool
            but may not survive a power loss. Call again.
    """
    fresh = fresh_name()
    tmp = os.path.join(spool, TMP, fresh)
    # 0640: in a spool that a group may write to, the directories are set-group-ID, and the server
    # reads the file as a member of the group. The default mode of the directories, 0700, keeps
    # all other users out.
    with as_owner(spool):
        file = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        try:
            for portion in content:
                view = memoryview(portion)
                while view:
                    view = view[os.write(file, view) :]
            os.fsync(file)
        finally:
            os.close(file)
        with as_owner(spool):
            os.rename(tmp, os.path.join(spool, NEW, name or fresh))
    except BaseException:
        with as_owner(spool):
            os.unlink(tmp)
        raise
    with as_owner(spool):
        directory = os.open(os.path.join(spool, NEW), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return name or fresh


class as_owner:  # noqa: N801  # a function, if contextlib were imported
    """Let root act as the owner of the spool directory, in the whole process.

    Raises:
        OSError: the directory does not exist, or the capability to change the user is missing.
    """

    def __init__(self, spool: str | os.PathLike[str]) -> None:
        self._owner = os.stat(spool) if os.geteuid() == 0 else None
        if self._owner is not None and self._owner.st_uid == 0:
            self._owner = None

    def __enter__(self) -> None:
        if self._owner is not None:
            self._groups, self._group = os.getgroups(), os.getegid()
            os.setgroups([])
            os.setegid(self._owner.st_gid)
            os.seteuid(self._owner.st_uid)

    def __exit__(self, *_: object) -> None:
        if self._owner is not None:
            os.seteuid(0)
            os.setegid(self._group)
            os.setgroups(self._groups)


def fresh_name() -> str:
    """Return a unique file name. Names sort by time."""
    return f"{time.time_ns():019d}.{os.getpid()}.{os.urandom(6).hex()}"
