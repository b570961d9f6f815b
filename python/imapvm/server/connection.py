"""One client, from its greeting to its end: octets in, commands carried out, answers out."""

import logging
from typing import TYPE_CHECKING, Final, final

import trio

from imapvm.commands.anytime import offered
from imapvm.commands.context import SEND_OCTETS, Context
from imapvm.commands.dispatch import run
from imapvm.commands.outcome import Disconnected
from imapvm.intake.faults import is_bug
from imapvm.protocol.greeting import greet
from imapvm.session.session import Session

if TYPE_CHECKING:
    from imapvm.commands.services import Services
    from imapvm.filepool.store import AccountStore
    from imapvm.protocol.commands import Event
    from imapvm.server.connections import Connections
    from imapvm.server.transport import Transport

LOG: Final = logging.getLogger(__name__)

COMMANDS_PER_TURN: Final = 64
"""Pipelined commands that are carried out before other connections get their turn."""


@final
class Connection:
    """What the process knows of one client beside its session."""

    __slots__ = (
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
        # What the sweeper saw last, and since when it is so (`imapvm.server.connections`).
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
        reader, out, session = context.reader, context.out, context.session
        turn = COMMANDS_PER_TURN
        greet(out, offered(context))
        event: Event | None = None
        try:
            while not session.over:
                if self.ending is not None:
                    out.condition("BYE", self.ending)
                    break
                event = reader.next()
                if event is None:
                    # All that was received has been answered: one send for all of it.
                    if len(out):
                        await transport.write(out.take())
                    if not (data := await transport.read()):
                        return
                    reader.feed(data)
                    del data  # an idle session keeps no buffers
                    continue
                more = run(context, event)
                if more is not None:
                    await more
                self.commands += 1
                if len(out) >= SEND_OCTETS:
                    await transport.write(out.take())
                turn -= 1
                if turn == 0:
                    turn = COMMANDS_PER_TURN
                    await trio.lowlevel.checkpoint()
        except (Disconnected, trio.BrokenResourceError, trio.ClosedResourceError, trio.Cancelled):
            raise
        except BaseException as fault:
            if not is_bug(fault):
                raise
            # One client's trouble is its own: whatever this was, the others go on.
            LOG.exception(
                "connection ended by an internal error",
                extra={"command": type(event).__name__.upper(), "peer": transport.peer},
            )
            out.take()  # half an answer, perhaps
            out.condition("BYE", "internal error; the operator has been told", "SERVERBUG")
        await transport.write(out.take())


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
