"""LMTP (RFC 2033) without I/O: bytes in, events and bytes out.

    protocol.receive(data)
    while (event := protocol.next_event()) is not None:
        ...                         # act on it; RecipientRequest and MessageEnd need an answer
    send(protocol.take())

Commands are processed one by one in the order received, also when they were pipelined (RFC 2920).
The protocol holds at most one command line, or the data of the last `receive`. Its states are in
`imapvm.intake.lmtp.states`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from imapvm._core import DotReader
from imapvm.intake.envelope import Envelope, Recipient, Sender, parse_mail, parse_rcpt
from imapvm.intake.lmtp.states import TRANSITIONS, LmtpInput, LmtpState
from imapvm.intake.replies import Reply, message_too_big
from imapvm.model.limits import (
    INCOMING_MAX,
    INTAKE_LINE_MAX,
    LMTP_ERRORS_MAX,
    LMTP_RECIPIENTS_MAX,
)
from imapvm.model.peers import NOT_SUPPORTED, is_proxy_header
from imapvm.model.values import frozen


@frozen
class RecipientRequest:
    """RCPT: answer with `accept_recipient` or `refuse_recipient`."""

    recipient: Recipient
    index: int
    """Number of recipients that the message has already."""


@frozen
class MessageStart:
    """The message follows as `bytes`, then `MessageEnd` or `MessageAborted`."""

    envelope: Envelope


@frozen
class MessageEnd:
    """The message is complete: answer with `answer_message`."""


@frozen
class CommandsAnswered:
    """COMMANDS_PER_EVENT commands were answered without another event: time to send, and pause."""


@frozen
class MessageAborted:
    """The started message will not be completed: it is too large, or RSET, LHLO or QUIT came."""


_MESSAGE_END = MessageEnd()
_MESSAGE_ABORTED = MessageAborted()
_COMMANDS_ANSWERED = CommandsAnswered()

LmtpEvent: TypeAlias = (
    RecipientRequest | MessageStart | bytes | MessageEnd | MessageAborted | CommandsAnswered
)

COMMANDS_PER_EVENT: Final = 64
"""About 0.1 ms."""

EXTENSIONS: Final = (
    "PIPELINING",
    "8BITMIME",
    "SMTPUTF8",
    "ENHANCEDSTATUSCODES",
    "CHUNKING",
    f"SIZE {INCOMING_MAX}",
)
"""Keywords of the LHLO reply. BINARYMIME is not offered: an IMAP literal cannot hold the NUL bytes
of a binary message (RFC 9051 section 4.3), so that clients could not fetch it."""

_BDAT = re.compile(r"([0-9]{1,20})(?: +(LAST))?", re.ASCII | re.IGNORECASE)
"""RFC 3030 section 2; as many digits as SIZE may have."""

SENDER_ACCEPTED: Final = Reply(250, "2.1.0", "sender accepted")
RECIPIENT_ACCEPTED: Final = Reply(250, "2.1.5", "recipient accepted")
SEND_MESSAGE: Final = Reply(354, "", "send the message, end with a dot on its own line")
CHUNK_RECEIVED: Final = Reply(250, "2.0.0", "chunk received")
RESET: Final = Reply(250, "2.0.0", "RSET completed")
NOOP_COMPLETED: Final = Reply(250, "2.0.0", "NOOP completed")
USE_RCPT: Final = Reply(252, "2.5.0", "cannot verify addresses, use RCPT")
UNKNOWN_COMMAND: Final = Reply(500, "5.5.2", "unknown command")
NOT_LMTP: Final = Reply(500, "5.5.1", "this is LMTP, use LHLO")
NOT_UTF8: Final = Reply(501, "5.5.4", "command is not UTF-8")
LHLO_ARGUMENT: Final = Reply(501, "5.5.4", "expected LHLO and the name of the client")
DATA_ARGUMENT: Final = Reply(501, "5.5.4", "DATA has no argument")
BDAT_ARGUMENT: Final = Reply(501, "5.5.4", "expected BDAT, a size and optionally LAST, closing")
BAD_SEQUENCE: Final = Reply(503, "5.5.1", "command out of sequence")
NO_RECIPIENTS: Final = Reply(503, "5.5.1", "no recipient was accepted")
LINE_TOO_LONG: Final = Reply(500, "5.5.2", f"command is longer than {INTAKE_LINE_MAX} bytes")
TOO_MANY_RECIPIENTS: Final = Reply(
    452, "4.5.3", f"too many recipients, the limit is {LMTP_RECIPIENTS_MAX}"
)
TOO_MANY_ERRORS: Final = Reply(421, "4.7.0", "too many errors, closing")
TIMED_OUT: Final = Reply(421, "4.4.2", "idle for too long, closing")
TOO_MANY_CONNECTIONS: Final = Reply(421, "4.3.2", "too many connections, try again later")
PROXY_NOT_SUPPORTED: Final = Reply(421, "4.3.2", f"{NOT_SUPPORTED}, closing")
SHUTTING_DOWN: Final = Reply(421, "4.3.2", "server is shutting down, closing")


class LmtpProtocol:
    """Server side of one connection."""

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        self._state = LmtpState.START
        self._buffer = b""
        self._position = 0
        """Start of the unparsed bytes in the buffer: cutting it at each line would be quadratic."""
        self._out: list[bytes] = [Reply(220, "", f"{hostname} LMTP imapvm").line]
        self._skips_line = False
        """The remainder of a line that is too long is being skipped."""
        self._has_received = False
        self.has_proxy_header = False
        """True if the dialogue was closed because it began with a PROXY header."""
        self._errors = 0
        self._greeting: str | None = None
        self._sender: Sender | None = None
        self._recipients: list[Recipient] = []
        self._started = False
        """`MessageStart` was returned, and neither `MessageEnd` nor `MessageAborted`."""
        self._refusal: Reply | None = None
        """Reply for all further data of this message."""
        self._size = 0
        self._dots = DotReader()
        self._chunk_left = 0

    @property
    def state(self) -> LmtpState:
        return self._state

    @property
    def greeting(self) -> str | None:
        """Name of the client, from LHLO."""
        return self._greeting

    @property
    def is_closed(self) -> bool:
        """True when the next `take` returns the last replies."""
        return self._state is LmtpState.CLOSED

    def receive(self, data: bytes) -> None:
        """Add bytes from the client."""
        if not self._has_received:
            self._has_received = True
            if is_proxy_header(data):
                self.has_proxy_header = True
                self.close(PROXY_NOT_SUPPORTED)
                return
        self._buffer = self._buffer[self._position :] + data if self._buffer else data
        self._position = 0

    def take(self) -> bytes:
        """Return the replies that have to be sent now."""
        if not self._out:
            return b""
        out, self._out = b"".join(self._out), []
        return out

    def close(self, reply: Reply) -> None:
        """Close the dialogue with a last reply."""
        self._reply(reply)
        self._move("close")

    def next_event(self) -> LmtpEvent | None:
        """Return the next event; None when more bytes are needed, or the dialogue is closed."""
        for _ in range(COMMANDS_PER_EVENT):
            state = self._state
            event: LmtpEvent | None
            if state is _DATA:
                event = self._read_data()
            elif state in _COMMAND_STATES:
                line = self._next_line()
                event = None if line is None else self._command(line)
                if line is not None and event is None:
                    continue
            elif state is LmtpState.CLOSED:
                return self._abort_message() if self._started else None
            else:
                event = self._read_chunk()
            if event is not None or self._state is state:
                return event
        return _COMMANDS_ANSWERED

    # --- answers ----------------------------------------------------------------------------------

    def accept_recipient(self, recipient: Recipient) -> None:
        """Accept the recipient of the last `RecipientRequest`."""
        self._recipients.append(recipient)
        self._reply(RECIPIENT_ACCEPTED)
        self._move("accept")

    def refuse_recipient(self, reply: Reply) -> None:
        """Refuse the recipient of the last `RecipientRequest`."""
        self._reply(reply)
        self._move("refuse")

    def answer_message(self, replies: Sequence[bytes]) -> None:
        """Send one reply for each accepted recipient, in their order (RFC 2033 section 4.2).

        Args:
            replies: lines with CRLF.
        """
        self._answer(replies)
        self._started = False
        self._move("answer")

    # --- lines ------------------------------------------------------------------------------------

    def _next_line(self) -> bytes | None:
        """Return the next line without CRLF. A bare LF does not end it (RFC 5321 section 2.3.8)."""
        while True:
            start = self._position
            end = self._buffer.find(b"\r\n", start)
            if end < 0:
                # One more than the limit, since the last byte may be the CR of a line end.
                if len(self._buffer) - start >= INTAKE_LINE_MAX:
                    if not self._skips_line:
                        self._skips_line = True
                        self._error(LINE_TOO_LONG)
                    self._buffer, self._position = self._buffer[-1:], 0
                return None
            line = self._buffer[start:end]
            self._position = end + 2
            if self._skips_line:
                self._skips_line = False
            elif len(line) + 2 > INTAKE_LINE_MAX:
                self._error(LINE_TOO_LONG)
            else:
                return line
            if self._state is LmtpState.CLOSED:
                return None

    def _command(self, line: bytes) -> LmtpEvent | None:
        verb, _, argument = line.partition(b" ")
        command = _BY_VERB.get(verb.upper())
        if command is None:
            self._error(UNKNOWN_COMMAND)
            return None
        if self._state not in command.states:
            self._reply(BAD_SEQUENCE)
            return None
        try:
            text = argument.decode()
        except UnicodeDecodeError:
            self._error(NOT_UTF8)
            return None
        return command.run(self, text.strip(" "))

    # --- commands ---------------------------------------------------------------------------------

    def _lhlo(self, argument: str) -> LmtpEvent | None:
        if not argument or not argument.isprintable():
            self._reply(LHLO_ARGUMENT)
            return None
        event = self._abort_message() if self._started else None
        self._forget_transaction()
        self._move("LHLO")
        self._greeting = argument
        offered = (self._hostname, *EXTENSIONS)
        self._out += [f"250-{line}\r\n".encode() for line in offered[:-1]]
        self._out.append(f"250 {offered[-1]}\r\n".encode())
        return event

    def _helo(self, _argument: str) -> None:
        self._error(NOT_LMTP)

    def _mail(self, argument: str) -> None:
        sender = parse_mail(argument)
        if isinstance(sender, Reply):
            self._reply(sender)
        elif sender.size is not None and sender.size > INCOMING_MAX:
            self._reply(message_too_big(INCOMING_MAX))
        else:
            self._sender = sender
            self._reply(SENDER_ACCEPTED)
            self._move("MAIL")

    def _rcpt(self, argument: str) -> LmtpEvent | None:
        assert self._sender is not None
        recipient = parse_rcpt(argument, utf8=self._sender.utf8)
        if isinstance(recipient, Reply):
            self._reply(recipient)
            return None
        if len(self._recipients) >= LMTP_RECIPIENTS_MAX:
            self._reply(TOO_MANY_RECIPIENTS)
            return None
        self._move("RCPT")
        return RecipientRequest(recipient, len(self._recipients))

    def _data(self, argument: str) -> LmtpEvent | None:
        if argument:
            self._reply(DATA_ARGUMENT)
            return None
        if not self._recipients:
            self._reply(NO_RECIPIENTS)  # RFC 2033 section 4.2
            return None
        self._reply(SEND_MESSAGE)
        self._move("DATA")
        self._dots = DotReader()
        return self._start_message()

    def _bdat(self, argument: str) -> LmtpEvent | None:
        head = _BDAT.fullmatch(argument)
        if head is None:
            # The size of the chunk is unknown: what follows could be taken for commands.
            self.close(BDAT_ARGUMENT)
            return None
        self._chunk_left = int(head[1])
        self._move("BDAT" if head[2] is None else "BDAT LAST")
        if self._sender is None:
            self._refusal = BAD_SEQUENCE
        elif not self._recipients:
            self._refusal = NO_RECIPIENTS
        return None if self._started or self._refusal is not None else self._start_message()

    def _rset(self, _argument: str) -> LmtpEvent | None:
        event = self._abort_message() if self._started else None
        self._forget_transaction()
        self._move("RSET")
        self._reply(RESET)
        return event

    def _noop(self, _argument: str) -> None:
        self._reply(NOOP_COMPLETED)

    def _vrfy(self, _argument: str) -> None:
        self._reply(USE_RCPT)

    def _quit(self, _argument: str) -> None:
        self.close(Reply(221, "2.0.0", f"{self._hostname} closing"))

    # --- messages ---------------------------------------------------------------------------------

    def _start_message(self) -> MessageStart:
        assert self._sender is not None
        self._started = True
        return MessageStart(Envelope(self._sender, tuple(self._recipients), self._greeting))

    def _read_data(self) -> LmtpEvent | None:
        """Read up to the dot; None when more bytes are needed, or the message was refused."""
        if self._dots.done:
            return self._end_message()
        data, self._buffer = self._buffer[self._position :], b""
        self._position = 0
        if not data:
            return None
        data = self._dots.feed(data)
        if self._dots.done:
            self._buffer = self._dots.tail
        event = self._keep(data)
        return self._end_message() if event is None and self._dots.done else event

    def _read_chunk(self) -> LmtpEvent | None:
        """Read up to the end of the chunk; None when more bytes are needed, or at its end."""
        if self._chunk_left:
            data = self._buffer[self._position : self._position + self._chunk_left]
            self._position += len(data)
            self._chunk_left -= len(data)
            if (event := self._keep(data)) is not None:
                return event
            if self._chunk_left:
                return None
        if self._state is LmtpState.LAST_CHUNK:
            return self._end_message()
        self._reply(self._refusal or CHUNK_RECEIVED)
        self._move("chunk end")
        if self._sender is None:
            self._refusal = None  # it was for a chunk out of sequence
        return None

    def _keep(self, data: bytes) -> LmtpEvent | None:
        """Return data of the message as an event, unless the message is refused or too large."""
        if not data or self._refusal is not None:
            return None
        self._size += len(data)
        if self._size > INCOMING_MAX:
            self._refusal = message_too_big(INCOMING_MAX)
            return self._abort_message()
        return data

    def _end_message(self) -> MessageEnd | None:
        """End the message. One that was refused is answered here, for each recipient.

        Without recipients, the last BDAT has no reply at all (RFC 2033 section 4.3).
        """
        if self._refusal is None:
            self._move("message end")
            return _MESSAGE_END
        self._answer([self._refusal.line] * len(self._recipients))
        self._move("refused end")
        return None

    def _answer(self, replies: Sequence[bytes]) -> None:
        assert len(replies) == len(self._recipients)
        self._out += replies
        self._forget_transaction()

    def _abort_message(self) -> MessageAborted:
        self._started = False
        return _MESSAGE_ABORTED

    def _forget_transaction(self) -> None:
        self._sender = None
        self._recipients.clear()
        self._refusal = None
        self._size = 0

    # --- states and replies -----------------------------------------------------------------------

    def _move(self, given: LmtpInput) -> None:
        self._state = TRANSITIONS[self._state][given]

    def _reply(self, reply: Reply) -> None:
        self._out.append(reply.line)

    def _error(self, reply: Reply) -> None:
        """Refuse a line that is not a command; after LMTP_ERRORS_MAX of them, close."""
        self._reply(reply)
        self._errors += 1
        if self._errors > LMTP_ERRORS_MAX:
            self.close(TOO_MANY_ERRORS)


@frozen
class LmtpCommand:
    """One command: its handler, and the states that accept it."""

    verb: bytes
    run: Callable[[LmtpProtocol, str], LmtpEvent | None]
    states: tuple[LmtpState, ...]


_DATA = LmtpState.DATA
_COMMAND_STATES = (
    LmtpState.START,
    LmtpState.READY,
    LmtpState.SENDER,
    LmtpState.RECIPIENTS,
    LmtpState.CHUNKS,
)
_WITH_SENDER = (LmtpState.SENDER, LmtpState.RECIPIENTS)

COMMANDS: Final = (
    LmtpCommand(b"LHLO", LmtpProtocol._lhlo, _COMMAND_STATES),
    LmtpCommand(b"MAIL", LmtpProtocol._mail, (LmtpState.READY,)),
    LmtpCommand(b"RCPT", LmtpProtocol._rcpt, _WITH_SENDER),
    LmtpCommand(b"DATA", LmtpProtocol._data, _WITH_SENDER),
    LmtpCommand(b"BDAT", LmtpProtocol._bdat, _COMMAND_STATES),  # its data follows in any case
    LmtpCommand(b"RSET", LmtpProtocol._rset, _COMMAND_STATES),
    LmtpCommand(b"NOOP", LmtpProtocol._noop, _COMMAND_STATES),
    LmtpCommand(b"VRFY", LmtpProtocol._vrfy, _COMMAND_STATES),
    LmtpCommand(b"QUIT", LmtpProtocol._quit, _COMMAND_STATES),
    LmtpCommand(b"HELO", LmtpProtocol._helo, _COMMAND_STATES),
    LmtpCommand(b"EHLO", LmtpProtocol._helo, _COMMAND_STATES),
)
_BY_VERB: Final = {command.verb: command for command in COMMANDS}
