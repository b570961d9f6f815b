"""How many may come, and who has been silent too long. Real sockets, no filepool."""

import contextlib
import socket
from types import SimpleNamespace

import pytest
import trio
from tests.server.whole import line, until
from trio.testing import wait_all_tasks_blocked

from imapvm.model.limits import CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX, OUTPUT_WAITING_MAX
from imapvm.server.imap.connections import (
    AUTOLOGOUT_SECONDS,
    ENDED_PER_SECOND,
    LOGIN_SECONDS,
    STALL_SECONDS,
    SWEEP_SECONDS,
    Connections,
    is_loopback,
    network_of,
)


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
        self.context = SimpleNamespace(still_here=lambda: None)

    def end(self, reason: str) -> None:
        self.ended.append(reason)


# --- how many -----------------------------------------------------------------------------------


@pytest.mark.at_limit("CONNECTIONS_PER_PEER_MAX")
def test_one_address_may_have_as_many_as_the_bound_says():
    connections = Connections()
    for _ in range(CONNECTIONS_PER_PEER_MAX - 1):
        connections.enter(FakeConnection())
    assert connections.refusal("192.0.2.1") is None


@pytest.mark.past_limit("CONNECTIONS_PER_PEER_MAX")
def test_one_more_from_an_address_is_refused_and_others_are_not():
    connections = Connections()
    everybody = [FakeConnection() for _ in range(CONNECTIONS_PER_PEER_MAX)]
    for connection in everybody:
        connections.enter(connection)
    assert connections.refusal("192.0.2.1") == "too many connections from your address"
    assert connections.refusal("192.0.2.2") is None
    connections.leave(everybody.pop())
    assert connections.refusal("192.0.2.1") is None


@pytest.mark.at_limit("CONNECTIONS_MAX")
@pytest.mark.past_limit("CONNECTIONS_MAX")
def test_all_together_may_be_as_many_as_the_bound_says_and_one_more_is_refused():
    connections = Connections()
    for _ in range(CONNECTIONS_MAX - 1):
        connections.enter(FakeConnection("127.0.0.1"))
    assert connections.refusal("192.0.2.1") is None
    connections.enter(FakeConnection("127.0.0.1"))
    assert connections.refusal("192.0.2.1") == "too many connections; try again later"


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.10", "::1", "local"])
def test_this_machine_may_make_any_number(peer):
    connections = Connections(limit_per_peer=1)
    for _ in range(10):
        assert connections.refusal(peer) is None
        connections.enter(FakeConnection(peer))


def test_nothing_is_left_of_who_has_gone():
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


# --- silence ------------------------------------------------------------------------------------


@pytest.fixture
def connections(nursery, autojump_clock) -> Connections:
    connections = Connections()
    nursery.start_soon(connections.sweep_forever)
    return connections


async def test_a_stranger_who_says_nothing_is_let_go_after_a_minute(connections, autojump_clock):
    stranger = FakeConnection()
    connections.enter(stranger)
    await trio.sleep(LOGIN_SECONDS)
    assert stranger.ended == []
    await trio.sleep(2 * SWEEP_SECONDS)
    assert "autologout" in stranger.ended[0]


async def test_octets_alone_keep_no_stranger_and_commands_do(connections, autojump_clock):
    trickling, speaking = FakeConnection(), FakeConnection()
    connections.enter(trickling)
    connections.enter(speaking)
    for _ in range(20):
        await trio.sleep(LOGIN_SECONDS / 10)
        trickling.transport.bytes_in += 1
        speaking.commands += 1
    assert trickling.ended
    assert not speaking.ended


async def test_who_has_signed_in_has_thirty_minutes_and_is_then_let_go(connections, autojump_clock):
    client = FakeConnection()
    client.signed_in = True
    connections.enter(client)
    for _ in range(5):
        await trio.sleep(AUTOLOGOUT_SECONDS - 1)
        assert client.ended == []
        client.transport.bytes_in += 1
    await trio.sleep(AUTOLOGOUT_SECONDS + 2 * SWEEP_SECONDS)
    assert client.ended


async def test_thirty_minutes_are_never_less_than_thirty_minutes(connections, autojump_clock):
    """RFC 9051 section 5.4: whenever the last octet came between two sweeps."""
    client = FakeConnection()
    client.signed_in = True
    connections.enter(client)
    for offset in (0.1, 4.0, 9.9):
        await trio.sleep(SWEEP_SECONDS + offset)
        client.transport.bytes_in += 1
        await trio.sleep(AUTOLOGOUT_SECONDS - 0.01)
        assert client.ended == []
        client.transport.bytes_in += 1


async def test_a_command_that_runs_for_an_hour_is_no_silence(connections, autojump_clock):
    client = FakeConnection()
    client.signed_in = True
    connections.enter(client)
    client.transport.is_reading = False
    await trio.sleep(3600)
    client.transport.is_reading = True
    await trio.sleep(AUTOLOGOUT_SECONDS - 1)
    assert client.ended == []


async def test_a_client_that_reads_slowly_may_read_for_an_hour(connections, autojump_clock):
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


async def test_a_sweep_of_very_many_lets_others_run(autojump_clock):
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


# --- real connections, without a filepool --------------------------------------------------------


async def test_the_stranger_hears_why_it_is_let_go(connections, autojump_clock, connect):
    client = await connect(connections)
    assert (await line(client)).startswith(b"* OK [CAPABILITY IMAP4rev1")
    assert (await line(client)).startswith(b"* BYE autologout")
    assert await line(client) == b""
    assert len(connections) == 0


async def test_everybody_hears_bye_when_the_server_ends(connect, reactor):
    connections = Connections()
    clients = [await connect(connections) for _ in range(20)]
    for client in clients:
        await line(client)
    with trio.fail_after(5):
        await connections.end_all("server is shutting down")
    for client in clients:
        assert await line(client) == b"* BYE server is shutting down\r\n"
        assert await line(client) == b""
    assert len(connections) == len(reactor) == 0


async def test_clients_of_an_old_worker_hear_bye_one_after_the_other(connections, autojump_clock):
    everybody = [FakeConnection() for _ in range(1000)]
    for connection in everybody:
        connections.enter(connection)
        connection.end = lambda reason, at=connection.ended: at.append(
            (trio.current_time(), reason)
        )
    began = trio.current_time()
    await connections.end_gradually("come again", 120)
    moments = sorted(at - began for ((at, reason),) in (each.ended for each in everybody))
    assert 0.7 * 1000 / ENDED_PER_SECOND < moments[-1] < 1.3 * 1000 / ENDED_PER_SECOND
    order = [at for ((at, _),) in (each.ended for each in everybody)]
    assert order != sorted(order)  # not in the order in which they came
    tenth = int(moments[-1] * 10) + 1
    counts = [sum(at // 0.1 == each for at in moments) for each in range(tenth)]
    assert max(counts) < 5 * ENDED_PER_SECOND / 10


async def test_many_clients_hear_bye_faster_so_that_the_last_one_is_in_time(
    connections, autojump_clock
):
    everybody = [FakeConnection() for _ in range(2000)]
    for connection in everybody:
        connections.enter(connection)
    connections.leave(everybody.pop())  # who has gone needs no farewell
    began = trio.current_time()
    await connections.end_gradually("come again", 2)
    assert trio.current_time() - began < 3
    assert all(connection.ended == ["come again"] for connection in everybody)
    await connections.end_gradually("come again", 0)
    assert all(len(connection.ended) == 2 for connection in everybody)


async def test_who_does_not_shake_hands_is_let_go(connections, tls_server, autojump_clock, connect):
    client = await connect(connections, tls=tls_server, tls_first=True)
    began = trio.current_time()
    assert await line(client) == b""
    assert trio.current_time() - began <= LOGIN_SECONDS
    assert len(connections) == 0


async def test_a_client_that_does_not_read_its_answers_stops_its_own_commands_only(
    connect, nursery
):
    connections = Connections()
    deaf = await connect(connections)
    await line(deaf)
    (deaf_connection,) = connections
    other = await connect(connections)
    await line(other)
    deaf_connection.transport._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)

    async def flood() -> None:
        with contextlib.suppress(trio.ClosedResourceError):
            while True:
                await deaf.send_all(b"a CAPABILITY\r\n" * 1000)

    nursery.start_soon(flood)
    await until(lambda: deaf_connection.transport.waiting)
    before = deaf_connection.commands
    for _ in range(10):
        await other.send_all(b"b NOOP\r\n")
        assert (await line(other)).startswith(b"b OK")
        await wait_all_tasks_blocked()
    assert deaf_connection.commands == before
    assert deaf_connection.transport.waiting < OUTPUT_WAITING_MAX
    await deaf.aclose()


async def test_a_mistake_of_ours_ends_one_connection_and_is_logged(monkeypatch, caplog, connect):
    connections = Connections()
    other = await connect(connections)
    client = await connect(connections)
    await line(other)
    await line(client)
    PanicException = type("PanicException", (BaseException,), {})  # noqa: N806
    for fault in (PanicException("index out of bounds"), ZeroDivisionError()):

        def fail(context, event, fault=fault):
            raise fault

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


async def test_interrupts_are_not_taken_for_mistakes(monkeypatch, connect, nursery):
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
