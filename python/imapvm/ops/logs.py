"""Log format: one line per event on standard error, as key=value or as JSON.

Modules log by `logging.getLogger(__name__)`, with a fixed string as the message and everything
that varies in `extra`: `log.info("login", extra={"user": name, "peer": peer})`.
"""

import datetime
import json
import logging
import re
import sys
from typing import Final, TextIO

from imapvm.server.settings import LogFormat, LogLevel

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes of every record; all others came with `extra`."""

_SECRET: Final = re.compile("password|credential|secret|token|authorization", re.IGNORECASE)
"""Names of fields whose values are never written."""

_WORD: Final = re.compile(r'[^ "=\\]+')
"""Values that need no quotes if they are printable."""


class EventFormatter(logging.Formatter):
    """Formatter that writes each record as exactly one line."""

    def __init__(self, style: LogFormat, role: str | None = None) -> None:
        super().__init__()
        self._json = style == "json"
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        fields = self.fields(record)
        if self._json:
            return json.dumps(fields, default=str)
        time, level, *rest = fields.items()
        return f"{time[1]} {level[1]} " + " ".join(f"{k}={_quoted(v)}" for k, v in rest)

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        """Return time (UTC, milliseconds), level, event, logger, role, then `extra` in order."""
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        fields: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name.removeprefix("imapvm."),
        }
        if self._role is not None:
            fields["role"] = self._role
        for key, value in vars(record).items():
            if key not in _OWN:
                fields[key] = "***" if _SECRET.search(key) else value
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return fields


def _quoted(value: object) -> str:
    """Return a plain word unchanged, and anything else as a JSON string without line ends."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if _WORD.fullmatch(text) and text.isprintable():
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def configure(
    *, style: LogFormat, level: LogLevel, stream: TextIO | None = None, role: str | None = None
) -> None:
    """Send all events of this process to standard error; a second call replaces the first.

    Args:
        style: "text" for people and journals, "json" for log collectors.
        level: lowest level that is written.
        stream: used instead of standard error.
        role: name of this process in a server of several processes.
    """
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(EventFormatter(style, role))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
