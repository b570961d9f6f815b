"""The LMTP listener: sockets, time and deliveries around `LmtpProtocol`."""

import errno
import logging
import os
import socket
from typing import Final

import trio

from imapvm.filepool.errors import FilepoolError
from imapvm.intake.deliver import Deliverer, Incoming, reply_to
from imapvm.intake.envelope import Envelope
from imapvm.intake.faults import is_bug
from imapvm.intake.lmtp_protocol import (
    SHUTTING_DOWN,
    TIMED_OUT,
    Event,
    LmtpProtocol,
    MessageBegins,
    MessageDropped,
    MessageEnds,
    RecipientGiven,
)
from imapvm.intake.replies import UNKNOWN, Reply
from imapvm.intake.trace import Trace
from imapvm.model.limits import LMTP_CONNECTIONS_MAX, RECEIVE_MAX

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 5 * 60
"""RFC 5321 section 4.5.3.2.7: at least this between commands; the same for each read of DATA, and
for a peer that does not take its replies."""
FINISH_SECONDS: Final = 30
"""For what is said and given back when the server stops."""
ACCEPT_AGAIN_SECONDS: Final = 0.1

_NO_RESOURCES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
_BUG: Final = Reply(421, "4.3.0", "something went wrong here, closing")


async def serve_lmtp(
    listener: socket.socket,
    deliverer: Deliverer,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer LMTP connections until cancelled.

    Args:
        listener: listening, TCP or unix; closed at the end.
        deliverer: where messages go.
        task_status: started when connections are accepted.
    """
    slots = trio.Semaphore(LMTP_CONNECTIONS_MAX)
    accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    async with accepting, trio.open_nursery() as connections:
        task_status.started()
        while True:
            await slots.acquire()
            try:
                stream = await accepting.accept()
            except OSError as error:
                slots.release()
                if error.errno not in _NO_RESOURCES:
                    raise
                log.error("cannot accept LMTP", extra={"error": os.strerror(error.errno)})
                await trio.sleep(ACCEPT_AGAIN_SECONDS)
                continue
            connections.start_soon(_serve_and_release, stream, deliverer, slots)


async def _serve_and_release(
    stream: trio.SocketStream, deliverer: Deliverer, slots: trio.Semaphore
) -> None:
    try:
        peer = _peer_of(stream.socket)
    except OSError:  # gone before it was served
        await trio.aclose_forcefully(stream)
    else:
        await serve_connection(stream, deliverer, peer)
    finally:
        slots.release()


async def serve_connection(stream: trio.abc.Stream, deliverer: Deliverer, peer: str | None) -> None:
    """Serve one connection to its end; whatever happens in it, others go on.

    Args:
        stream: closed at the end.
        deliverer: where messages go.
        peer: IP address; None for a unix socket.
    """
    connection = _Connection(stream, deliverer, peer)
    async with stream:
        try:
            await connection.run()
        except (trio.BrokenResourceError, trio.TooSlowError) as error:
            log.info("LMTP connection broke", extra={"peer": peer, "error": repr(error)})
        except BaseException as error:
            if not is_bug(error):
                raise
            log.exception("bug in LMTP", extra={"peer": peer})
            await connection.last_words(_BUG)


class _Connection:
    def __init__(self, stream: trio.abc.Stream, deliverer: Deliverer, peer: str | None) -> None:
        self._stream = stream
        self._deliverer = deliverer
        self._peer = peer
        self._protocol = LmtpProtocol(deliverer.settings.hostname)
        self._incoming: Incoming | None = None
        self._envelope: Envelope | None = None
        self._trouble: Reply | None = None
        """The store did not take octets of this message: what every recipient will hear."""
        self._id = b""

    async def run(self) -> None:
        try:
            await self._send()
            while not self._protocol.is_closed:
                data = await self._receive()
                if data == b"":
                    return
                if data is not None:
                    self._protocol.receive(data)
                while (event := self._protocol.next_event()) is not None:
                    await self._handle(event)
                await self._send()
        except trio.Cancelled:
            await self.last_words(SHUTTING_DOWN)
            raise
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + FINISH_SECONDS):
                await self._discard()

    async def last_words(self, reply: Reply) -> None:
        """Say why we go, if that can be said at once."""
        if not self._protocol.is_closed:
            self._protocol.close(reply)
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            try:
                await self._stream.send_all(self._protocol.take())
            except trio.BrokenResourceError:
                log.debug("LMTP peer is gone", extra={"peer": self._peer})

    async def _receive(self) -> bytes | None:
        """More octets, b"" at the end, None when nothing came for too long."""
        with trio.move_on_after(IDLE_SECONDS):
            return bytes(await self._stream.receive_some(RECEIVE_MAX))
        log.info("LMTP connection timed out", extra={"peer": self._peer})
        self._protocol.close(TIMED_OUT)
        return None

    async def _send(self, seconds: float = IDLE_SECONDS) -> None:
        if out := self._protocol.take():
            with trio.fail_after(seconds):
                await self._stream.send_all(out)

    async def _handle(self, event: Event) -> None:
        match event:
            case RecipientGiven(recipient):
                if self._deliverer.addresses.find(recipient.address) is None:
                    self._protocol.refuse_recipient(UNKNOWN)
                else:
                    self._protocol.accept_recipient()
            case MessageBegins(envelope):
                self._begin(envelope)
                await self._send()  # 354, which a peer may wait for
            case bytes():
                await self._feed(event)
            case MessageEnds():
                await self._end()
            case MessageDropped():
                await self._discard()

    def _begin(self, envelope: Envelope) -> None:
        self._id = os.urandom(16)
        self._trouble = None
        self._envelope = envelope
        self._incoming = self._deliverer.begin(
            envelope,
            Trace(
                protocol="UTF8LMTP" if envelope.sender.utf8 else "LMTP",
                id=self._id.hex(),
                greeting=envelope.greeting,
                peer=self._peer,
            ),
        )

    async def _feed(self, octets: bytes) -> None:
        assert self._incoming is not None
        if self._trouble is None:
            try:
                await self._incoming.feed(octets)
            except FilepoolError as error:
                self._trouble = self._not_taken(error)

    async def _end(self) -> None:
        # Once the octets are here, the peer hears what became of them, also when the server stops:
        # otherwise it would send again what may have been delivered (RFC 2033 section 5). No
        # deadline for the delivery: it ends with a commit, which closing the filepool waits for.
        with trio.CancelScope(shield=True):
            replies = await self._deliver()
            self._protocol.answer_message(replies)
            await self._discard()
            await self._send(FINISH_SECONDS)

    async def _deliver(self) -> tuple[Reply, ...]:
        assert self._incoming is not None
        assert self._envelope is not None
        replies: tuple[Reply, ...] = ()
        if self._trouble is None:
            try:
                replies = await self._incoming.finish(self._id)
            except FilepoolError as error:
                self._trouble = self._not_taken(error)
        if self._trouble is not None:
            replies = (self._trouble,) * len(self._envelope.recipients)
        log.info(
            "LMTP message",
            extra={
                "id": self._id.hex(),
                "sender": self._envelope.sender.address,
                "recipients": len(replies),
                "delivered": sum(reply.is_ok for reply in replies),
            },
        )
        return replies

    def _not_taken(self, error: FilepoolError) -> Reply:
        log.error("message not taken", extra={"id": self._id.hex(), "error": str(error)})
        return reply_to(error)

    async def _discard(self) -> None:
        if self._incoming is not None:
            incoming, self._incoming = self._incoming, None
            await incoming.discard()


def _peer_of(connected: trio.socket.SocketType) -> str | None:
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    address: str = connected.getpeername()[0]
    return address.partition("%")[0].removeprefix("::ffff:")
