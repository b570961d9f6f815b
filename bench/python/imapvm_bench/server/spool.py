"""Batch SMTP files (RFC 2442) in a spool directory, as imapvm's intake reads them.

Written as a mail system has to: into `tmp/`, fsync, rename into `new/`, fsync of the directory.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from imapvm_bench.errors import BenchError
from imapvm_bench.server.lmtp_client import SENDER, dot_stuffed

MESSAGES_A_FILE = 100
"""imapvm takes up to 1,000; smaller files let it begin sooner."""


def check_spool(spool: Path) -> None:
    """See whether a directory is a spool.

    Raises:
        BenchError: it has no tmp/ and new/.
    """
    for part in ("tmp", "new"):
        if not (spool / part).is_dir():
            raise BenchError(f"{spool} is no spool directory: it has no {part}/")


def drop(spool: Path, recipient: str, messages: Iterable[bytes]) -> str:
    """Put messages for one recipient into the spool, in one file; return the file's name.

    When it returns, the file survives a power loss.

    Raises:
        OSError: nothing was handed over.
    """
    name = f"{time.time_ns():019d}.{os.getpid()}.{os.urandom(6).hex()}"
    envelope = f"MAIL FROM:<{SENDER}> BODY=8BITMIME\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
    waiting = spool / "tmp" / name
    with waiting.open("xb") as file:
        for octets in messages:
            file.write(envelope + dot_stuffed(octets))
        file.flush()
        os.fsync(file.fileno())
    waiting.rename(spool / "new" / name)
    directory = os.open(spool / "new", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return name
