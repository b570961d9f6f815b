"""One client, from its greeting to its end: octets in, commands carried out, answers out."""

import logging
from typing import TYPE_CHECKING, Final, final

import trio

from imapvm.commands.context import SEND_OCTETS, Context
from imapvm.commands.dispatch import run
from imapvm.commands.handlers.anytime import offered
from imapvm.commands.outcome import Disconnected
from imapvm.model.internal_errors import is_internal_error
from imapvm.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from imapvm.commands.services import Services
    from imapvm.filepool.store import AccountStore
    from imapvm.server.imap.connections import Connections
    from imapvm.server.net.transport import Transport
    from imapvm.session.events import Event

LOG: Final = logging.getLogger(__name__)

COMMANDS_PER_TURN: Final = 64
"""Pipelined commands that are carried out before other connections get their turn."""


@final
class Connection:
    """What the process knows of one client beside its session."""

    __slots__ = (
        "_event",
        "_more",
        "commands",
        "context",
        "ending",
        "heard",
        "heard_at",
        "sent",
        "sent_at",
        "transport",
    )

    def __init__(self, transport: "Transport", context: Context, *, now: float) -> None:
        self.transport = transport
        self.context = context
        self.commands = 0
        """What was carried out, wrong commands included."""
        self.ending: str | None = None
        """Why the client is to hear BYE as soon as its command is done."""
        self._event: Event | None = None
        """What is being carried out."""
        self._more: Awaitable[None] | None = None
        """What is to be awaited before the client is listened to again."""
        # What the sweeper saw last, and since when it is so (`imapvm.server.imap.connections`).
        self.heard = self.sent = -1
        self.heard_at = self.sent_at = now

    @property
    def signed_in(self) -> bool:
        return self.context.session.store is not None

    def end(self, reason: str) -> None:
        """Say BYE: at once where only the client is waited for, else when its command is done."""
        transport, out = self.transport, self.context.out
        if transport.is_reading:
            out.condition("BYE", reason)
            transport.write_nowait(out.take())
            transport.close()  # nothing is unread here, so no RST overtakes the BYE
        else:
            self.ending = reason

    async def converse(self) -> None:
        """Greet, and carry out what the client says, in its order, until one of us ends it.

        Raises:
            Disconnected: it is gone (or `trio.BrokenResourceError`, `trio.ClosedResourceError`).
        """
        context, transport = self.context, self.transport
        out = context.out
        out.condition("OK", "imapvm ready", f"CAPABILITY {offered(context)}")
        try:
            more = self._work()
            while True:
                if more is not None:
                    await more
                    more = self._work()
                elif self._is_over():
                    break
                elif await transport.serve(self._take):
                    more, self._more = self._more, None
                else:
                    return
        except (Disconnected, trio.BrokenResourceError, trio.ClosedResourceError, trio.Cancelled):
            raise
        except BaseException as fault:
            if not is_internal_error(fault):
                raise
            # One client's trouble is its own: whatever this was, the others go on.
            LOG.exception(
                "connection ended by an internal error",
                extra={"command": type(self._event).__name__.upper(), "peer": transport.peer},
            )
            out.take()  # half an answer, perhaps
            out.condition("BYE", "internal error; the operator has been told", "SERVERBUG")
        await transport.write(out.take())

    def _take(self, data: bytes) -> bool:
        """Carry out what was received; False where the task has to go on with it."""
        self.context.reader.feed(data)
        self._more = self._work()
        return self._more is None and not self._is_over()

    def _is_over(self) -> bool:
        return self.context.session.over or self.ending is not None

    def _work(self) -> "Awaitable[None] | None":
        """Carry out what has been received, up to what has to be awaited, and send the answers."""
        context, transport = self.context, self.transport
        reader, out, session = context.reader, context.out, context.session
        for _ in range(COMMANDS_PER_TURN):
            if session.over:
                return None  # the last answer goes with the end
            if self.ending is not None:
                out.condition("BYE", self.ending)
                return None
            event = reader.next()
            if event is None:
                self._event = None
                # All that was received has been answered: one send for all of it.
                if len(out):
                    transport.write_nowait(out.take())
                    if transport.waiting:
                        return transport.drained()
                return None
            self._event = event
            more = run(context, event)
            self.commands += 1
            if more is not None:
                return more
            if len(out) >= SEND_OCTETS:
                return transport.write(out.take())
        return context.breathe()


async def serve_connection(
    transport: "Transport",
    services: "Services",
    connections: "Connections",
    *,
    plain_allowed: bool,
    tls_first: bool = False,
) -> None:
    """Serve one client to its end. Raises nothing but `trio.Cancelled`.

    Args:
        transport: is closed at the end.
        services: what all connections share.
        connections: where this one stands while it lasts.
        plain_allowed: whether it may send a password without TLS.
        tls_first: shake hands before the greeting (RFC 8314 section 3).
    """
    session: Session[AccountStore] = Session(
        peer=transport.peer, tls=tls_first, plain_allowed=plain_allowed
    )
    connection = Connection(
        transport, Context(transport, services, session), now=trio.current_time()
    )
    connections.enter(connection)
    try:
        if tls_first:
            await transport.start_tls()
        await connection.converse()
        await transport.finish()
    except (Disconnected, trio.BrokenResourceError, trio.ClosedResourceError) as gone:
        LOG.debug("connection lost", extra={"peer": transport.peer, "reason": str(gone)})
    finally:
        connections.leave(connection)
        transport.close()
