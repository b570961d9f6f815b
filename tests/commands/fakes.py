"""Connection without a socket, and a store that fails."""

from contextlib import contextmanager, nullcontext

import trio

from imapvm.auth.authenticator import LoginFailedError
from imapvm.commands.context import Context
from imapvm.commands.dispatch import run
from imapvm.commands.services import Services
from imapvm.model.stepping import suspend
from imapvm.session.session import Session


class FakeChannel:
    """Accepts all output, unless `full`; input is prepared in `incoming`."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.incoming: list[bytes] = []
        self.full = False
        self.waiting = 0
        self.can_start_tls = False
        self.is_compressed = False
        self.writes = 0

    async def read(self) -> bytes:
        await suspend()
        await trio.lowlevel.checkpoint()
        return self.incoming.pop(0) if self.incoming else b""

    def write_nowait(self, data: bytes) -> None:
        self.writes += 1
        if self.full:
            self.waiting += len(data)
        else:
            self.sent += data

    async def write(self, data: bytes) -> None:
        await suspend()
        await trio.lowlevel.checkpoint()
        self.write_nowait(data)

    async def start_tls(self) -> None:
        raise trio.BrokenResourceError

    def start_compression(self) -> None:
        self.is_compressed = True

    def stop_compression(self, last: bytes) -> None:
        self.is_compressed = False
        self.write_nowait(last)

    tls_version = "TLSv1.3"
    while_connected = staticmethod(nullcontext)


class FailingStore:
    """Store that raises an error when it is read."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    @contextmanager
    def reading(self):
        raise self.error
        yield


class NoAccounts:
    """Authenticator without accounts."""

    async def login(self, name: str, password: bytes, *, peer: str, while_connected) -> None:
        await suspend()
        await trio.lowlevel.checkpoint()
        raise LoginFailedError("unknown user")


def connection(*, store=None, clock: float = 0.0) -> Context:
    """Return a connection in the not authenticated state, or authenticated with a store."""
    services = Services(pool=None, authenticator=NoAccounts(), clock=lambda: clock)
    session = Session(peer="192.0.2.1", tls=True, plain_allowed=False)
    ctx = Context(FakeChannel(), services, session)
    if store is not None:
        ctx.sign_in(store)
    return ctx


async def send(ctx: Context, data: bytes) -> list[str]:
    """Send bytes to a connection, run the commands in them, and return the response lines."""
    return (await exchange(ctx, data)).decode().splitlines()


async def exchange(ctx: Context, data: bytes) -> bytes:
    """Run commands as a connection does, and return all bytes that are sent."""
    ctx.reader.feed(data)
    while not ctx.session.over and (event := ctx.reader.next()) is not None:
        suspended = run(ctx, event)
        if suspended is not None:
            await suspended
    sent = bytes(ctx.channel.sent) + ctx.out.take()
    ctx.channel.sent.clear()
    return sent
