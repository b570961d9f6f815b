r"""How a program hands mail over: a batch SMTP file (RFC 2442), put into the spool durably.

    submit("/var/spool/imapvm", "ada@example.org", ["bob"], [b"Subject: hello\r\n\r\nhi\r\n"])

No server needs to be running. The steps are those of a Maildir: write to `tmp/`, fsync, rename
into `new/`, fsync the directory. When `drop` has returned, the file survives a power loss.

Imports little: `imapvm-smtpexit` is started once for each message.
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
    """Put one message into the spool, and return the name of its file.

    Args:
        spool: the spool directory; `tmp/` and `new/` exist in it.
        sender: an address, or "" for the null sender.
        recipients: addresses.
        message: its octets, lines ending with CRLF, in any portions.
        name: of the file; a fresh one where it is left out.

    Raises:
        PathError: an address is none.
        OSError: the spool cannot be written; nothing was handed over.
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
    """Write one message with its envelope as a batch SMTP file, portion by portion.

    The message's octets come back exactly, except that a last line without CRLF gets one: a
    message behind DATA has no other form (RFC 5321 section 4.1.1.4).

    Args:
        sender: an address, or "" for the null sender.
        recipients: addresses.
        message: its octets, lines ending with CRLF, in any portions.
        mail_parameters: put behind MAIL FROM; SMTPUTF8 is added where an address needs it.
        rcpt_parameters: put behind every RCPT TO.

    Raises:
        PathError: an address is none.
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
    """Double each dot that begins a line (RFC 5321 section 4.5.2), and end the last line.

    Only CRLF ends a line here: a bare LF is an octet like others, for the reader too.
    """
    held = b""  # a line end, or half of one, at the end of what has been seen
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
    """Make every line end CRLF: a bare LF becomes one, a CRLF stays one."""
    held = b""
    for portion in portions:
        data = held + portion
        held = b"\r" if data.endswith(b"\r") else b""
        data = data[: len(data) - len(held)]
        yield data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield held


def submit_file(
    spool: str | os.PathLike[str], octets: Iterable[bytes], *, name: str | None = None
) -> str:
    """Put a file into the spool durably, and return its name.

    A name that is given replaces a file of that name that still waits: whoever chooses names can
    try again without handing the mail over twice.

    Raises:
        OSError: nothing was handed over and nothing is left behind; or, where only the last fsync
            failed, the file is in the spool and would not be after a power loss. Try again.
    """
    fresh = fresh_name()
    tmp = os.path.join(spool, TMP, fresh)
    # 0640: in a spool that a group may write to, the directories are set-group-ID and the server
    # reads through its group. In the usual one, mode 0700, nobody comes this far.
    file = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        try:
            for portion in octets:
                view = memoryview(portion)
                while view:
                    view = view[os.write(file, view) :]
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(tmp, os.path.join(spool, NEW, name or fresh))
    except BaseException:
        os.unlink(tmp)
        raise
    directory = os.open(os.path.join(spool, NEW), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return name or fresh


def fresh_name() -> str:
    """A name nobody else chooses; names ascend with time, which is pleasant to read."""
    return f"{time.time_ns():019d}.{os.getpid()}.{os.urandom(6).hex()}"
