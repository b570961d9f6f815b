"""What a handler gets: one connection, without its socket."""

from typing import TYPE_CHECKING, Final, Protocol

import trio

from imapvm._core import CommandReader, Limits, Malformed, ResponseWriter
from imapvm.commands.outcome import Disconnected, Done, Hangup, Refusal
from imapvm.commands.updates import announce
from imapvm.model.limits import LINE_BEFORE_LOGIN_MAX, LITERAL_BEFORE_LOGIN_MAX, MESSAGE_MAX

if TYPE_CHECKING:
    from imapvm.commands.services import Services
    from imapvm.filepool.store import AccountStore
    from imapvm.session.events import Event
    from imapvm.session.session import Session

__all__ = ["AFTER_LOGIN", "BEFORE_LOGIN", "SEND_OCTETS", "Channel", "Context"]
__all__ += ["Disconnected", "Done", "Hangup", "Refusal"]

BEFORE_LOGIN: Final = Limits(
    line=LINE_BEFORE_LOGIN_MAX,
    literal=LITERAL_BEFORE_LOGIN_MAX,
    command=LINE_BEFORE_LOGIN_MAX + 2 * LITERAL_BEFORE_LOGIN_MAX,
    append=LITERAL_BEFORE_LOGIN_MAX,
    items=16,
    nesting=1,
)
"""A stranger gets room for a name and a password, and for nothing else."""
AFTER_LOGIN: Final = Limits(append=MESSAGE_MAX)
SEND_OCTETS: Final = 64 * 1024
"""Answers of pipelined commands that are gathered before they are sent."""


class Channel(Protocol):
    """What commands see of the transport."""

    async def read(self) -> bytes:
        """The next octets, at least one; b"" when the client will send no more."""

    def write_nowait(self, data: bytes) -> None:
        """Send what fits; the rest waits and goes by itself."""

    async def write(self, data: bytes) -> None:
        """Send, and return when nothing waits any more."""

    @property
    def waiting(self) -> int:
        """Octets that were written and that the client has not taken."""

    @property
    def can_start_tls(self) -> bool:
        """Whether there is a certificate, and no TLS yet."""

    async def start_tls(self) -> None: ...


class Context:
    """One connection as its commands see it.

    What is written to `out` waits there until `flush`, or until the connection's loop has nothing
    more to carry out.
    """

    __slots__ = ("_idle", "channel", "out", "reader", "services", "session")

    def __init__(
        self, channel: Channel, services: "Services", session: "Session[AccountStore]"
    ) -> None:
        self.channel = channel
        self.services = services
        self.session = session
        self.reader = CommandReader(BEFORE_LOGIN)
        self.out = ResponseWriter()
        self._idle: trio.CancelScope | None = None

    # --- for handlers ------------------------------------------------------------------------

    async def flush(self) -> None:
        """Send what is in `out`; wait while the client does not read. Call it every 64 KiB.

        Raises:
            Disconnected: the client is gone.
        """
        if len(self.out):
            try:
                await self.channel.write(self.out.take())
            except (trio.BrokenResourceError, trio.ClosedResourceError) as gone:
                raise Disconnected from gone

    async def breathe(self) -> None:
        """Let other connections have their turn: between the batches of long work."""
        await trio.lowlevel.checkpoint()

    async def next_event(self) -> "Event":
        """What the client says next, inside a command; what waits in `out` is sent before.

        Raises:
            Disconnected: the client is gone.
            Hangup: what it sent cannot be followed.
        """
        while (event := self.reader.next()) is None:
            await self.flush()
            await self.receive()
        if isinstance(event, Malformed) and event.fatal:
            raise Hangup(event.message)
        return event

    async def receive(self) -> None:
        """Wait for octets, and give them to the reader.

        Raises:
            Disconnected: the client is gone.
        """
        try:
            data = await self.channel.read()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as gone:
            raise Disconnected from gone
        if not data:
            raise Disconnected
        self.reader.feed(data)

    async def start_tls(self) -> None:
        """Send what waits, then shake hands; nothing read before counts (RFC 9051 s. 6.2.1).

        Raises:
            Disconnected: no agreement.
        """
        await self.flush()
        self.reader.clear()
        try:
            await self.channel.start_tls()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as failed:
            raise Disconnected from failed
        self.session.tls = True

    def signed_in(self, store: "AccountStore") -> None:
        """Go to the authenticated state; the reader's bounds widen."""
        self.session.store = store
        self.session.faults = 0
        self.reader.limits = AFTER_LOGIN

    # --- IDLE ----------------------------------------------------------------------------------

    async def idle(self) -> "Event":
        """Wait for the end of IDLE; meanwhile `push` tells what happens.

        Raises:
            Hangup: the selected mailbox was deleted.
            Disconnected: the client is gone.
        """
        idlers = self.services.idlers
        with trio.CancelScope() as self._idle:
            idlers.enter(self)
            try:
                # What happened before `enter` was announced by nobody.
                self.push()
                return await self.next_event()
            finally:
                idlers.leave(self)
                self._idle = None
        raise Hangup("the selected mailbox was deleted")

    def push(self) -> None:
        """Tell an idling client what has happened; does nothing outside IDLE.

        Called on Trio's thread after each commit that touches the mailbox, and again each second
        where `channel.waiting` was not zero: a client that does not read is told nothing more
        until it has read.
        """
        if self._idle is None:
            return
        more = True
        while more and not self.channel.waiting:
            try:
                more = announce(self, hold_expunges=False, uid=False)
            except Hangup:
                self._idle.cancel()
                return
            if len(self.out):
                self.channel.write_nowait(self.out.take())

    def still_here(self) -> None:
        """Keep address translators on the way from forgetting an idle connection.

        Called every few minutes; says something only inside IDLE (RFC 9051 section 6.3.13 lets
        the server).
        """
        if self._idle is not None and not self.channel.waiting:
            self.out.condition("OK", "still here")
            self.channel.write_nowait(self.out.take())
