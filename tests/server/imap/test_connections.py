"""Limits on connections, timeouts, and shutdown. Real sockets, no filepool."""

import contextlib
import socket
from types import SimpleNamespace

import pytest
import trio
from tests.server.whole import line, until
from trio.testing import wait_all_tasks_blocked

from imapvm.model.limits import CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX, OUTPUT_WAITING_MAX
from imapvm.model.peers import is_loopback, network_of
from imapvm.server.imap.connections import (
    AUTOLOGOUT_SECONDS,
    ENDED_PER_SECOND,
    LOGIN_SECONDS,
    STALL_SECONDS,
    SWEEP_SECONDS,
    Connections,
)
from imapvm.session.session import Session


class FakeTransport:
    waiting = 0
    is_reading = True
    bytes_in = bytes_out = 0

    def __init__(self, peer: str) -> None:
        self.peer = peer


class FakeConnection:
    """Enough of a `Connection` to be counted and swept."""

    signed_in = False
    commands = 0

    def __init__(self, peer: str = "192.0.2.1") -> None:
        self.transport = FakeTransport(peer)
        self.ended: list[str] = []
        session = Session(peer=peer, tls=True, plain_allowed=False)
        self.context = SimpleNamespace(still_here=lambda: None, session=session)

    def end(self, reason: str, code: str | None = None) -> None:
        self.ended.append(reason)


# --- limits -------------------------------------------------------------------------------------


@pytest.mark.at_limit("CONNECTIONS_PER_PEER_MAX")
def test_one_address_may_have_connections_up_to_the_limit():
    connections = Connections()
    for _ in range(CONNECTIONS_PER_PEER_MAX - 1):
        connections.enter(FakeConnection())
    assert connections.refusal("192.0.2.1") is None


@pytest.mark.past_limit("CONNECTIONS_PER_PEER_MAX")
def test_connection_past_the_limit_of_an_address_is_refused_and_others_are_not():
    connections = Connections()
    all_connections = [FakeConnection() for _ in range(CONNECTIONS_PER_PEER_MAX)]
    for connection in all_connections:
        connections.enter(connection)
    assert connections.refusal("192.0.2.1") == "too many connections from your address"
    assert connections.refusal("192.0.2.2") is None
    connections.leave(all_connections.pop())
    assert connections.refusal("192.0.2.1") is None


@pytest.mark.at_limit("CONNECTIONS_MAX")
@pytest.mark.past_limit("CONNECTIONS_MAX")
def test_connections_of_a_process_up_to_the_limit_are_accepted_and_one_more_is_refused():
    class Counted:
        transport = FakeTransport("127.0.0.1")

    connections = Connections()
    for _ in range(CONNECTIONS_MAX - 1):
        connections.enter(Counted())
    assert connections.refusal("192.0.2.1") is None
    connections.enter(Counted())
    assert connections.refusal("192.0.2.1") == "too many connections; try again later"


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.10", "::1", "local"])
def test_loopback_has_no_limit_per_address(peer):
    connections = Connections(limit_per_peer=1)
    for _ in range(10):
        assert connections.refusal(peer) is None
        connections.enter(FakeConnection(peer))


def test_counts_of_closed_connections_are_removed():
    connections = Connections()
    for number in range(100):
        connection = FakeConnection(f"2001:db8::{number}")
        connections.enter(connection)
        connections.leave(connection)
    assert len(connections) == 0
    assert not connections._peers


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
    ],
)
def test_ipv6_is_counted_by_network(peer, network):
    assert network_of(peer) == network


def test_loopback():
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("local")
    assert is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("192.0.2.1")
    assert not is_loopback("fe80::1%eth0")


# --- timeouts -----------------------------------------------------------------------------------


@pytest.fixture
def connections(nursery, autojump_clock) -> Connections:
    connections = Connections()
    nursery.start_soon(connections.sweep_forever)
    return connections


async def test_unauthenticated_connection_ends_after_a_minute_without_a_command(
    connections, autojump_clock
):
    connection = FakeConnection()
    connections.enter(connection)
    await trio.sleep(LOGIN_SECONDS)
    assert connection.ended == []
    await trio.sleep(2 * SWEEP_SECONDS)
    assert "autologout" in connection.ended[0]


async def test_commands_reset_the_login_timeout_and_bytes_do_not(connections, autojump_clock):
    sending, commanding = FakeConnection(), FakeConnection()
    connections.enter(sending)
    connections.enter(commanding)
    for _ in range(20):
        await trio.sleep(LOGIN_SECONDS / 10)
        sending.transport.bytes_in += 1
        commanding.commands += 1
    assert sending.ended
    assert not commanding.ended


async def test_authenticated_connection_ends_after_thirty_idle_minutes(connections, autojump_clock):
    client = FakeConnection()
    client.signed_in = True
    connections.enter(client)
    for _ in range(5):
        await trio.sleep(AUTOLOGOUT_SECONDS - 1)
        assert client.ended == []
        client.transport.bytes_in += 1
    await trio.sleep(AUTOLOGOUT_SECONDS + 2 * SWEEP_SECONDS)
    assert client.ended


async def test_autologout_is_never_early(connections, autojump_clock):
    """RFC 9051 section 5.4: at any time of the last byte between two sweeps."""
    client = FakeConnection()
    client.signed_in = True
    connections.enter(client)
    for offset in (0.1, 4.0, 9.9):
        await trio.sleep(SWEEP_SECONDS + offset)
        client.transport.bytes_in += 1
        await trio.sleep(AUTOLOGOUT_SECONDS - 0.01)
        assert client.ended == []
        client.transport.bytes_in += 1


async def test_running_command_does_not_count_as_idle(connections, autojump_clock):
    client = FakeConnection()
    client.signed_in = True
    connections.enter(client)
    client.transport.is_reading = False
    await trio.sleep(3600)
    client.transport.is_reading = True
    await trio.sleep(AUTOLOGOUT_SECONDS - 1)
    assert client.ended == []


async def test_slow_reader_is_not_closed_while_output_progresses(connections, autojump_clock):
    client = FakeConnection()
    client.signed_in = True
    client.transport.is_reading = False
    client.transport.waiting = 1000
    client.transport.close = lambda: client.ended.append("closed")
    connections.enter(client)
    for _ in range(60):
        client.transport.bytes_out += 10
        await trio.sleep(60)
    assert client.ended == []
    await trio.sleep(STALL_SECONDS - 61)
    assert client.ended == []
    await trio.sleep(3 * SWEEP_SECONDS)
    assert client.ended[0] == "closed"


async def test_sweep_of_many_connections_yields_to_other_tasks(autojump_clock):
    connections = Connections()
    for number in range(2000):
        connections.enter(FakeConnection(f"10.0.{number // 250}.{number % 250}"))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        await connections.sweep()
        nursery.cancel_scope.cancel()
    assert turns >= 2


# --- real connections, without a filepool -------------------------------------------------------


async def test_login_timeout_sends_bye_with_the_reason(connections, autojump_clock, connect):
    client = await connect(connections)
    assert (await line(client)).startswith(b"* OK [CAPABILITY IMAP4rev1")
    assert (await line(client)).startswith(b"* BYE autologout")
    assert await line(client) == b""
    assert len(connections) == 0


async def test_all_clients_are_sent_bye_at_shutdown(connect, reactor):
    connections = Connections()
    clients = [await connect(connections) for _ in range(20)]
    for client in clients:
        await line(client)
    with trio.fail_after(5):
        await connections.end_all("server is shutting down")
    for client in clients:
        assert await line(client) == b"* BYE [UNAVAILABLE] server is shutting down\r\n"
        assert await line(client) == b""
    assert len(connections) == len(reactor) == 0


async def test_clients_of_an_old_worker_are_ended_gradually_in_random_order(
    connections, autojump_clock
):
    all_connections = [FakeConnection() for _ in range(1000)]
    for connection in all_connections:
        connections.enter(connection)
        connection.end = lambda reason, code, at=connection.ended: at.append(
            (trio.current_time(), (reason, code))
        )
    start = trio.current_time()
    await connections.end_gradually("reconnect", 120)
    times = sorted(at - start for ((at, reason),) in (each.ended for each in all_connections))
    assert 0.7 * 1000 / ENDED_PER_SECOND < times[-1] < 1.3 * 1000 / ENDED_PER_SECOND
    order = [at for ((at, _),) in (each.ended for each in all_connections)]
    assert order != sorted(order)  # not in the order of arrival
    tenth = int(times[-1] * 10) + 1
    counts = [sum(at // 0.1 == each for at in times) for each in range(tenth)]
    assert max(counts) < 5 * ENDED_PER_SECOND / 10


async def test_many_clients_are_ended_faster_to_finish_in_time(connections, autojump_clock):
    all_connections = [FakeConnection() for _ in range(2000)]
    for connection in all_connections:
        connections.enter(connection)
    connections.leave(all_connections.pop())  # closed: must not be ended
    start = trio.current_time()
    await connections.end_gradually("reconnect", 2)
    assert trio.current_time() - start < 3
    assert all(connection.ended == ["reconnect"] for connection in all_connections)
    await connections.end_gradually("reconnect", 0)
    assert all(len(connection.ended) == 2 for connection in all_connections)


async def test_client_without_a_handshake_is_closed(
    connections, tls_server, autojump_clock, connect
):
    client = await connect(connections, tls=tls_server, tls_first=True)
    start = trio.current_time()
    assert await line(client) == b""
    assert trio.current_time() - start <= LOGIN_SECONDS
    assert len(connections) == 0


async def test_client_that_does_not_read_stops_its_own_commands_only(connect, nursery):
    connections = Connections()
    slow = await connect(connections)
    await line(slow)
    (slow_connection,) = connections
    other = await connect(connections)
    await line(other)
    slow_connection.transport._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)

    async def flood() -> None:
        with contextlib.suppress(trio.ClosedResourceError):
            while True:
                await slow.send_all(b"a CAPABILITY\r\n" * 1000)

    nursery.start_soon(flood)
    await until(lambda: slow_connection.transport.waiting)
    await wait_all_tasks_blocked(0.01)  # the turn may end before the queue is full
    before = slow_connection.commands
    for _ in range(10):
        await other.send_all(b"b NOOP\r\n")
        assert (await line(other)).startswith(b"b OK")
        await wait_all_tasks_blocked()
    assert slow_connection.commands == before
    assert slow_connection.transport.waiting < OUTPUT_WAITING_MAX
    await slow.aclose()


async def test_internal_error_ends_one_connection_and_is_logged(monkeypatch, caplog, connect):
    connections = Connections()
    other = await connect(connections)
    client = await connect(connections)
    await line(other)
    await line(client)
    PanicException = type("PanicException", (BaseException,), {})  # noqa: N806
    for error in (PanicException("index out of bounds"), ZeroDivisionError()):

        def fail(context, event, error=error):
            raise error

        client = await connect(connections)
        await line(client)
        with monkeypatch.context() as patch:
            patch.setattr("imapvm.server.imap.connection.run", fail)
            await client.send_all(b"a NOOP\r\n")
            assert (await line(client)).startswith(b"* BYE [SERVERBUG]")
            assert await line(client) == b""
        assert caplog.records[-1].command == "NOOP"
        caplog.clear()
    await other.send_all(b"b NOOP\r\n")
    assert (await line(other)).startswith(b"b OK")


async def test_interrupt_is_no_internal_error(monkeypatch, connect, nursery):
    def interrupt(context, event):
        raise KeyboardInterrupt

    async def interrupted() -> None:
        async with trio.open_nursery() as nursery:
            client = await connect(Connections(), within=nursery)
            await client.send_all(b"a NOOP\r\n")

    monkeypatch.setattr("imapvm.server.imap.connection.run", interrupt)
    with pytest.raises(BaseExceptionGroup) as raised:
        await interrupted()
    assert raised.group_contains(KeyboardInterrupt)
