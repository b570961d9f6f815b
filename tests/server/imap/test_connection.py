"""A connection that fails while one of its commands waits."""

import pytest
import trio

from imapvm.commands.context import Context
from imapvm.commands.outcome import Disconnected
from imapvm.commands.services import Services
from imapvm.model.stepping import start, suspend
from imapvm.server.imap import connection as module
from imapvm.server.imap.connection import Connection
from imapvm.session.session import Session


class FailingTransport:
    """Transport that passes one command to the connection, and then fails."""

    peer = "192.0.2.1"
    waiting = 0
    can_start_tls = False
    is_compressed = False

    def write_nowait(self, data: bytes) -> None:
        pass

    async def serve(self, take) -> bool:
        assert not take(b"a NOOP\r\n")
        raise trio.BrokenResourceError


async def test_a_suspended_command_is_ended_when_the_connection_fails(monkeypatch):
    ended = []

    async def command():
        try:
            await suspend()
        finally:
            await suspend()
            await trio.lowlevel.checkpoint()
            ended.append(True)

    monkeypatch.setattr(module, "run", lambda _context, _event: start(command()))
    transport = FailingTransport()
    services = Services(pool=None, authenticator=None, clock=lambda: 0.0)
    session = Session(peer="192.0.2.1", tls=True, plain_allowed=False)
    connection = Connection(transport, Context(transport, services, session))
    with pytest.raises((trio.BrokenResourceError, Disconnected)):
        await connection.converse()
    assert ended == [True]
