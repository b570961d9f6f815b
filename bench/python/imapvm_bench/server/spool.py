"""Batch SMTP files (RFC 2442) in the spool directory of imapvm.

Written as docs/intake.md asks: into `tmp/`, fsync, rename into `new/`, fsync of the directory.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from imapvm_bench.errors import BenchError
from imapvm_bench.server.lmtp_client import SENDER, dot_stuffed

MESSAGES_A_FILE = 100
"""imapvm accepts up to 1,000; with smaller files it starts sooner."""


def check_spool(spool: Path) -> None:
    """Check that a directory is a spool.

    Raises:
        BenchError: it has no tmp/ and new/.
    """
    for part in ("tmp", "new"):
        if not (spool / part).is_dir():
            raise BenchError(f"{spool} is not a spool directory: {part}/ is missing")


def drop(spool: Path, recipient: str, messages: Iterable[bytes]) -> str:
    """Write messages for one recipient to one file in the spool; return the name of the file.

    The file is durable when this returns.

    Raises:
        OSError: the file could not be written.
    """
    name = f"{time.time_ns():019d}.{os.getpid()}.{os.urandom(6).hex()}"
    envelope = f"MAIL FROM:<{SENDER}> BODY=8BITMIME\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
    waiting = spool / "tmp" / name
    with waiting.open("xb") as file:
        for message in messages:
            file.write(envelope + dot_stuffed(message))
        file.flush()
        os.fsync(file.fileno())
    waiting.rename(spool / "new" / name)
    directory = os.open(spool / "new", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return name
