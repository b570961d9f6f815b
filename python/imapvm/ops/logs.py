"""Log events: one line each, on standard error, as key=value or as JSON.

Everybody logs by `logging.getLogger(__name__)`, with a short fixed sentence as the message and
what varies in `extra`: `log.info("login", extra={"user": name, "peer": peer})`.
"""

import datetime
import json
import logging
import re
import sys
from typing import Final, TextIO

from imapvm.server.settings import LogFormat, LogLevel

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; the rest of its attributes came with `extra`."""

_SECRET: Final = re.compile("password|credential|secret|token|authorization", re.IGNORECASE)
"""A field with one of these in its name is never written, whoever logs it."""

_WORD: Final = re.compile(r'[^ "=\\]+')
"""What stands without quotes, if it can be printed."""


class EventFormatter(logging.Formatter):
    """Writes a record as one line, whatever is in it."""

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
        """Time (UTC, milliseconds), level, event, logger and role, then `extra` in its order."""
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
    """As it stands where it is one plain word, else as a JSON string: a line stays a line."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if _WORD.fullmatch(text) and text.isprintable():
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def configure(
    *, style: LogFormat, level: LogLevel, stream: TextIO | None = None, role: str | None = None
) -> None:
    """Send all events of this process to standard error, and none of them twice.

    Args:
        style: "text" for people and journals, "json" for what collects logs.
        level: the least that is written.
        stream: instead of standard error.
        role: which process of a server this is, where there are several.
    """
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(EventFormatter(style, role))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
