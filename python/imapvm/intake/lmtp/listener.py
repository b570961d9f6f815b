"""The LMTP listener: sockets, time and deliveries around `LmtpProtocol`.

As with IMAP, what a peer says is answered where it is read, and no task is switched to; the task
of a connection goes on with what has to be awaited. Four replies a message make that worth it.
"""

import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import trio

from imapvm.filepool.errors import FilepoolError
from imapvm.intake.deliver import Deliverer, IncomingMessage, reply_to
from imapvm.intake.envelope import Envelope
from imapvm.intake.lmtp.protocol import (
    SHUTTING_DOWN,
    TIMED_OUT,
    LmtpProtocol,
    MessageAborted,
    MessageEnd,
    MessageStart,
    RecipientRequest,
)
from imapvm.intake.lmtp.transport import LmtpTransport
from imapvm.intake.replies import UNKNOWN_RECIPIENT, Reply
from imapvm.intake.trace import Trace
from imapvm.model.internal_errors import is_internal_error
from imapvm.model.limits import LMTP_CONNECTIONS_MAX, RECEIVE_MAX

if TYPE_CHECKING:
    from imapvm.intake.addresses import Destination

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
    connect: Callable[[socket.socket], LmtpTransport],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer LMTP connections until cancelled.

    Args:
        listener: listening, TCP or unix; closed at the end.
        deliverer: where messages go.
        connect: takes over a connected socket.
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
            except OSError as error:
                slots.release()
                if error.errno not in _NO_RESOURCES:
                    raise
                log.error("cannot accept LMTP", extra={"error": os.strerror(error.errno)})
                await trio.sleep(ACCEPT_AGAIN_SECONDS)
                continue
            connected = socket.socket(fileno=accepted.socket.detach())
            connections.start_soon(_serve_and_release, connected, deliverer, connect, slots)


async def _serve_and_release(
    connected: socket.socket,
    deliverer: Deliverer,
    connect: Callable[[socket.socket], LmtpTransport],
    slots: trio.Semaphore,
) -> None:
    try:
        address = _peer_of(connected)
        transport = connect(connected)
    except OSError:  # gone before it was served
        connected.close()
    else:
        await serve_connection(transport, deliverer, address)
    finally:
        slots.release()


async def serve_connection(
    transport: LmtpTransport, deliverer: Deliverer, address: str | None
) -> None:
    """Serve one connection to its end; whatever happens in it, others go on.

    Args:
        transport: closed at the end.
        deliverer: where messages go.
        address: IP address; None for a unix socket.
    """
    connection = _Connection(transport, deliverer, address)
    try:
        await connection.run()
    except (trio.BrokenResourceError, trio.TooSlowError) as error:
        log.info("LMTP connection broke", extra={"peer": address, "error": repr(error)})
    except BaseException as error:
        if not is_internal_error(error):
            raise
        log.exception("bug in LMTP", extra={"peer": address})
        await connection.last_words(_BUG)
    finally:
        transport.close()


class _Connection:
    def __init__(self, transport: LmtpTransport, deliverer: Deliverer, address: str | None) -> None:
        self._transport = transport
        self._deliverer = deliverer
        self._address = address
        self._protocol = LmtpProtocol(deliverer.settings.hostname)
        self._incoming: IncomingMessage | None = None
        self._envelope: Envelope | None = None
        self._targets: list[Destination] = []
        """Of the recipients that were accepted; older ones until the first of a message comes."""
        self._trouble: Reply | None = None
        """The store did not take octets of this message: what every recipient will hear."""
        self._id = b""
        self._due: Callable[[], Awaitable[None]] | None = None
        """What is to be awaited before the peer is listened to again."""
        self._since = trio.current_time()
        """When it became the peer's turn to say something, or to take what it is told."""
        self._shelter = trio.CancelScope()
        """Around everything that is awaited. Shielded while the store works, since a scope for
        each message would cost as much as a reply."""

    async def run(self) -> None:
        self._send()
        try:
            while await self._converse_patiently():
                pass
        except trio.Cancelled:
            await self.last_words(SHUTTING_DOWN)
            raise
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + FINISH_SECONDS):
                await self._discard()

    async def _converse_patiently(self) -> bool:
        """Converse for IDLE_SECONDS at least; True where the connection goes on.

        The deadline is not moved with each word of the peer's: when it has come, it is found out
        whether there were any.
        """
        deadline = self._since + IDLE_SECONDS
        with trio.CancelScope(deadline=deadline) as patience, trio.CancelScope() as self._shelter:
            await self._converse()
        if not patience.cancelled_caught:
            return False
        if trio.current_time() < self._since + IDLE_SECONDS:
            return True
        if self._transport.waiting:
            raise trio.TooSlowError  # there is no way to tell it anything
        log.info("LMTP connection timed out", extra={"peer": self._address})
        await self.last_words(TIMED_OUT)
        return False

    async def _converse(self) -> None:
        """Go on, until one side ends it. Cancelled: may be called again."""
        while True:
            if self._due is not None:
                await self._due()
                self._since = trio.current_time()  # it was not the peer who took so long
                self._due = self._work()
            elif self._transport.waiting:
                await self._transport.drained()
                self._since = trio.current_time()
            elif self._protocol.is_closed:
                return
            else:
                await trio.lowlevel.checkpoint_if_cancelled()  # octets may be there already
                if not await self._transport.serve(self._take):
                    return

    async def last_words(self, reply: Reply) -> None:
        """Say why we go, if that can be said at once."""
        if not self._protocol.is_closed:
            self._protocol.close(reply)
        self._send()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            try:
                await self._transport.drained()
            except trio.BrokenResourceError:
                log.debug("LMTP peer is gone", extra={"peer": self._address})

    def _take(self, data: bytes) -> bool:
        """Answer what was received; False where the task has to go on with it."""
        self._since = trio.current_time()
        self._protocol.receive(data)
        self._due = self._work()
        if self._due is None and len(data) >= RECEIVE_MAX:
            self._due = trio.lowlevel.checkpoint  # more is there, and others have their turn
        return self._due is None and not self._transport.waiting and not self._protocol.is_closed

    def _work(self) -> Callable[[], Awaitable[None]] | None:
        """Do what was asked, up to what has to be awaited, and say what is to be said."""
        protocol = self._protocol
        due: Callable[[], Awaitable[None]] | None = None
        while due is None and (event := protocol.next_event()) is not None:
            match event:
                case RecipientRequest(recipient, before):
                    target = self._deliverer.addresses.find(recipient.address)
                    if target is None:
                        protocol.refuse_recipient(UNKNOWN_RECIPIENT)
                    else:
                        self._targets[before:] = (target,)
                        protocol.accept_recipient()
                case MessageStart(envelope):
                    self._begin(envelope)
                case bytes():
                    due = self._feed(event)
                case MessageEnd():
                    due = self._end
                case MessageAborted():
                    due = self._discard
        self._send()
        return due

    def _send(self) -> None:
        if out := self._protocol.take():
            self._transport.write_nowait(out)

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
                peer=self._address,
            ),
            tuple(self._targets),
        )

    def _feed(self, octets: bytes) -> Callable[[], Awaitable[None]] | None:
        assert self._incoming is not None
        if self._trouble is None:
            try:
                if self._incoming.feed(octets):
                    return self._spill
            except FilepoolError as error:
                self._trouble = self._not_taken(error)
        return None

    async def _spill(self) -> None:
        assert self._incoming is not None
        self._shelter.shield = True  # as long as a commit or two
        try:
            await self._incoming.spill()
        except FilepoolError as error:
            self._trouble = self._not_taken(error)
        finally:
            self._shelter.shield = False

    async def _end(self) -> None:
        # Once the octets are here, the peer hears what became of them, also when the server stops:
        # otherwise it would send again what may have been delivered (RFC 2033 section 5). No
        # deadline for the delivery: it ends with a commit, which closing the filepool waits for.
        self._shelter.shield = True
        try:
            self._protocol.answer_message(await self._deliver())
            await self._discard()
            self._send()
            if self._transport.waiting:
                with trio.move_on_after(FINISH_SECONDS):
                    await self._transport.drained()
        finally:
            self._shelter.shield = False

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
            await self._incoming.discard()
            self._incoming = None


def _peer_of(connected: socket.socket) -> str | None:
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    address: str = connected.getpeername()[0]
    return address.partition("%")[0].removeprefix("::ffff:")
