"""Connection: one client from greeting to end; bytes in, commands run, responses out.

Bytes are passed to `Connection._take`, mostly by the reactor and without a task switch; a command
that waits is continued by the connection's task, in `converse` (`imapvm.model.stepping`).
"""

import contextlib
import logging
from typing import Final, final

import trio

from imapvm.commands.context import SEND_BYTES, Context
from imapvm.commands.dispatch import INTERNAL_ERROR, run
from imapvm.commands.handlers.anytime import offered
from imapvm.commands.outcome import Disconnected, Hangup
from imapvm.commands.services import Services
from imapvm.filepool.store import AccountStore
from imapvm.model.logs import is_internal_error
from imapvm.model.peers import NOT_SUPPORTED, is_proxy_header
from imapvm.model.stepping import Suspended, start
from imapvm.server.imap.connections import Connections
from imapvm.server.net.tls import ProxyHeaderError
from imapvm.server.net.transport import Transport
from imapvm.session.events import Event
from imapvm.session.session import Session

LOG: Final = logging.getLogger(__name__)


@final
class Connection:
    """One client: its transport, its context, and the loop that runs its commands."""

    __slots__ = (
        "_ending_code",
        "_event",
        "_suspended",
        "_turn",
        "commands",
        "context",
        "ending",
        "has_proxy_header",
        "transport",
    )

    def __init__(self, transport: Transport, context: Context) -> None:
        self.transport = transport
        self.context = context
        self.commands = 0
        """Commands run so far, malformed ones included."""
        self.ending: str | None = None
        """Text of the BYE that was sent, or that follows the current command."""
        self._ending_code: str | None = None
        self.has_proxy_header = False
        """True if the connection ends because of a PROXY header."""
        self._event: Event | None = None
        """Event that is being run."""
        self._turn = -1
        """Number of the last turn in which a command ran."""
        self._suspended: Suspended[None] | None = None
        """A command on its way from the reactor's callback to the connection's task."""

    @property
    def signed_in(self) -> bool:
        return self.context.session.store is not None

    def end(self, reason: str, code: str | None = None) -> None:
        """Send BYE: at once while the client is idle, else after its command."""
        transport, out = self.transport, self.context.out
        if transport.is_reading:
            if not self.context.is_responding:
                out.condition("BYE", reason, code)
            transport.write_nowait(out.take())
            transport.close()  # all input has been read, so no RST overtakes the BYE
        self.ending, self._ending_code = reason, code

    async def converse(self) -> None:
        """Write the greeting, then run commands in the order received, until either side ends.

        Raises:
            Disconnected: the connection is closed (or `trio.BrokenResourceError`,
                `trio.ClosedResourceError`).
        """
        context, transport = self.context, self.transport
        out = context.out
        out.condition("OK", "imapvm ready", f"CAPABILITY {offered(context)}")
        try:
            if not await self._run_commands():
                return
        except (Disconnected, trio.BrokenResourceError, trio.ClosedResourceError, trio.Cancelled):
            raise
        except BaseException as error:
            if not is_internal_error(error):
                raise
            # The error ends this connection; the others continue.
            LOG.exception(
                "connection ended by an internal error",
                extra={
                    **context.session.log_fields(),
                    "command": type(self._event).__name__.upper(),
                },
            )
            self.ending = INTERNAL_ERROR
            if out.discard_unfinished():
                out.condition("BYE", INTERNAL_ERROR, "SERVERBUG")
        await transport.write(out.take())

    async def _run_commands(self) -> bool:
        """Run commands until the session is over; return False if the client closed first."""
        suspended = self._work()
        while True:
            if suspended is not None:
                await suspended
                suspended = self._work()
            elif self._is_over():
                return True
            else:
                try:
                    if not await self.transport.serve(self._take):
                        return False
                except BaseException:
                    await self._abandon()
                    raise
                suspended, self._suspended = self._suspended, None

    async def _abandon(self) -> None:
        """End a command that was suspended when the connection failed."""
        suspended, self._suspended = self._suspended, None
        if suspended is not None:
            with contextlib.suppress(Disconnected):
                await suspended.abandon(Disconnected())

    def _take(self, data: bytes) -> bool:
        """Run the commands in received bytes; return False if the task has to continue."""
        if not self.commands and is_proxy_header(data):
            self.context.out.condition("BYE", NOT_SUPPORTED)
            self.context.session.end()
            self.has_proxy_header = True
            return False
        self.context.reader.feed(data)
        self._suspended = self._work()
        return self._suspended is None and not self._is_over()

    def _is_over(self) -> bool:
        return self.context.session.over or self.ending is not None

    def _work(self) -> Suspended[None] | None:
        """Run what has been received up to the first wait, and send the responses.

        One command runs in any case, the others while the turn lasts.
        """
        context, transport = self.context, self.transport
        reader, out, session = context.reader, context.out, context.session
        turns = context.services.turns
        while True:
            if session.over:
                return None  # `converse` sends the last responses
            if self.ending is not None:
                out.condition("BYE", self.ending, self._ending_code)
                return None
            event = reader.next()
            if event is None:
                self._event = None
                # All commands received so far are answered by one send.
                if len(out):
                    transport.write_nowait(out.take())
                    if transport.waiting:
                        return start(transport.drained())
                if session.interest is not None and not self._rest():
                    continue
                return None
            self._event = event
            self.commands += 1
            if self._turn != turns.number:
                self._turn = turns.number
            elif turns.is_over():
                return start(self._run_in_next_turn(event))
            if session.interest is not None and context.leave_rest():
                return start(self._run_after_update(event))
            suspended = run(context, event)
            if suspended is not None:
                return suspended
            if len(out) >= SEND_BYTES:
                suspended = start(transport.write(out.take()))
                if suspended is not None:
                    return suspended

    def _rest(self) -> bool:
        """Let updates be pushed until the next command; return False if the session ends."""
        try:
            self.context.rest()
        except Hangup as reason:
            self.ending, self._ending_code = reason.text, reason.code
            return False
        return True

    async def _run_after_update(self, event: Event) -> None:
        """Complete the response that was begun between two commands, then run the event."""
        await self.context.complete_update()
        suspended = run(self.context, event)
        if suspended is not None:
            await suspended

    async def _run_in_next_turn(self, event: Event) -> None:
        """Send the responses so far, let other tasks run, then run the event."""
        context = self.context
        if context.leave_rest():
            await context.complete_update()
        await context.flush()
        turns = context.services.turns
        await turns.next()
        self._turn = turns.number
        suspended = run(context, event)
        if suspended is not None:
            await suspended


async def serve_connection(
    transport: Transport,
    services: Services,
    connections: Connections,
    *,
    plain_allowed: bool,
    tls_first: bool = False,
) -> None:
    """Serve one client to its end. Raises nothing but `trio.Cancelled`.

    Args:
        transport: is closed at the end.
        services: shared by all connections.
        connections: registers the connection as long as it lasts.
        plain_allowed: True if the client may send a password without TLS.
        tls_first: True for a TLS handshake before the greeting (RFC 8314 section 3).
    """
    session: Session[AccountStore] = Session(
        peer=transport.peer, tls=tls_first, plain_allowed=plain_allowed
    )
    connection = Connection(transport, Context(transport, services, session))
    connections.enter(connection)
    began = trio.current_time()
    reason = ""
    try:
        if tls_first:
            await transport.start_tls()
        await connection.converse()
        if connection.has_proxy_header:
            connections.log_proxy_header(transport.peer)
        await transport.finish()
    except (Disconnected, trio.BrokenResourceError, trio.ClosedResourceError) as error:
        reason = transport.error or str(error)
        if isinstance(error, ProxyHeaderError):
            connections.log_proxy_header(transport.peer)
    finally:
        connections.leave(connection)
        services.watchers.leave(connection.context)
        transport.close()
        _log_end(connection, reason, trio.current_time() - began)


def _log_end(connection: Connection, error: str, seconds: float) -> None:
    """Log the end of a session; of a client that never logged in, at debug level."""
    session, transport = connection.context.session, connection.transport
    if connection.ending is not None:
        reason = connection.ending
    elif session.over:
        reason = "ended by the server" if session.aborted else "LOGOUT"
    else:
        reason = error or "client closed the connection"
    LOG.log(
        logging.INFO if connection.signed_in else logging.DEBUG,
        "logout" if connection.signed_in else "connection closed",
        extra={
            **session.log_fields(),
            "reason": reason,
            "commands": connection.commands,
            "bytes_in": transport.bytes_in,
            "bytes_out": transport.bytes_out,
            "seconds": round(seconds, 3),
        },
    )
