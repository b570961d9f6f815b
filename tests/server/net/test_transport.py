"""Transport over TCP, AF_UNIX and TLS."""

import contextlib
import hashlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable

import pytest
import trio
from tests.server.conftest import tcp_pair
from trio.testing import wait_all_tasks_blocked

from imapvm.model.limits import LINGER_BYTES_MAX, OUTPUT_WAITING_MAX, RECEIVE_MAX
from imapvm.model.stepping import Suspended, start
from imapvm.server.net.reactor import Reactor
from imapvm.server.net.tls import TlsServer
from imapvm.server.net.transport import (
    LINGER_SECONDS,
    READS_PER_TURN,
    Transport,
)
from imapvm.server.net.transport_state import TRANSITIONS, TransportState

MANY = 50 * 1024 * 1024
BLOCK = bytes(range(256)) * 256


async def exactly(count: int, receive: Callable[[int], Awaitable[bytes]]) -> bytes:
    """Receive so many bytes."""
    parts = []
    while count:
        data = await receive(count)
        assert data
        parts.append(data)
        count -= len(data)
    return b"".join(parts)


async def test_bytes_arrive_both_ways(connected):
    transport, client = connected
    await client.send_all(b"a1 NOOP\r\n")
    assert await exactly(9, transport.read) == b"a1 NOOP\r\n"
    await transport.write(b"a1 OK done\r\n")
    assert await exactly(12, client.receive_some) == b"a1 OK done\r\n"


async def test_waiting_reader_is_resumed_each_time(connected):
    transport, client = connected
    received: list[bytes] = []

    async def read() -> None:
        while len(received) < 3:
            received.append(await transport.read())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for word in (b"one", b"two", b"three"):
            await wait_all_tasks_blocked()
            assert transport.is_reading
            await client.send_all(word)
    assert received == [b"one", b"two", b"three"]
    assert not transport.is_reading


async def test_bytes_and_the_end_in_one_event_are_both_read(pair, reactor):
    ours, theirs = pair
    theirs.sendall(b"last bytes")
    theirs.close()
    transport = Transport(reactor, ours)
    with trio.fail_after(5):
        assert await transport.read() == b"last bytes"
        assert await transport.read() == b""
        assert await transport.read() == b""
    transport.close()


async def test_bytes_and_the_end_that_arrive_while_a_reader_waits_are_both_read(pair, reactor):
    ours, theirs = pair
    transport = Transport(reactor, ours)
    received: list[bytes] = []

    async def read() -> None:
        while data := await transport.read():
            received.append(data)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await wait_all_tasks_blocked()
            theirs.sendall(b"last bytes")
            theirs.close()
    assert received == [b"last bytes"]
    transport.close()


async def test_client_that_has_stopped_sending_still_receives(pair, reactor):
    ours, theirs = pair
    with theirs:
        transport = Transport(reactor, ours)
        theirs.sendall(b"a LOGOUT\r\n")
        theirs.shutdown(socket.SHUT_WR)
        await trio.testing.wait_all_tasks_blocked()
        assert await transport.read() == b"a LOGOUT\r\n"
        assert await transport.read() == b""
        await transport.write(b"* BYE\r\n")
        transport.close()
        assert theirs.recv(100) == b"* BYE\r\n"
        assert theirs.recv(100) == b""


async def test_reset_raises_in_reader_and_writer(reactor):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours)
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await transport.read()

        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
    with pytest.raises(trio.BrokenResourceError):
        await transport.write(b"x")
    transport.write_nowait(b"dropped")
    assert transport.waiting == 0
    transport.close()


async def test_reset_resumes_a_waiting_writer(reactor):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:

            async def write() -> None:
                with pytest.raises(trio.BrokenResourceError):
                    await transport.write(bytes(MANY))

            nursery.start_soon(write)
            await wait_all_tasks_blocked()
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
    assert transport.waiting == 0
    transport.close()


async def test_fifty_megabytes_pass_both_ways_at_once(connected):
    transport, client = connected
    sent, received = hashlib.sha256(), hashlib.sha256()
    blocks = MANY // len(BLOCK)

    async def client_sends() -> None:
        for number in range(blocks):
            block = number.to_bytes(4, "big") + BLOCK[4:]
            sent.update(block)
            await client.send_all(block)

    async def server_returns() -> None:
        left = MANY
        while left:
            data = await transport.read()
            left -= len(data)
            await transport.write(data)
            assert transport.waiting == 0

    async def client_receives() -> None:
        left = MANY
        while left:
            data = await client.receive_some(1 << 20)
            left -= len(data)
            received.update(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(client_sends)
        nursery.start_soon(server_returns)
        nursery.start_soon(client_receives)
    assert received.digest() == sent.digest()
    assert transport.bytes_in == transport.bytes_out == MANY


async def test_write_waits_for_a_client_that_does_not_read(connected):
    transport, client = connected
    done = trio.Event()

    async def write() -> None:
        await transport.write(bytes(MANY))
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await wait_all_tasks_blocked()
        assert not done.is_set()
        assert 0 < transport.waiting < MANY
        await exactly(MANY, client.receive_some)
        await done.wait()
    assert transport.waiting == 0


async def test_output_after_a_waiting_write_keeps_its_order(connected):
    transport, client = connected
    fill(transport)
    transport.write_nowait(b"* 1 EXISTS\r\n")
    assert transport.waiting > 12
    expected = transport.bytes_out + transport.waiting
    received = await exactly(expected, client.receive_some)
    assert received.endswith(b"z* 1 EXISTS\r\n")
    assert transport.waiting == 0


def fill(transport: Transport) -> None:
    """Write until output waits."""
    while not transport.waiting:
        transport.write_nowait(b"z" * 16_000)


@pytest.mark.at_limit("OUTPUT_WAITING_MAX")
async def test_output_is_queued_up_to_the_limit(connected):
    transport, _ = connected
    fill_up_to_the_limit(transport)
    transport.write_nowait(b"x")
    assert transport.waiting == OUTPUT_WAITING_MAX + 1
    with trio.move_on_after(0.01):
        await transport.read()


@pytest.mark.past_limit("OUTPUT_WAITING_MAX")
async def test_output_past_the_limit_fails_the_connection(connected):
    transport, _ = connected
    fill_up_to_the_limit(transport)
    transport.write_nowait(b"x")
    transport.write_nowait(b"one more")
    assert transport.waiting == 0
    with pytest.raises(trio.BrokenResourceError, match="does not read"):
        await transport.read()


def fill_up_to_the_limit(transport: Transport) -> None:
    fill(transport)
    while transport.waiting < OUTPUT_WAITING_MAX:
        transport.write_nowait(b"y" * min(4096, OUTPUT_WAITING_MAX - transport.waiting))
    assert transport.waiting == OUTPUT_WAITING_MAX


@pytest.mark.at_limit("RECEIVE_MAX")
async def test_one_read_returns_as_much_as_the_limit(reactor):
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        transport = Transport(reactor, ours)
        theirs.sendall(b"x" * RECEIVE_MAX)
        assert len(await transport.read()) == RECEIVE_MAX
        transport.close()


@pytest.mark.past_limit("RECEIVE_MAX")
async def test_one_read_returns_no_more_than_the_limit(reactor):
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        transport = Transport(reactor, ours)
        theirs.sendall(b"x" * (RECEIVE_MAX + 1))
        assert len(await transport.read()) == RECEIVE_MAX
        assert len(await transport.read()) == 1
        transport.close()


async def test_close_raises_in_reader_and_writer(connected):
    transport, _ = connected

    async def read() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await transport.read()

    async def write() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await transport.write(bytes(MANY))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            nursery.start_soon(write)
            await wait_all_tasks_blocked()
            transport.close()
    transport.close()
    with pytest.raises(trio.ClosedResourceError):
        await transport.read()
    with pytest.raises(trio.ClosedResourceError):
        await transport.write(b"x")
    transport.write_nowait(b"x")
    assert transport.waiting == 0


async def test_closed_transport_is_not_registered(reactor):
    for _ in range(100):
        ours, theirs = socket.socketpair()
        transport = Transport(reactor, ours)
        assert len(reactor) == 1
        transport.close()
        theirs.close()
    assert len(reactor) == 0


async def test_cancelled_read_loses_nothing(connected):
    transport, client = connected
    with trio.move_on_after(0.01) as scope:
        await transport.read()
    assert scope.cancelled_caught
    await client.send_all(b"still here")
    assert await exactly(10, transport.read) == b"still here"


async def test_cancelled_write_is_still_sent_whole(connected):
    transport, client = connected
    with trio.move_on_after(0.01) as scope:
        await transport.write(b"x" * MANY)
    assert scope.cancelled_caught
    assert transport.waiting
    assert await exactly(MANY, client.receive_some) == b"x" * MANY
    await transport.write(b"y")
    assert await exactly(1, client.receive_some) == b"y"


async def test_second_reader_or_writer_raises_busy(connected):
    transport, _ = connected
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.read)
        fill(transport)
        nursery.start_soon(transport.write, b"first")
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await transport.read()
        with pytest.raises(trio.BusyResourceError):
            await transport.write(b"x")
        nursery.cancel_scope.cancel()


async def test_connection_with_endless_input_yields_to_other_tasks(connected):
    transport, client = connected
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        await client.send_all(b"x" * 4096)
        nursery.start_soon(count_turns)
        await trio.sleep(0.01)
        before = turns
        for _ in range(4 * READS_PER_TURN):
            await transport.read(1)
        assert turns - before >= 3
        nursery.cancel_scope.cancel()


async def test_read_with_bytes_available_is_cancelled_within_its_turn(connected):
    transport, client = connected
    await client.send_all(b"x" * 4096)
    with trio.CancelScope() as scope:
        scope.cancel()
        for _ in range(READS_PER_TURN + 1):
            await transport.read(1)
    assert scope.cancelled_caught


async def test_finish_delivers_bye_to_a_client_that_is_still_sending(reactor):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours)
    with theirs:
        theirs.sendall(b"x" * 100_000)  # not read: closing would send RST
        assert await transport.read(10) == b"x" * 10
        async with trio.open_nursery() as nursery:
            await transport.write(b"* BYE too much\r\n")
            nursery.start_soon(transport.finish)
            await wait_all_tasks_blocked()
            assert theirs.recv(100) == b"* BYE too much\r\n"
            assert theirs.recv(100) == b""
            theirs.close()


async def test_finish_returns_when_the_client_closes(connected, autojump_clock):
    transport, client = connected
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.finish)
        await wait_all_tasks_blocked()
        await trio.aclose_forcefully(client)
    assert trio.current_time() - began < LINGER_SECONDS


async def test_finish_times_out_if_the_client_stays(connected, autojump_clock):
    transport, _client = connected
    began = trio.current_time()
    await transport.finish()
    assert trio.current_time() - began == pytest.approx(LINGER_SECONDS)
    with pytest.raises(trio.ClosedResourceError):
        await transport.read()


@pytest.mark.at_limit("LINGER_BYTES_MAX")
@pytest.mark.past_limit("LINGER_BYTES_MAX")
async def test_finish_stops_reading_at_the_limit(reactor):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours)
    client = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))

    async def flood() -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            while True:
                await client.send_all(BLOCK)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        await transport.finish()
    assert LINGER_BYTES_MAX <= transport.bytes_in <= LINGER_BYTES_MAX + len(BLOCK)
    await client.aclose()


async def test_many_connections_are_served_by_one_reactor(reactor: Reactor):
    count = 200

    async def echo(transport: Transport) -> None:
        while data := await transport.read():
            await transport.write(data)
        transport.close()

    async def talk(sock: socket.socket, number: int) -> None:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        for turn in range(5):
            message = f"{number} {turn}".encode()
            await stream.send_all(message)
            assert await exactly(len(message), stream.receive_some) == message
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        for number in range(count):
            ours, theirs = socket.socketpair()
            nursery.start_soon(echo, Transport(reactor, ours))
            nursery.start_soon(talk, theirs, number)
    assert len(reactor) == 0


# --- the state machine --------------------------------------------------------------------------


def test_transitions_have_no_cycle_but_compression_and_each_state_can_be_closed():
    reached = {TransportState.PLAIN}.union(*TRANSITIONS.values())
    assert reached == set(TransportState) == set(TRANSITIONS)
    order = list(TransportState)
    for state, following in TRANSITIONS.items():
        back = {
            TransportState.DEFLATE: {TransportState.PLAIN},
            TransportState.TLS_DEFLATE: {TransportState.TLS},
        }
        forth = following - back.get(state, set())
        assert all(order.index(state) < order.index(each) for each in forth)
        assert (TransportState.CLOSED in following) is (state is not TransportState.CLOSED)


async def test_start_tls_passes_through_handshake_to_tls(
    reactor: Reactor, tls_server: TlsServer, client_tls: ssl.SSLContext
):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours, tls_server=tls_server)
    assert transport._state is TransportState.PLAIN
    plain = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
    client = trio.SSLStream(plain, client_tls, server_hostname="imap.example.org")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.start_tls)
        await wait_all_tasks_blocked()
        assert transport._state is TransportState.HANDSHAKE
        transport.write_nowait(b"* BYE dropped\r\n")
        assert transport.waiting == 0
        nursery.start_soon(client.do_handshake)
    assert transport._state is TransportState.TLS
    transport.close()
    assert transport._state is TransportState.CLOSED
    assert await client.receive_some() == b""
    await client.aclose()


async def test_failed_connection_can_only_be_closed(reactor: Reactor):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    with pytest.raises(trio.BrokenResourceError):
        await transport.read()
    assert transport._state is TransportState.FAILED
    with pytest.raises(trio.BrokenResourceError):
        await transport.drained()
    transport.close()
    assert transport._state is TransportState.CLOSED
    with pytest.raises(trio.ClosedResourceError):
        await transport.drained()


# --- methods that block, called outside a task --------------------------------------------------


async def test_write_that_waits_continues_in_a_task(connected):
    transport, client = connected
    assert start(transport.write(b"short")) is None
    assert await exactly(5, client.receive_some) == b"short"
    stepped = start(transport.write(bytes(MANY)))
    assert isinstance(stepped, Suspended)

    async def finish() -> None:
        await stepped

    async with trio.open_nursery() as nursery:
        nursery.start_soon(finish)
        await exactly(MANY, client.receive_some)


async def test_bytes_that_arrive_before_a_read_has_its_task_are_read(connected):
    transport, client = connected
    with trio.move_on_after(0.01):
        await transport.read()
    stepped = start(transport.read())
    assert isinstance(stepped, Suspended)
    await client.send_all(b"early")
    await wait_all_tasks_blocked()
    with trio.fail_after(5):
        assert await stepped == b"early"


# --- the client's end ---------------------------------------------------------------------------


async def test_wait_is_cancelled_when_the_client_closes(connected):
    transport, client = connected
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with (
                pytest.raises(trio.BrokenResourceError, match="client closed"),
                transport.while_connected(),
            ):
                await trio.sleep_forever()

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        await trio.aclose_forcefully(client)


async def test_wait_that_begins_after_the_client_closed_is_cancelled(pair, reactor):
    ours, theirs = pair
    transport = Transport(reactor, ours)
    theirs.close()
    await wait_all_tasks_blocked(0.01)
    with pytest.raises(trio.BrokenResourceError), transport.while_connected():
        await trio.sleep_forever()
    transport.close()


async def test_body_that_does_not_wait_is_not_cancelled(pair, reactor):
    ours, theirs = pair
    transport = Transport(reactor, ours)
    theirs.shutdown(socket.SHUT_WR)
    await wait_all_tasks_blocked(0.01)
    with transport.while_connected():
        pass
    await transport.write(b"answer")
    assert theirs.recv(100) == b"answer"
    transport.close()
    theirs.close()


async def test_input_does_not_cancel_the_wait(connected):
    transport, client = connected
    await client.send_all(b"a NOOP\r\n")
    with trio.move_on_after(0.05) as scope, transport.while_connected():
        await trio.sleep_forever()
    assert scope.cancelled_caught
    assert await transport.read() == b"a NOOP\r\n"
