"""LMTP (RFC 2033) as a value transformer: octets in, events and octets out.

    protocol.receive(data)
    while (event := protocol.next_event()) is not None:
        ...                         # decide; every event that asks is answered at once
    send(protocol.take())

Commands are carried out one by one in the order received, however they were sent (RFC 2920). It
holds at most one command line, or what one `receive` gave it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from imapvm._core import DotReader
from imapvm.intake.envelope import Envelope, Recipient, Sender, parse_mail, parse_rcpt
from imapvm.intake.replies import Reply, too_big
from imapvm.model.limits import (
    INCOMING_MAX,
    INTAKE_LINE_MAX,
    LMTP_ERRORS_MAX,
    LMTP_RECIPIENTS_MAX,
)


class LmtpState(Enum):
    """Where the dialogue stands."""

    START = auto()
    """Before LHLO."""
    READY = auto()
    SENDER = auto()
    """After MAIL, no recipient accepted."""
    RECIPIENT = auto()
    """At least one recipient was accepted."""
    CHUNKS = auto()
    """Between the BDAT commands of one message."""
    DATA = auto()
    """Octets behind DATA, up to the dot."""
    CHUNK = auto()
    """Octets of one BDAT."""
    ASKING = auto()
    """An event waits for its answer."""
    CLOSED = auto()
    """After QUIT, or a fault that ends the connection."""


@dataclass(frozen=True, slots=True)
class RecipientRequest:
    """RCPT: answer with `accept_recipient` or `refuse_recipient`."""

    recipient: Recipient
    before: int
    """How many the message has already."""


@dataclass(frozen=True, slots=True)
class MessageStart:
    """The message's octets follow as `bytes`, then `MessageEnd` or `MessageAborted`."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class MessageEnd:
    """All octets are here: answer with `answer_message`, one reply for each recipient."""


@dataclass(frozen=True, slots=True)
class MessageAborted:
    """The message that began will not be finished: too big, or RSET, LHLO or QUIT came."""


LmtpEvent: TypeAlias = RecipientRequest | MessageStart | bytes | MessageEnd | MessageAborted

EXTENSIONS: Final = (
    "PIPELINING",
    "8BITMIME",
    "SMTPUTF8",
    "ENHANCEDSTATUSCODES",
    "CHUNKING",
    f"SIZE {INCOMING_MAX}",
)
"""What LHLO offers. Not BINARYMIME: octets would be kept exactly, but an IMAP literal cannot hold
the NUL octets of a binary message (RFC 9051 section 4.3): whoever fetched it could not read it."""

_BDAT = re.compile(r"([0-9]{1,20})(?: +(LAST))?", re.ASCII | re.IGNORECASE)
"""RFC 3030 section 2; as many digits as SIZE may have."""

SENDER_ACCEPTED: Final = Reply(250, "2.1.0", "sender accepted")
RECIPIENT_ACCEPTED: Final = Reply(250, "2.1.5", "recipient accepted")
GO_ON: Final = Reply(354, "", "the message, then a dot on its own line")
CHUNK_RECEIVED: Final = Reply(250, "2.0.0", "chunk received")
FORGOTTEN: Final = Reply(250, "2.0.0", "forgotten")
STILL_HERE: Final = Reply(250, "2.0.0", "still here")
BAD_SEQUENCE: Final = Reply(503, "5.5.1", "that command does not belong here")
NO_RECIPIENTS: Final = Reply(503, "5.5.1", "no recipient was accepted")
TOO_LONG: Final = Reply(500, "5.5.2", f"a command has at most {INTAKE_LINE_MAX} octets")
TOO_MANY_RECIPIENTS: Final = Reply(
    452, "4.5.3", f"{LMTP_RECIPIENTS_MAX} recipients are enough for one message"
)
TOO_MANY_FAULTS: Final = Reply(421, "4.7.0", "too many faults, is this LMTP? Closing")
TIMED_OUT: Final = Reply(421, "4.4.2", "nothing was said for too long, closing")
SHUTTING_DOWN: Final = Reply(421, "4.3.2", "the server is stopping, closing")


class LmtpProtocol:
    """The server's side of one connection."""

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        self._state = LmtpState.START
        self._buffer = b""
        self._out: list[bytes] = [Reply(220, "", f"{hostname} LMTP imapvm").line]
        self._skipping = False
        """In the rest of a line that was too long."""
        self._faults = 0
        self._greeting: str | None = None
        self._sender: Sender | None = None
        self._asked: Recipient | None = None
        self._recipients: list[Recipient] = []
        self._begun = False
        """`MessageStart` was said, and neither end."""
        self._fault: Reply | None = None
        """What every further octet of this message will be answered with."""
        self._size = 0
        self._dots = DotReader()
        self._chunk_left = 0
        self._chunk_last = False
        self._misplaced: LmtpState | None = None
        """Where a BDAT came out of place: its octets are counted off before it is refused."""

    @property
    def state(self) -> LmtpState:
        return self._state

    @property
    def greeting(self) -> str | None:
        """The name that LHLO gave."""
        return self._greeting

    @property
    def is_closed(self) -> bool:
        """True when what `take` gives is the last."""
        return self._state is LmtpState.CLOSED

    def receive(self, data: bytes) -> None:
        """Take octets from the peer."""
        self._buffer += data

    def take(self) -> bytes:
        """What is to be sent now."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def close(self, reply: Reply) -> None:
        """Say a last word, for a reason of ours."""
        self._say(reply)
        self._state = LmtpState.CLOSED

    def next_event(self) -> LmtpEvent | None:
        """The next thing to decide or to keep; None until there are more octets."""
        assert self._state is not LmtpState.ASKING, "the last event waits for its answer"
        while self._state is not LmtpState.CLOSED:
            if self._state is LmtpState.DATA:
                if (event := self._in_data()) is not None:
                    return event
                if self._state is LmtpState.DATA:
                    return None
            elif self._state is LmtpState.CHUNK:
                if (event := self._in_chunk()) is not None:
                    return event
                if self._state is LmtpState.CHUNK:
                    return None
            else:
                line = self._next_line()
                if line is None:
                    return None
                if (event := self._command(line)) is not None:
                    return event
        if self._begun:
            return self._drop()
        return None

    # --- answers ----------------------------------------------------------------------------------

    def accept_recipient(self) -> None:
        """The recipient of `RecipientRequest` is one of ours."""
        assert self._asked is not None
        self._recipients.append(self._asked)
        self._asked = None
        self._say(RECIPIENT_ACCEPTED)
        self._state = LmtpState.RECIPIENT

    def refuse_recipient(self, reply: Reply) -> None:
        """The recipient of `RecipientRequest` gets nothing; others may."""
        self._asked = None
        self._say(reply)
        self._state = LmtpState.RECIPIENT if self._recipients else LmtpState.SENDER

    def answer_message(self, replies: Sequence[Reply]) -> None:
        """One reply for each recipient that was accepted, in their order (RFC 2033 section 4.2)."""
        assert len(replies) == len(self._recipients)
        self._out += [reply.line for reply in replies]
        self._begun = False
        self._reset()

    # --- lines ------------------------------------------------------------------------------------

    def _next_line(self) -> bytes | None:
        """The next line without CRLF. A bare LF ends none (RFC 5321 section 2.3.8)."""
        while True:
            end = self._buffer.find(b"\r\n")
            if end < 0:
                # One more than the limit, since the last octet may be the CR of a line end.
                if len(self._buffer) >= INTAKE_LINE_MAX:
                    if not self._skipping:
                        self._skipping = True
                        self._fail(TOO_LONG)
                    self._buffer = self._buffer[-1:]
                return None
            line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
            if self._skipping:
                self._skipping = False
            elif len(line) + 2 > INTAKE_LINE_MAX:
                self._fail(TOO_LONG)
            else:
                return line
            if self._state is LmtpState.CLOSED:
                return None

    def _command(self, line: bytes) -> LmtpEvent | None:
        verb, _, argument = line.partition(b" ")
        row = _BY_VERB.get(verb.upper())
        if row is None:
            self._fail(Reply(500, "5.5.2", "that is no command of LMTP"))
            return None
        if self._state not in row.states:
            self._say(BAD_SEQUENCE)
            return None
        try:
            text = argument.decode()
        except UnicodeDecodeError:
            self._fail(Reply(501, "5.5.4", "a command is ASCII or UTF-8"))
            return None
        return row.run(self, text.strip(" "))

    # --- commands ---------------------------------------------------------------------------------

    def _lhlo(self, argument: str) -> LmtpEvent | None:
        if not argument or not argument.isprintable():
            self._say(Reply(501, "5.5.4", "LHLO is followed by the client's name"))
            return None
        event = self._drop() if self._begun else None
        self._reset()
        self._greeting = argument
        offered = (self._hostname, *EXTENSIONS)
        self._out += [f"250-{line}\r\n".encode() for line in offered[:-1]]
        self._out.append(f"250 {offered[-1]}\r\n".encode())
        return event

    def _not_lmtp(self, _argument: str) -> None:
        self._fail(Reply(500, "5.5.1", "this is LMTP: say LHLO"))

    def _mail(self, argument: str) -> None:
        sender = parse_mail(argument)
        if isinstance(sender, Reply):
            self._say(sender)
        elif sender.size is not None and sender.size > INCOMING_MAX:
            self._say(too_big(INCOMING_MAX))
        else:
            self._sender = sender
            self._say(SENDER_ACCEPTED)
            self._state = LmtpState.SENDER

    def _rcpt(self, argument: str) -> LmtpEvent | None:
        assert self._sender is not None
        recipient = parse_rcpt(argument, utf8=self._sender.utf8)
        if isinstance(recipient, Reply):
            self._say(recipient)
            return None
        if len(self._recipients) >= LMTP_RECIPIENTS_MAX:
            self._say(TOO_MANY_RECIPIENTS)
            return None
        self._asked = recipient
        self._state = LmtpState.ASKING
        return RecipientRequest(recipient, len(self._recipients))

    def _data(self, argument: str) -> LmtpEvent | None:
        if argument:
            self._say(Reply(501, "5.5.4", "DATA stands alone on its line"))
            return None
        if not self._recipients:
            self._say(NO_RECIPIENTS)  # RFC 2033 section 4.2
            return None
        self._say(GO_ON)
        self._state = LmtpState.DATA
        self._dots = DotReader()
        return self._begin()

    def _bdat(self, argument: str) -> LmtpEvent | None:
        head = _BDAT.fullmatch(argument)
        if head is None:
            # How much follows is not known: to go on would be to obey octets of a message.
            self.close(Reply(501, "5.5.4", "BDAT is followed by a size and perhaps LAST, closing"))
            return None
        self._chunk_left, self._chunk_last = int(head[1]), head[2] is not None
        if self._sender is None:
            self._misplaced = self._state
        elif not self._recipients:
            self._fault = NO_RECIPIENTS
        self._state = LmtpState.CHUNK
        return None if self._misplaced or self._begun or self._fault else self._begin()

    def _rset(self, _argument: str) -> LmtpEvent | None:
        event = self._drop() if self._begun else None
        if self._state is not LmtpState.START:
            self._reset()
        self._say(FORGOTTEN)
        return event

    def _noop(self, _argument: str) -> None:
        self._say(STILL_HERE)

    def _vrfy(self, _argument: str) -> None:
        self._say(Reply(252, "2.5.0", "RCPT says whether an address is ours"))

    def _quit(self, _argument: str) -> None:
        self._say(Reply(221, "2.0.0", f"{self._hostname} closing"))
        self._state = LmtpState.CLOSED

    # --- messages ---------------------------------------------------------------------------------

    def _begin(self) -> LmtpEvent:
        assert self._sender is not None
        self._begun = True
        return MessageStart(Envelope(self._sender, tuple(self._recipients), self._greeting))

    def _in_data(self) -> LmtpEvent | None:
        if self._dots.done:
            return self._end()
        data, self._buffer = self._buffer, b""
        if not data:
            return None
        octets = self._dots.feed(data)
        if self._dots.done:
            self._buffer = self._dots.rest
        event = self._keep(octets)
        return self._end() if event is None and self._dots.done else event

    def _in_chunk(self) -> LmtpEvent | None:
        if self._chunk_left:
            data = self._buffer[: self._chunk_left]
            self._buffer = self._buffer[self._chunk_left :]
            self._chunk_left -= len(data)
            if (event := self._keep(data)) is not None:
                return event
            if self._chunk_left:
                return None
        if self._misplaced is not None:
            self._state, self._misplaced = self._misplaced, None
            self._say(BAD_SEQUENCE)
            return None
        if self._chunk_last:
            return self._end()
        self._say(self._fault or CHUNK_RECEIVED)
        self._state = LmtpState.CHUNKS
        return None

    def _keep(self, octets: bytes) -> LmtpEvent | None:
        """Pass octets of the message on, up to the largest there may be; behind that, none."""
        if not octets or self._fault is not None or self._misplaced is not None:
            return None
        self._size += len(octets)
        if self._size > INCOMING_MAX:
            self._fault = too_big(INCOMING_MAX)
            return self._drop()
        return octets

    def _end(self) -> LmtpEvent | None:
        """The end of the message: where it failed, that is what every recipient hears.

        Where there is none, BDAT LAST has no reply at all (RFC 2033 section 4.3).
        """
        if self._fault is None:
            self._state = LmtpState.ASKING
            return MessageEnd()
        self.answer_message([self._fault] * len(self._recipients))
        return None

    def _drop(self) -> LmtpEvent:
        self._begun = False
        return MessageAborted()

    def _reset(self) -> None:
        """Forget the transaction; the connection stays greeted."""
        self._state = LmtpState.READY
        self._sender = None
        self._recipients.clear()
        self._fault = None
        self._size = 0

    # --- replies ----------------------------------------------------------------------------------

    def _say(self, reply: Reply) -> None:
        self._out.append(reply.line)

    def _fail(self, reply: Reply) -> None:
        """Refuse what is no command; too many of these, and it is not LMTP that is spoken."""
        self._say(reply)
        self._faults += 1
        if self._faults > LMTP_ERRORS_MAX:
            self.close(TOO_MANY_FAULTS)


@dataclass(frozen=True, slots=True)
class LmtpCommand:
    """One command: what it does, and in which states it may come."""

    verb: bytes
    run: Callable[[LmtpProtocol, str], LmtpEvent | None]
    states: tuple[LmtpState, ...]


# Tuples: they compare by identity first, where a set would call the hash that Enum has in Python.
_READY = (LmtpState.READY,)
_ADDRESSED = (LmtpState.SENDER, LmtpState.RECIPIENT)
_ANY = (LmtpState.START, LmtpState.READY, LmtpState.SENDER, LmtpState.RECIPIENT, LmtpState.CHUNKS)

COMMANDS: Final = (
    LmtpCommand(b"LHLO", LmtpProtocol._lhlo, _ANY),
    LmtpCommand(b"MAIL", LmtpProtocol._mail, _READY),
    LmtpCommand(b"RCPT", LmtpProtocol._rcpt, _ADDRESSED),
    LmtpCommand(b"DATA", LmtpProtocol._data, _ADDRESSED),
    LmtpCommand(b"BDAT", LmtpProtocol._bdat, _ANY),  # its octets follow, wherever it stands
    LmtpCommand(b"RSET", LmtpProtocol._rset, _ANY),
    LmtpCommand(b"NOOP", LmtpProtocol._noop, _ANY),
    LmtpCommand(b"VRFY", LmtpProtocol._vrfy, _ANY),
    LmtpCommand(b"QUIT", LmtpProtocol._quit, _ANY),
    LmtpCommand(b"HELO", LmtpProtocol._not_lmtp, _ANY),
    LmtpCommand(b"EHLO", LmtpProtocol._not_lmtp, _ANY),
)
_BY_VERB: Final = {row.verb: row for row in COMMANDS}
