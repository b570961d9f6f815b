r"""Batch SMTP files (RFC 2442): what a spool file holds, and reading it.

    EHLO relay.example.org
    MAIL FROM:<ada@example.org> BODY=8BITMIME
    RCPT TO:<bob@example.org>
    DATA
    Subject: hello

    A line that begins with a dot gets a second one.
    .
    QUIT

EHLO or HELO, and QUIT, may be left out. RSET begins anew, NOOP does nothing, and so do VERB and
TICK, which the batch SMTP of BITNET had. Several messages may stand in one file.

**Line ends.** The first line decides. Where it ends with CRLF, the message's octets are exact, and
only `CRLF . CRLF` ends it. Where it ends with a bare LF, as in a file that a shell script wrote,
every line end in the file counts as CRLF, and CRLF is what the message gets. No file is read twice
for that, and no bare LF inside a message can end it in a file written with CRLF.

Writing such files is `imapvm.intake.spool.file`, which starts faster.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from imapvm._core import DotReader
from imapvm.intake.envelope import Envelope, Recipient, Sender, parse_mail, parse_rcpt
from imapvm.intake.replies import Reply
from imapvm.intake.spool.file import write_bsmtp
from imapvm.model.limits import (
    INCOMING_MAX,
    INTAKE_LINE_MAX,
    SPOOL_MESSAGES_MAX,
    SPOOL_READ_MAX,
    SPOOL_RECIPIENTS_MAX,
)

__all__ = ["BsmtpError", "BsmtpMessageEnd", "BsmtpMessageStart", "read_bsmtp", "write_bsmtp"]


class Readable(Protocol):
    """What can be read: a file, or anything like it."""

    def read(self, size: int, /) -> bytes:
        """At most `size` octets; none at the end only."""


class BsmtpError(ValueError):
    """The file is not batch SMTP: says the line (counted from 1) and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line: Final = line
        self.reason: Final = reason


@dataclass(frozen=True, slots=True)
class BsmtpMessageStart:
    """The envelope is complete; the message's octets follow as `bytes`."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class BsmtpMessageEnd:
    """All octets of the message were there."""


def read_bsmtp(file: Readable) -> Iterator[BsmtpMessageStart | bytes | BsmtpMessageEnd]:
    """Read a file, yielding what it holds; memory is bounded whatever the file.

    Raises:
        BsmtpError: at the place where the file stops being batch SMTP. What was yielded before
            may be part of a message.
        OSError: from `file`.
    """
    return _Reading(file).parts()


class _Reading:
    """A file being read: octets not yet understood, and where in the file they begin."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._bare_lf: bool | None = None
        """None until the first line's end has been seen."""
        self._held_cr = b""
        self._buffer = b""
        self._line = 1
        self._greeting: str | None = None
        self._sender: Sender | None = None
        self._recipients: list[Recipient] = []
        self._messages = 0

    def parts(self) -> Iterator[BsmtpMessageStart | bytes | BsmtpMessageEnd]:
        while (line := self._next_line()) is not None:
            verb, _, argument = line.partition(" ")
            match verb.upper():
                case "EHLO" | "HELO":
                    self._reset()
                    self._greeting = argument.strip() or None
                case "MAIL":
                    self._mail(argument)
                case "RCPT":
                    self._rcpt(argument)
                case "DATA":
                    yield self._begin(argument)
                    yield from self._message()
                    yield BsmtpMessageEnd()
                    self._reset()
                case "RSET":
                    self._reset()
                case "QUIT":
                    self._quit()
                    break
                case "" | "NOOP" | "VERB" | "TICK":
                    pass
                case _:
                    raise self._error("this is no command of batch SMTP")
            self._line += 1
        if self._sender is not None:
            raise self._error("MAIL came, and its message is missing")
        if not self._messages:
            raise self._error("the file holds no message")

    # --- commands ---------------------------------------------------------------------------------

    def _mail(self, argument: str) -> None:
        if self._sender is not None:
            raise self._error("MAIL came before, and its message is missing")
        # A program that drops files has nobody to negotiate SMTPUTF8 with: UTF-8 is UTF-8.
        sender = parse_mail(argument, utf8=True)
        if isinstance(sender, Reply):
            raise self._error(sender.text)
        if sender.size is not None and sender.size > INCOMING_MAX:
            raise self._error(f"a message has at most {INCOMING_MAX} octets")
        self._sender = sender

    def _rcpt(self, argument: str) -> None:
        if self._sender is None:
            raise self._error("RCPT comes after MAIL")
        if len(self._recipients) >= SPOOL_RECIPIENTS_MAX:
            raise self._error(f"a message has at most {SPOOL_RECIPIENTS_MAX} recipients")
        recipient = parse_rcpt(argument, utf8=True)
        if isinstance(recipient, Reply):
            raise self._error(recipient.text)
        self._recipients.append(recipient)

    def _begin(self, argument: str) -> BsmtpMessageStart:
        if argument.strip():
            raise self._error("DATA stands alone on its line")
        if self._sender is None:
            raise self._error("DATA comes after MAIL and RCPT")
        if self._messages >= SPOOL_MESSAGES_MAX:
            raise self._error(f"a file holds at most {SPOOL_MESSAGES_MAX} messages")
        self._messages += 1
        return BsmtpMessageStart(Envelope(self._sender, tuple(self._recipients), self._greeting))

    def _message(self) -> Iterator[bytes]:
        reader = DotReader()
        size, begun = 0, self._line
        data = self._buffer
        while True:
            octets = reader.feed(data)
            size += len(octets)
            if size > INCOMING_MAX:
                raise self._error(f"a message has at most {INCOMING_MAX} octets")
            if octets:
                yield octets
            self._line += data.count(b"\n")
            if reader.done:
                self._buffer = reader.rest
                # The last line is counted by the caller, as that of a command.
                self._line -= self._buffer.count(b"\n")
                return
            data = self._read()
            if not data:
                self._line = begun
                raise self._error("the message that begins here has no end (a dot on its own line)")

    def _quit(self) -> None:
        """After QUIT, only empty lines: anything else was meant to be read."""
        self._line += 1
        while (line := self._next_line()) is not None:
            if line.strip():
                raise self._error("something follows QUIT")
            self._line += 1

    def _reset(self) -> None:
        self._sender = None
        self._recipients.clear()

    # --- lines ------------------------------------------------------------------------------------

    def _next_line(self) -> str | None:
        """The next command without its line end; None at the end of the file."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > INTAKE_LINE_MAX:
                raise self._error(f"a command has at most {INTAKE_LINE_MAX} octets")
            more = self._read()
            if not more:
                if self._buffer:
                    raise self._error("the file ends within a line")
                return None
            self._buffer += more
        line, self._buffer = self._buffer[: end + 1], self._buffer[end + 1 :]
        if len(line) > INTAKE_LINE_MAX:
            raise self._error(f"a command has at most {INTAKE_LINE_MAX} octets")
        try:
            return line.removesuffix(b"\n").removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            raise self._error("a command is ASCII or UTF-8") from None

    def _read(self) -> bytes:
        """More octets, line ends settled; b"" at the end of the file only."""
        while data := self._file.read(SPOOL_READ_MAX):
            if self._bare_lf is None:
                first = (self._buffer + data).find(b"\n")
                if first < 0:
                    return data
                self._bare_lf = not (self._buffer + data)[:first].endswith(b"\r")
            if not self._bare_lf:
                return data
            data = self._held_cr + data
            self._held_cr = b"\r" if data.endswith(b"\r") else b""
            data = data[: len(data) - len(self._held_cr)]
            if data:
                return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        left, self._held_cr = self._held_cr, b""
        return left

    def _error(self, reason: str) -> BsmtpError:
        return BsmtpError(self._line, reason)
