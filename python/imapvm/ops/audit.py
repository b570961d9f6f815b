"""Audit lines of the verbs that change users or the filepool: in the system log, one per change.

A verb is a process of its own whose standard error is a terminal or a script, so the line goes to
syslog (facility authpriv), where the journal has it beside the events of the server.
"""

import logging
import os
import socket
import sys
from pathlib import Path
from typing import Final

from imapvm.ops.logs import EventFormatter

SYSLOG: Final = "/dev/log"
AUTHPRIV_INFO: Final = 10 * 8 + 6
"""Facility and severity of RFC 5424 section 6.2.1."""
UNSET_LOGIN: Final = "4294967295"
"""`/proc/self/loginuid` of a process outside a login session."""


def record(event: str, filepool: Path, **fields: object) -> None:
    """Write an audit line: to the system log or, without one, to standard error.

    Call it after the change has been committed.

    Args:
        event: a fixed string.
        filepool: the one that was changed.
        fields: all that varies.
    """
    line = EventFormatter("text").format(
        logging.makeLogRecord(
            {
                "name": __name__,
                "levelno": logging.INFO,
                "levelname": "INFO",
                "msg": event,
                **fields,
                "filepool": str(filepool),
                **_operator(),
            }
        )
    )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as log:
            log.settimeout(1)
            log.sendto(f"<{AUTHPRIV_INFO}>imapvm[{os.getpid()}]: {line}".encode(), SYSLOG)
    except OSError:
        print(line, file=sys.stderr)


def _operator() -> dict[str, object]:
    """Return the user of this process, and the user who logged in, before `sudo` or `runuser`."""
    found: dict[str, object] = {"uid": os.getuid()}
    try:
        login = Path("/proc/self/loginuid").read_text(encoding="ascii").strip()
    except OSError:
        login = UNSET_LOGIN
    if login != UNSET_LOGIN:
        found["login_uid"] = login
    return found
