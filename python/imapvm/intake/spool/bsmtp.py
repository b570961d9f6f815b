r"""Reader of batch SMTP files (RFC 2442), the format of spool files.

    EHLO relay.example.org
    MAIL FROM:<ada@example.org> BODY=8BITMIME
    RCPT TO:<bob@example.org>
    DATA
    Subject: hello

    A dot at the start of a line is doubled.
    .
    QUIT

EHLO or HELO, and QUIT, are optional. RSET discards the envelope; NOOP is ignored, and so are VERB
and TICK of BITNET's batch SMTP. A file may hold several messages.

**Line ends.** The first line decides. If it ends with CRLF, messages are kept byte for byte, and
only `CRLF . CRLF` ends one. If it ends with a bare LF, as in a file written by a shell script,
every line end in the file is read as CRLF. The file is read once, and in a file with CRLF a bare LF
inside a message cannot end it.

`imapvm.intake.spool.file` writes such files.
"""

from collections.abc import Iterator
from typing import Final, Protocol, TypeAlias

from imapvm._core import DotReader
from imapvm.intake.envelope import Envelope, Recipient, Sender, parse_mail, parse_rcpt
from imapvm.intake.replies import Reply
from imapvm.intake.spool.file import write_bsmtp
from imapvm.model.limits import (
    INCOMING_MAX,
    INTAKE_LINE_MAX,
    SPOOL_COMMANDS_MAX,
    SPOOL_MESSAGES_MAX,
    SPOOL_READ_MAX,
    SPOOL_RECIPIENTS_MAX,
)
from imapvm.model.values import frozen

__all__ = [
    "BsmtpError",
    "BsmtpMessageEnd",
    "BsmtpMessageStart",
    "BsmtpPart",
    "read_bsmtp",
    "write_bsmtp",
]

LINES_PER_STEP: Final = 64
"""Command lines that are read before the reader yields: about 0.5 ms of RCPT."""


class Readable(Protocol):
    """Binary file, or an object with its `read`."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; b"" at the end only."""


class BsmtpError(ValueError):
    """The file is not batch SMTP. The text has the line, counted from 1, and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line: Final = line
        self.reason: Final = reason


@frozen
class BsmtpMessageStart:
    """The envelope is complete; the message follows as `bytes`."""

    envelope: Envelope


@frozen
class BsmtpMessageEnd:
    """The message is complete."""


BsmtpPart: TypeAlias = BsmtpMessageStart | bytes | BsmtpMessageEnd | None


def read_bsmtp(file: Readable) -> Iterator[BsmtpPart]:
    """Yield the messages of a file, with bounded memory, in steps of about a millisecond.

    A step without a result yields None. Time is linear in the size of the file.

    Raises:
        BsmtpError: at the first line that is not batch SMTP. A part of a message may have been
            yielded before.
        OSError: from `file`.
    """
    return _BsmtpReader(file).parts()


class _BsmtpReader:
    """Parser with the unparsed bytes of a file, and the number of their first line."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._bare_lf: bool | None = None
        """None until the end of the first line was read."""
        self._held_cr = b""
        self._buffer = b""
        self._position = 0
        """Start of the unparsed bytes in the buffer: cutting it at each line would be quadratic."""
        self._commands_size = 0
        self._line = 1
        self._greeting: str | None = None
        self._sender: Sender | None = None
        self._recipients: list[Recipient] = []
        self._messages = 0

    def parts(self) -> Iterator[BsmtpPart]:
        while (line := self._next_line()) is not None:
            if not self._line % LINES_PER_STEP:
                yield None
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
                    yield from self._quit()
                    break
                case "" | "NOOP" | "VERB" | "TICK":
                    pass
                case _:
                    raise self._error("not a command of batch SMTP")
            self._line += 1
        if self._sender is not None:
            raise self._error("MAIL without a message")
        if not self._messages:
            raise self._error("no message in the file")

    # --- commands ---------------------------------------------------------------------------------

    def _mail(self, argument: str) -> None:
        if self._sender is not None:
            raise self._error("MAIL after a MAIL without a message")
        # A writer of files cannot negotiate SMTPUTF8, so it is not required.
        sender = parse_mail(argument, utf8=True)
        if isinstance(sender, Reply):
            raise self._error(sender.text)
        if sender.size is not None and sender.size > INCOMING_MAX:
            raise self._error(f"message is larger than {INCOMING_MAX} bytes")
        self._sender = sender

    def _rcpt(self, argument: str) -> None:
        if self._sender is None:
            raise self._error("RCPT before MAIL")
        if len(self._recipients) >= SPOOL_RECIPIENTS_MAX:
            raise self._error(f"more than {SPOOL_RECIPIENTS_MAX} recipients")
        recipient = parse_rcpt(argument, utf8=True)
        if isinstance(recipient, Reply):
            raise self._error(recipient.text)
        self._recipients.append(recipient)

    def _begin(self, argument: str) -> BsmtpMessageStart:
        if argument.strip():
            raise self._error("DATA has no argument")
        if self._sender is None:
            raise self._error("DATA before MAIL")
        if self._messages >= SPOOL_MESSAGES_MAX:
            raise self._error(f"more than {SPOOL_MESSAGES_MAX} messages in the file")
        self._messages += 1
        return BsmtpMessageStart(Envelope(self._sender, tuple(self._recipients), self._greeting))

    def _message(self) -> Iterator[bytes | None]:
        reader = DotReader()
        size, first_line = 0, self._line
        data = self._buffer[self._position :]
        while True:
            part = reader.feed(data)
            size += len(part)
            if size > INCOMING_MAX:
                raise self._error(f"message is larger than {INCOMING_MAX} bytes")
            yield part or None
            self._line += data.count(b"\n")
            if reader.done:
                self._buffer, self._position = reader.tail, 0
                # The caller counts the last line, like that of a command.
                self._line -= self._buffer.count(b"\n")
                return
            data = self._read()
            if not data:
                self._line = first_line
                raise self._error("message does not end with a dot on its own line")

    def _quit(self) -> Iterator[None]:
        """Accept only empty lines after QUIT: other lines would be lost."""
        self._line += 1
        while (line := self._next_line()) is not None:
            if not self._line % LINES_PER_STEP:
                yield None
            if line.strip():
                raise self._error("command after QUIT")
            self._line += 1

    def _reset(self) -> None:
        self._sender = None
        self._recipients.clear()

    # --- lines ------------------------------------------------------------------------------------

    def _next_line(self) -> str | None:
        """Return the next command without its line end; None at the end of the file."""
        while (end := self._buffer.find(b"\n", self._position)) < 0:
            self._buffer = self._buffer[self._position :]
            self._position = 0
            if len(self._buffer) > INTAKE_LINE_MAX:
                raise self._error(f"command is longer than {INTAKE_LINE_MAX} bytes")
            more = self._read()
            if not more:
                if self._buffer:
                    raise self._error("the last line has no line end")
                return None
            self._buffer += more
        line = self._buffer[self._position : end + 1]
        self._position = end + 1
        if len(line) > INTAKE_LINE_MAX:
            raise self._error(f"command is longer than {INTAKE_LINE_MAX} bytes")
        self._commands_size += len(line)
        if self._commands_size > SPOOL_COMMANDS_MAX:
            raise self._error(f"commands of the file are longer than {SPOOL_COMMANDS_MAX} bytes")
        try:
            return line.removesuffix(b"\n").removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            raise self._error("command is not UTF-8") from None

    def _read(self) -> bytes:
        """Return more bytes with normalised line ends; b"" at the end of the file only."""
        while data := self._file.read(SPOOL_READ_MAX):
            if self._bare_lf is None:
                # Nothing is parsed before the first line end: the buffer is short.
                start = self._buffer + data
                first = start.find(b"\n")
                if first < 0:
                    return data
                self._bare_lf = not start[:first].endswith(b"\r")
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
