"""The LMTP listener: sockets, time and deliveries around `LmtpProtocol`."""

import errno
import logging
import math
import os
import socket
from typing import TYPE_CHECKING, Final

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
from imapvm.intake.peer_stream import PeerStream
from imapvm.intake.replies import UNKNOWN, Reply
from imapvm.intake.trace import Trace
from imapvm.model.limits import LMTP_CONNECTIONS_MAX, RECEIVE_MAX

if TYPE_CHECKING:
    from imapvm.intake.addresses import Target

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
                accepted = await accepting.accept()
                stream = PeerStream(socket.socket(fileno=accepted.socket.detach()))
            except OSError as error:
                slots.release()
                if error.errno not in _NO_RESOURCES:
                    raise
                log.error("cannot accept LMTP", extra={"error": os.strerror(error.errno)})
                await trio.sleep(ACCEPT_AGAIN_SECONDS)
                continue
            connections.start_soon(_serve_and_release, stream, deliverer, slots)


async def _serve_and_release(
    stream: PeerStream, deliverer: Deliverer, slots: trio.Semaphore
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
        self._targets: list[Target] = []
        """Of the recipients that were accepted; older ones until the first of a message comes."""
        self._trouble: Reply | None = None
        """The store did not take octets of this message: what every recipient will hear."""
        self._id = b""
        self._is_speaking = False
        self._patience = trio.CancelScope()
        """How long the peer may take: one scope for all waits, since a new one costs as much as a
        reply. Its deadline moves with each that begins."""

    async def run(self) -> None:
        try:
            with self._patience:
                await self._converse()
            if self._patience.cancelled_caught:
                if self._is_speaking:
                    raise trio.TooSlowError  # there is no way to tell it anything
                log.info("LMTP connection timed out", extra={"peer": self._peer})
                await self.last_words(TIMED_OUT)
        except trio.Cancelled:
            await self.last_words(SHUTTING_DOWN)
            raise
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + FINISH_SECONDS):
                await self._discard()

    async def _converse(self) -> None:
        await self._send()
        while not self._protocol.is_closed:
            data = await self._receive()
            if not data:
                return
            self._protocol.receive(data)
            while (event := self._protocol.next_event()) is not None:
                await self._handle(event)
            await self._send()

    async def last_words(self, reply: Reply) -> None:
        """Say why we go, if that can be said at once."""
        if not self._protocol.is_closed:
            self._protocol.close(reply)
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            try:
                await self._stream.send_all(self._protocol.take())
            except trio.BrokenResourceError:
                log.debug("LMTP peer is gone", extra={"peer": self._peer})

    async def _receive(self) -> bytes:
        """More octets, b"" at the end."""
        self._patience.deadline = trio.current_time() + IDLE_SECONDS
        return bytes(await self._stream.receive_some(RECEIVE_MAX))

    async def _send(self) -> None:
        """Say what is to be said, while patience lasts."""
        if out := self._protocol.take():
            self._patience.deadline = trio.current_time() + IDLE_SECONDS
            self._is_speaking = True
            await self._stream.send_all(out)
            self._is_speaking = False

    async def _handle(self, event: Event) -> None:
        match event:
            case RecipientGiven(recipient, before):
                target = self._deliverer.addresses.find(recipient.address)
                if target is None:
                    self._protocol.refuse_recipient(UNKNOWN)
                else:
                    self._targets[before:] = (target,)
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
            tuple(self._targets),
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
        self._patience.deadline = math.inf  # it is not the peer who takes so long
        with trio.CancelScope(shield=True) as scope:
            replies = await self._deliver()
            self._protocol.answer_message(replies)
            await self._discard()
            scope.deadline = trio.current_time() + FINISH_SECONDS
            await self._send()

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
        if log.isEnabledFor(logging.INFO):
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


def _peer_of(connected: socket.socket) -> str | None:
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    address: str = connected.getpeername()[0]
    return address.partition("%")[0].removeprefix("::ffff:")
