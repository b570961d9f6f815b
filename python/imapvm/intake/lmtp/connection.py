"""One LMTP connection: `LmtpProtocol` with a transport, deadlines and deliveries.

Received data is handled by one coroutine, `_handle`. It is started in the reactor's callback, which
avoids a task switch for each command; where it has to wait for the filepool, it suspends, and the
connection's task continues it (`imapvm.model.stepping`). One message has four replies, of which
only the last needs the task.

                        .------------ _handle returned ------------.
                        v                                          |
    greeting -----> READING -- data, _handle suspends ------> HANDLING
                     |  ^  |                                   |   |
        QUIT, end of |  |  |   replies that the peer           |   | QUIT
           stream or |  |  |   has not taken                   |   |
         idle expiry |  |  '---------------> DRAINING <--------'   |
                     |  |                     |    |               |
                     |  '-- replies taken ----'    | after QUIT    |
                     v                             v               |
                   CLOSED <------------------------+---------------'

The deadlines apply to READING and DRAINING: IDLE_SECONDS, LHLO_SECONDS before LHLO, and
MESSAGE_SECONDS with MESSAGE_RATE_MIN for a message. HANDLING is shielded from cancellation: once a
message is complete, its replies are sent also when the server stops. Otherwise the peer would send
a message again that may have been delivered (RFC 2033 section 5).
"""

import logging
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum, auto
from time import perf_counter
from typing import Final

import trio

from imapvm.filepool.errors import FilepoolError
from imapvm.intake.addresses import Destination
from imapvm.intake.deliver import Deliverer, IncomingMessage, reply_to
from imapvm.intake.envelope import Envelope
from imapvm.intake.lmtp.protocol import (
    SHUTTING_DOWN,
    TIMED_OUT,
    TOO_MANY_CONNECTIONS,
    CommandsAnswered,
    LmtpProtocol,
    MessageAborted,
    MessageEnd,
    MessageStart,
    RecipientRequest,
)
from imapvm.intake.lmtp.states import LmtpState
from imapvm.intake.lmtp.transport import LmtpTransport
from imapvm.intake.replies import UNKNOWN_RECIPIENT, Reply
from imapvm.intake.trace import Trace
from imapvm.model.limits import RECEIVE_MAX
from imapvm.model.logs import is_internal_error
from imapvm.model.stepping import Suspended, start, suspend

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 5 * 60
"""Time between two reads from the peer, and for the peer to take its replies. RFC 5321 section
4.5.3.2.7 asks for at least this between commands."""
LHLO_SECONDS: Final = 60
"""Time from the connection to LHLO. Mail systems send it at once."""
MESSAGE_SECONDS: Final = 10 * 60
"""Time for a message, in addition to its size divided by MESSAGE_RATE_MIN."""
MESSAGE_RATE_MIN: Final = 16 * 1024
"""Bytes a second: the largest message may take 78 minutes. Mail systems are near."""
CALLBACK_SECONDS: Final = 0.0005
"""Work in the reactor's callback: it calls all connections that have data in one turn."""
FINISH_SECONDS: Final = 30
"""Time for replies and cleanup when the server stops."""
LAST_REPLY_SECONDS: Final = 1
SESSION_ID_BYTES: Final = 6
"""As of an IMAP session."""

_BUG: Final = Reply(421, "4.3.0", "internal error, closing")


async def serve_connection(
    transport: LmtpTransport,
    deliverer: Deliverer,
    address: str | None,
    on_start: Callable[["LmtpConnection"], None] = lambda _: None,
) -> None:
    """Serve one connection to its end. A bug ends this connection only.

    Args:
        transport: closed at the end.
        deliverer: receives the messages.
        address: IP address of the peer; None for a unix socket.
        on_start: receives the connection.
    """
    connection = LmtpConnection(transport, deliverer, address)
    on_start(connection)
    try:
        await connection.run()
    except (trio.BrokenResourceError, trio.TooSlowError) as error:
        log.info("LMTP connection broken", extra=connection.log_fields | {"error": repr(error)})
    except BaseException as error:
        if not is_internal_error(error):
            raise
        log.exception("internal error in LMTP", extra=connection.log_fields)
        await connection.send_last_reply(_BUG)
    finally:
        transport.close()


class ConnectionPhase(IntEnum):
    """Phase of a connection. IntEnum, since Enum computes its hash in Python."""

    READING = auto()
    HANDLING = auto()
    DRAINING = auto()
    CLOSED = auto()


_READING, _HANDLING, _DRAINING, _CLOSED = ConnectionPhase  # faster than attributes of the enum

NEXT_PHASES: Final = {
    _READING: (_READING, _HANDLING, _DRAINING, _CLOSED),
    _HANDLING: (_READING, _DRAINING, _CLOSED),
    _DRAINING: (_READING, _CLOSED),
    _CLOSED: (),
}


class _Message:
    """The message that is being received."""

    __slots__ = ("began_at", "envelope", "error", "id", "incoming", "log_fields", "size")

    def __init__(
        self,
        envelope: Envelope,
        incoming: IncomingMessage,
        delivery_id: bytes,
        log_fields: Mapping[str, object],
    ) -> None:
        self.envelope = envelope
        self.incoming = incoming
        self.id = delivery_id
        self.log_fields = {**log_fields, "id": delivery_id.hex()}
        self.began_at = trio.current_time()
        self.size = 0
        self.error: Reply | None = None
        """Reply for every recipient: the filepool did not accept some part of the message."""

    def failed(self, error: FilepoolError) -> None:
        log.error("message not stored", extra=self.log_fields | {"error": str(error)})
        self.error = reply_to(error)

    def lines(self, replies: Sequence[Reply]) -> list[bytes]:
        """Return replies as lines that end with the delivery id, which log events have as well."""
        end = b", id %b\r\n" % self.id.hex().encode()
        return [reply.line.removesuffix(b"\r\n") + end for reply in replies]

    def log_result(self, replies: Sequence[Reply]) -> None:
        if log.isEnabledFor(logging.INFO):
            log.info(
                "LMTP message",
                extra=self.log_fields
                | {
                    "sender": self.envelope.sender.address,
                    "recipients": len(replies),
                    "delivered": sum(reply.is_ok for reply in replies),
                },
            )


class LmtpConnection:
    """One connection; `run` serves it."""

    def __init__(self, transport: LmtpTransport, deliverer: Deliverer, address: str | None) -> None:
        self._transport = transport
        self._deliverer = deliverer
        self._address = address
        self._session = secrets.token_hex(SESSION_ID_BYTES)
        self.log_fields: Final[dict[str, object]] = {"session": self._session, "peer": address}
        """Fields that each log event of the connection has."""
        self._protocol = LmtpProtocol(deliverer.settings.hostname)
        self._phase = _READING
        self._suspended: Suspended[None] | None = None
        """`_handle`, in the phase HANDLING."""
        self._message: _Message | None = None
        self._destinations: list[Destination] = []
        """Of the accepted recipients. Truncated by the first recipient of the next message."""
        self._connected_at = self._idle_since = trio.current_time()
        self._useful_at = self._connected_at
        """Time of the last message, or of the connection."""
        self._is_unwanted = False
        self._shield = trio.CancelScope()
        """Scope around all waits, shielded in the phase HANDLING. One for each IDLE_SECONDS, since
        one for each message would cost as much as a reply."""

    async def run(self) -> None:
        """Serve until the connection is closed.

        Raises:
            trio.BrokenResourceError: the connection failed.
            trio.TooSlowError: the peer did not take its replies.
        """
        self._send()
        self._enter(self._phase_after_handling())
        try:
            while self._phase is not _CLOSED:
                await self._serve_until_idle()
        except trio.Cancelled:
            await self.send_last_reply(SHUTTING_DOWN)
            raise
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + FINISH_SECONDS):
                await self._discard_message()

    @property
    def has_proxy_header(self) -> bool:
        """True if the connection was closed because it began with a PROXY header."""
        return self._protocol.has_proxy_header

    def is_idle(self, seconds: float) -> bool:
        """Return True if the peer has neither sent a message nor data of one for that time."""
        since = self._useful_at if self._message is None else self._idle_since
        return self._phase is _READING and trio.current_time() - since >= seconds

    def has_read_for(self, seconds: float) -> bool:
        """Return True if one message has been read for that time."""
        return (
            self._phase is _READING
            and self._message is not None
            and trio.current_time() - self._message.began_at >= seconds
        )

    def close_for_another(self) -> None:
        """Close in favour of another peer. Only after `is_idle` or `has_read_for`."""
        assert self._phase is _READING
        self._is_unwanted = True
        self._shield.cancel()

    async def send_last_reply(self, reply: Reply) -> None:
        """Close the dialogue with a reply, if the peer takes it at once."""
        if not self._protocol.is_closed:
            self._protocol.close(reply)
        self._send()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + LAST_REPLY_SECONDS):
            try:
                await self._transport.drained()
            except trio.BrokenResourceError:
                log.debug("LMTP peer closed first", extra={"peer": self._address})

    # --- phases -----------------------------------------------------------------------------------

    def _deadline(self) -> float:
        """Return the time at which the peer is too slow."""
        deadline = self._idle_since + IDLE_SECONDS
        if self._protocol.state is LmtpState.START:
            deadline = min(deadline, self._connected_at + LHLO_SECONDS)
        elif (message := self._message) is not None:
            seconds = MESSAGE_SECONDS + message.size / MESSAGE_RATE_MIN
            deadline = min(deadline, message.began_at + seconds)
        return deadline

    async def _serve_until_idle(self) -> None:
        """Serve until a deadline, and close the connection if the peer was too slow.

        The deadline is not moved at each read: when it expires, `_deadline` shows whether it has
        moved. READING and DRAINING may be cancelled, and entered again.
        """
        deadline = self._deadline()
        with trio.CancelScope(deadline=deadline) as idle, trio.CancelScope() as self._shield:
            while self._phase is not _CLOSED:
                if self._phase is _READING:
                    await trio.lowlevel.checkpoint_if_cancelled()  # `serve` may not wait
                    if not await self._transport.serve(self._receive):
                        self._enter(_CLOSED)
                elif self._suspended is not None:  # the phase HANDLING
                    self._shield.shield = True
                    await self._suspended
                    self._shield.shield = False
                    self._suspended = None
                    self._idle_since = trio.current_time()  # not the peer's time
                    self._enter(self._phase_after_handling())
                else:
                    await self._transport.drained()
                    self._idle_since = trio.current_time()
                    self._enter(self._phase_after_handling())
        if self._is_unwanted and self._phase is not _CLOSED:
            log.info("LMTP connection closed for another", extra=self.log_fields)
            await self.send_last_reply(TOO_MANY_CONNECTIONS)
            self._enter(_CLOSED)
            return
        if not idle.cancelled_caught or trio.current_time() < self._deadline():
            return
        if self._transport.waiting:
            raise trio.TooSlowError  # a reply would not reach the peer
        log.info("LMTP connection timed out", extra=self.log_fields)
        await self.send_last_reply(TIMED_OUT)
        self._enter(_CLOSED)

    def _receive(self, data: bytes) -> bool:
        """Handle received data, outside the task; return False to leave the phase READING."""
        self._idle_since = trio.current_time()
        self._suspended = start(self._handle(data))
        if self._suspended is not None:
            self._enter(_HANDLING)
            return False
        if self._transport.waiting or self._protocol.is_closed:
            self._enter(self._phase_after_handling())
            return False
        return True

    def _phase_after_handling(self) -> ConnectionPhase:
        if self._transport.waiting:
            return _DRAINING
        if self._protocol.is_closed:
            return _CLOSED
        return _READING

    def _enter(self, phase: ConnectionPhase) -> None:
        assert phase in NEXT_PHASES[self._phase]
        self._phase = phase

    # --- received data ----------------------------------------------------------------------------

    async def _handle(self, data: bytes) -> None:
        """Handle all commands and message data in `data`, and send the replies."""
        protocol = self._protocol
        protocol.receive(data)
        until = perf_counter() + CALLBACK_SECONDS
        event = protocol.next_event()
        while event is not None:
            match event:
                case bytes():
                    if self._feed(event):
                        await self._spill()
                case RecipientRequest():
                    self._resolve(event)
                case MessageStart():
                    self._start_message(event.envelope)
                case MessageEnd():
                    await self._finish_message()
                case MessageAborted():
                    await suspend()
                    await self._discard_message()
                case CommandsAnswered():
                    pass
            event = protocol.next_event()
            # Not after the last one: a pause would delay the sender's next message, and with it
            # those of others, which wait for the same slice.
            if event is not None and perf_counter() > until:
                if not self._transport.waiting:
                    self._send()
                await suspend()
                await self._deliverer.pacer.pause()
                until = 0.0  # in the task, the pacer decides
        self._send()
        if len(data) >= RECEIVE_MAX:
            # More data is likely to be there already: let other tasks run.
            await suspend()
            await trio.lowlevel.checkpoint()

    def _send(self) -> None:
        if out := self._protocol.take():
            self._transport.write_nowait(out)

    def _resolve(self, request: RecipientRequest) -> None:
        destination = self._find(request.recipient.address)
        if destination is None:
            log.info(
                "recipient refused",
                extra=self.log_fields
                | {
                    "recipient": request.recipient.address,
                    "reason": str(UNKNOWN_RECIPIENT),
                },
            )
            self._protocol.refuse_recipient(UNKNOWN_RECIPIENT)
        else:
            self._destinations[request.index :] = (destination,)
            self._protocol.accept_recipient(request.recipient)

    def _find(self, address: str) -> Destination | None:
        return self._deliverer.addresses.find(address)

    def _start_message(self, envelope: Envelope) -> None:
        delivery_id = os.urandom(16)
        trace = Trace(
            protocol="UTF8LMTP" if envelope.sender.utf8 else "LMTP",
            id=delivery_id.hex(),
            greeting=envelope.greeting,
            peer=self._address,
            session=self._session,
        )
        incoming = self._deliverer.begin(envelope, trace, tuple(self._destinations))
        self._message = _Message(envelope, incoming, delivery_id, self.log_fields)

    def _feed(self, data: bytes) -> bool:
        """Add data to the message; return True where `_spill` has to be called."""
        message = self._message
        assert message is not None
        message.size += len(data)
        if message.error is None:
            try:
                return message.incoming.feed(data)
            except FilepoolError as error:
                message.failed(error)
        return False

    async def _spill(self) -> None:
        assert self._message is not None
        self._send()
        await suspend()
        try:
            await self._message.incoming.spill()
        except FilepoolError as error:
            self._message.failed(error)

    async def _finish_message(self) -> None:
        """Deliver the message and send its replies.

        The delivery has no deadline: it ends with a commit, and closing the filepool waits for that
        as well.
        """
        message = self._message
        assert message is not None
        self._send()
        replies: tuple[Reply, ...] = ()
        if message.error is None:
            try:
                replies = await message.incoming.finish(message.id)
            except FilepoolError as error:
                message.failed(error)
        if message.error is not None:
            replies = (message.error,) * len(message.envelope.recipients)
        message.log_result(replies)
        self._useful_at = trio.current_time()
        self._protocol.answer_message(message.lines(replies))
        await self._discard_message()
        self._send()
        if self._transport.waiting:
            await suspend()
            with trio.move_on_after(FINISH_SECONDS):
                await self._transport.drained()

    async def _discard_message(self) -> None:
        message, self._message = self._message, None
        if message is not None:
            await message.incoming.discard()
