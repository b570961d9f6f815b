"""LMTP over sockets."""

import contextlib
import errno
import logging
import smtplib
import socket
from functools import partial

import pytest
import trio
from tests.intake.conftest import inbox_of
from tests.intake.fakes import FakePool, message_of
from tests.intake.spooling import probing

from imapvm.filepool.errors import BodyGoneError, LimitError, StoreUnavailableError
from imapvm.intake.deliver import Deliverer
from imapvm.intake.lmtp import connection
from imapvm.intake.lmtp import listener as lmtp
from imapvm.intake.lmtp.connection import (
    IDLE_SECONDS,
    LHLO_SECONDS,
    MESSAGE_SECONDS,
    serve_connection,
)
from imapvm.intake.lmtp.listener import IDLE_WHEN_FULL_SECONDS, serve_lmtp
from imapvm.model.limits import LMTP_CONNECTIONS_MAX, LMTP_WAITING_MAX, RECEIVE_MAX
from imapvm.model.stepping import suspend
from imapvm.server.net.transport import Transport

HEAD = b"LHLO client.example\r\n"
BEGUN = HEAD + b"MAIL FROM:<ada@x>\r\nRCPT TO:<bob>\r\n"


class Client:
    """Client end of a connection."""

    def __init__(self, stream):
        self.stream = stream
        self.got = b""

    async def line(self):
        while b"\r\n" not in self.got:
            data = await self.stream.receive_some()
            if not data:
                return None
            self.got += data
        line, _, self.got = self.got.partition(b"\r\n")
        return line.decode()

    async def lines(self, count):
        return [await self.line() for _ in range(count)]

    async def remaining(self):
        """Return all lines up to the end of the connection."""
        while data := await self.stream.receive_some():
            self.got += data
        return self.got.decode().splitlines()


@pytest.fixture
async def pair(reactor):
    """Return a function that makes both ends of a connection."""
    clients = []

    def pair():
        ours, theirs = socket.socketpair()
        clients.append(trio.SocketStream(trio.socket.from_stdlib_socket(theirs)))
        return Transport(reactor, ours), clients[-1]

    yield pair
    for client in clients:
        await trio.aclose_forcefully(client)


@pytest.fixture
def connected(pair):
    @contextlib.asynccontextmanager
    async def connected(deliverer, address="192.0.2.1"):
        ours, theirs = pair()
        async with trio.open_nursery() as nursery, theirs:
            nursery.start_soon(serve_connection, ours, deliverer, address)
            client = Client(theirs)
            assert (await client.line()).startswith("220 mail.example.org LMTP")
            yield client

    return connected


@pytest.fixture
def listening(reactor):
    return partial(listening_with, reactor)


@contextlib.asynccontextmanager
async def listening_with(reactor, deliverer, family=socket.AF_INET, address=("127.0.0.1", 0)):
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen(1000)
    where = listener.getsockname()
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_lmtp, listener, deliverer, partial(Transport, reactor))
        yield where
        nursery.cancel_scope.cancel()


async def test_a_message_is_answered_after_the_commit(settings, connected):
    gate = trio.Event()

    async def commit(_pool, _delivery):
        await gate.wait()

    fake = FakePool(on_deliver=commit)
    async with connected(Deliverer(fake, settings)) as client:
        await client.stream.send_all(BEGUN + b"DATA\r\n")
        assert (await client.lines(10))[-1].startswith("354")  # before the message is there
        await client.stream.send_all(b"hi\r\n.\r\nNOOP\r\n")
        await trio.testing.wait_all_tasks_blocked()
        assert client.got == b""
        with trio.move_on_after(0.05):
            await client.line()
        assert client.got == b""
        gate.set()
        assert [line[:9] for line in await client.lines(2)] == ["250 2.1.5", "250 2.0.0"]
    assert message_of(fake.bodies_of("bob")[0]) == b"hi\r\n"
    assert b"from client.example ([192.0.2.1])" in fake.bodies_of("bob")[0]


async def test_unknown_recipients_are_refused_at_rcpt(deliverer, fake, connected):
    async with connected(deliverer) as client:
        await client.stream.send_all(
            BEGUN + b"RCPT TO:<dan>\r\nRCPT TO:<cyn@h>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
        )
        replies = [line[:9] for line in (await client.remaining())[8:]]
    assert replies == ["250 2.1.5", "550 5.1.1", "250 2.1.5", "354 send "] + ["250 2.1.5"] * 2 + [
        "221 2.0.0"
    ]
    assert [user for user, _, _ in fake.stored] == ["bob", "cyn"]


async def test_each_transaction_is_a_separate_delivery(deliverer, fake, connected):
    async with connected(deliverer) as client:
        for _ in range(3):
            await client.stream.send_all(BEGUN + b"DATA\r\nthe same\r\n.\r\n")
        await client.stream.send_all(b"QUIT\r\n")
        await client.remaining()
    assert len(fake.bodies_of("bob")) == 3
    assert all(body.discarded for body in fake.bodies)


async def test_replies_to_a_message_and_log_events_have_the_delivery_id(
    deliverer, fake, connected, caplog
):
    caplog.set_level(logging.INFO, "imapvm.intake")
    fake.refuses["cyn"] = LimitError("full")
    async with connected(deliverer) as client:
        await client.stream.send_all(
            BEGUN + b"RCPT TO:<cyn>\r\nRCPT TO:<dan>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
        )
        stored, refused = (await client.remaining())[-3:-1]
    (delivered,) = (r for r in caplog.records if r.message == "delivered")
    assert stored == f"250 2.1.5 delivered, id {delivered.id}"
    assert refused == f"552 5.2.2 mailbox is full, id {delivered.id}"
    assert f"with LMTP id {delivered.id}; ".encode() in fake.bodies_of("bob")[0]
    (event,) = (r for r in caplog.records if r.message == "recipient refused")
    assert (event.recipient, event.reason) == ("dan", "550 5.1.1 no such user here")
    assert event.peer == "192.0.2.1"
    assert len({r.session for r in caplog.records}) == 1
    assert {r.message for r in caplog.records} == {
        "recipient refused",
        "delivered",
        "delivery refused",
        "LMTP message",
    }


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (StoreUnavailableError("full"), "452 4.3.1"),
        (LimitError("quota"), "552 5.2.2"),
        (BodyGoneError("slow"), "451 4.3.0"),
    ],
)
@pytest.mark.parametrize("where", ["recipient", "delivery", "staging"])
async def test_an_error_of_the_store_is_the_reply_for_each_recipient(
    settings, error, reply, where, connected
):
    async def fail(_pool, _delivery):
        raise error

    fake = FakePool(spill_above=10)
    match where:
        case "recipient":
            fake.refuses |= {"bob": error, "cyn": error}
        case "delivery":
            fake.on_deliver = fail
        case "staging":
            fake.new_body = lambda *, group: FailingBody(error)
    async with connected(Deliverer(fake, settings)) as client:
        await client.stream.send_all(
            BEGUN + b"RCPT TO:<cyn>\r\nDATA\r\n" + b"x" * 100_000 + b"\r\n.\r\nNOOP\r\n"
        )
        replies = [line[:9] for line in await client.lines(14)]
    assert replies[-3:] == [reply, reply, "250 2.0.0"]


class FailingBody:
    def __init__(self, error):
        self.error = error

    def feed(self, _data):
        return True

    async def spill(self):
        raise self.error

    async def discard(self):
        await suspend()
        await trio.lowlevel.checkpoint()


async def test_a_large_message_is_staged_while_it_is_received(settings, connected):
    fake = FakePool(spill_above=100_000)
    message = b"0123456789abcde\r\n" * 100_000
    async with connected(Deliverer(fake, settings)) as client:
        await client.stream.send_all(BEGUN + b"BDAT %d LAST\r\n" % len(message))
        for at in range(0, len(message), 50_000):
            await client.stream.send_all(message[at : at + 50_000])
        await client.stream.send_all(b"QUIT\r\n")
        replies = await client.remaining()
    assert replies[-2].startswith("250 2.1.5")
    assert fake.spilled > 10
    assert message_of(fake.bodies_of("bob")[0]) == message


class ReadyTransport:
    """Transport whose data is available without waiting."""

    waiting = 0

    def __init__(self, portions):
        self.portions = iter(portions)
        self.serves = 0

    async def serve(self, take):
        self.serves += 1
        return not all(map(take, self.portions))

    def write_nowait(self, data):
        pass

    async def drained(self):
        pass

    def close(self):
        pass


async def test_other_tasks_run_while_a_large_message_is_received(deliverer, nursery):
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    nursery.start_soon(other)
    await serve_connection(
        ReadyTransport([BEGUN + b"DATA\r\n", *[b"x" * RECEIVE_MAX] * 100]), deliverer, None
    )
    assert turns >= 100


async def test_commands_that_do_not_wait_are_handled_outside_the_task(deliverer, monkeypatch):
    monkeypatch.setattr(connection, "CALLBACK_SECONDS", 60)
    stream = ReadyTransport([HEAD, BEGUN, b"NOOP\r\n" * 100, b"RSET\r\n"])
    await serve_connection(stream, deliverer, None)
    assert stream.serves == 1


async def test_a_commit_that_outlasts_the_idle_deadline_is_answered(
    settings, autojump_clock, connected
):
    async def slow_commit(_pool, _delivery):
        await trio.sleep(2 * IDLE_SECONDS)

    fake = FakePool(on_deliver=slow_commit)
    async with connected(Deliverer(fake, settings)) as client:
        await client.stream.send_all(BEGUN + b"DATA\r\nhi\r\n.\r\n")
        assert (await client.lines(11))[-1].startswith("250 2.1.5 delivered")
        await trio.sleep(IDLE_SECONDS - 1)
        await client.stream.send_all(b"NOOP\r\n")
        assert (await client.line()).startswith("250 2.0.0")


async def test_an_idle_connection_is_closed_after_five_minutes(
    deliverer, autojump_clock, connected
):
    async with connected(deliverer) as client:
        await client.stream.send_all(BEGUN + b"DATA\r\nhalf")
        await client.lines(10)
        await trio.sleep(IDLE_SECONDS - 1)
        await client.stream.send_all(b" a message")
        await trio.sleep(IDLE_SECONDS - 1)
        assert client.got == b""
        start = trio.current_time()
        assert (await client.remaining()) == ["421 4.4.2 idle for too long, closing"]
        assert trio.current_time() - start <= 2
    assert IDLE_SECONDS == 300


@pytest.mark.parametrize("sends", [b"", b"NOOP\r\n", b"LHLO", b"nonsense\r\n"])
async def test_a_peer_that_does_not_send_lhlo_is_closed_after_a_minute(
    deliverer, autojump_clock, connected, sends
):
    async with connected(deliverer) as client:
        start = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def trickle():
                for _ in range(5):
                    await client.stream.send_all(sends)
                    await trio.sleep(10)

            if sends:
                nursery.start_soon(trickle)
            assert (await client.remaining())[-1] == "421 4.4.2 idle for too long, closing"
            assert trio.current_time() - start <= LHLO_SECONDS + 1 == 61
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("rate", [0.5, 1.1])
async def test_a_message_has_a_least_rate(
    deliverer, fake, autojump_clock, connected, rate, monkeypatch
):
    monkeypatch.setattr(connection, "MESSAGE_RATE_MIN", 1000)
    portion = b"x" * int(rate * 1000 * 60)
    async with connected(deliverer) as client:
        await client.stream.send_all(BEGUN + b"BDAT %d LAST\r\n" % (len(portion) * 60))
        await client.lines(9)
        start = trio.current_time()
        with contextlib.suppress(trio.BrokenResourceError):
            for _ in range(60):
                await client.stream.send_all(portion)
                await trio.sleep(60)
        if rate < 1:
            # Ten minutes, and half of the time that has passed.
            assert 2 * MESSAGE_SECONDS <= trio.current_time() - start <= 2 * MESSAGE_SECONDS + 130
            assert fake.stored == []
        else:
            assert (await client.line()).startswith("250 2.1.5 delivered")
    assert connection.IDLE_SECONDS < MESSAGE_SECONDS


async def test_a_peer_that_does_not_read_replies_is_disconnected(deliverer, pair, autojump_clock):
    ours, theirs = pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, ours, deliverer, None)
        start = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):
            await theirs.send_all(HEAD + b"NOOP\r\n" * 1_000_000)
        assert IDLE_SECONDS <= trio.current_time() - start <= IDLE_SECONDS + 2


async def test_a_message_is_discarded_when_the_connection_breaks(deliverer, fake, connected):
    async with connected(deliverer) as client:
        await client.stream.send_all(BEGUN + b"DATA\r\nhalf")
        await client.lines(10)
    assert fake.stored == []
    assert fake.bodies[0].discarded


@pytest.mark.parametrize("error", [ZeroDivisionError, type("PanicException", (BaseException,), {})])
async def test_a_bug_ends_one_connection_with_421_and_no_other(settings, caplog, error, connected):
    async def bug(_pool, delivery):
        if b"poison" in delivery.body:
            raise error

    fake = FakePool(on_deliver=bug)
    deliverer = Deliverer(fake, settings)
    async with connected(deliverer) as other, connected(deliverer) as client:
        await client.stream.send_all(BEGUN + b"DATA\r\npoison\r\n.\r\n")
        assert (await client.remaining())[-1].startswith("421 4.3.0")
        await other.stream.send_all(BEGUN + b"DATA\r\nfine\r\n.\r\nQUIT\r\n")
        assert (await other.remaining())[-2].startswith("250 2.1.5")
    assert "internal error in LMTP" in caplog.text
    assert len(fake.stored) == 1


async def test_at_shutdown_a_delivery_is_answered_and_idle_peers_get_421(settings, pair):
    gate = trio.Event()

    async def commit(_pool, _delivery):
        await gate.wait()

    deliverer = Deliverer(FakePool(on_deliver=commit), settings)
    busy, idle = pair(), pair()
    async with trio.open_nursery() as nursery:
        for ours, _ in (busy, idle):
            nursery.start_soon(serve_connection, ours, deliverer, None)
        await busy[1].send_all(BEGUN + b"DATA\r\nx\r\n.\r\n")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        nursery.cancel_scope.shield = True
        with trio.CancelScope(shield=True):
            assert (await Client(idle[1]).remaining())[-1].startswith("421 4.3.2")
            gate.set()
            replies = await Client(busy[1]).remaining()
            assert replies[-2].startswith("250 2.1.5 delivered")
            assert replies[-1].startswith("421 4.3.2")


# --- real sockets ---------------------------------------------------------------------------------


def send(address, messages, *, unix=False):
    """Send with Python's client, which reads one reply: one recipient of a message is accepted."""
    server = smtplib.LMTP(address) if unix else smtplib.LMTP(*address, timeout=30)
    with server:
        return [server.sendmail(*message) for message in messages]


@pytest.mark.parametrize("family", ["IPv4", "IPv6", "unix"])
async def test_pythons_lmtp_client_delivers_to_a_real_filepool(
    pool, settings, family, tmp_path, listening
):
    kind, address = {
        "IPv4": (socket.AF_INET, ("127.0.0.1", 0)),
        "IPv6": (socket.AF_INET6, ("::1", 0)),
        "unix": (socket.AF_UNIX, str(tmp_path / "lmtp")),
    }[family]
    text = "Subject: x\r\n\r\n.\r\n..\r\nüber\r\n".encode()
    async with listening(Deliverer(pool, settings), kind, address) as where:
        to = str(tmp_path / "lmtp") if family == "unix" else where[:2]
        messages = [
            ("cyn@x.example", ["ada", "unknown@h"], text, ["BODY=8BITMIME"]),
            ("cyn@x.example", ["bob@h"], text),
            ("", ["bob"], text),
        ]
        refused = await trio.to_thread.run_sync(lambda: send(to, messages, unix=family == "unix"))
    assert [sorted(found) for found in refused] == [["unknown@h"], [], []]
    assert refused[0]["unknown@h"][0] == 550
    assert [message_of(data) for data in inbox_of(pool, "ada")] == [text]
    assert [message_of(data) for data in inbox_of(pool, "bob")] == [text] * 2
    peer = {"IPv4": b"([127.0.0.1])", "IPv6": b"([IPv6:::1])", "unix": b"from"}[family]
    assert peer in inbox_of(pool, "ada")[0]


async def test_many_connections_deliver_concurrently(pool, settings, listening):
    async def one(where, number):
        stream = await trio.open_tcp_stream(*where)
        async with stream:
            client = Client(stream)
            await stream.send_all(BEGUN + b"DATA\r\n%d\r\n.\r\nQUIT\r\n" % number)
            assert (await client.remaining())[-2].startswith("250 2.1.5 delivered")

    async with listening(Deliverer(pool, settings)) as where, trio.open_nursery() as nursery:
        for number in range(200):
            nursery.start_soon(one, where, number)
    found = {message_of(data) for data in inbox_of(pool, "bob")}
    assert found == {b"%d\r\n" % number for number in range(200)}


@pytest.mark.at_limit("LMTP_CONNECTIONS_MAX")
@pytest.mark.past_limit("LMTP_CONNECTIONS_MAX")
async def test_the_number_of_connections_is_limited_and_the_next_waits(deliverer, listening):
    async with contextlib.AsyncExitStack() as stack:
        where = await stack.enter_async_context(listening(deliverer))
        clients = []
        for _ in range(LMTP_CONNECTIONS_MAX + 1):
            stream = await trio.open_tcp_stream(*where)
            clients.append(Client(await stack.enter_async_context(stream)))
        for client in clients[:-1]:
            assert (await client.line()).startswith("220")
        with trio.move_on_after(0.1) as waited:
            await clients[-1].line()
        assert waited.cancelled_caught
        await clients[0].stream.send_all(b"QUIT\r\n")
        assert (await clients[-1].line()).startswith("220")


async def test_a_silent_connection_is_closed_for_one_that_waits(
    deliverer, listening, autojump_clock
):
    async with contextlib.AsyncExitStack() as stack:
        where = await stack.enter_async_context(listening(deliverer))
        clients = await connect_clients(stack, where, LMTP_CONNECTIONS_MAX)
        for number, client in enumerate(clients):
            await client.line()
            # Silent before LHLO, after it, after RCPT, and in a message.
            said = (b"", HEAD, BEGUN, BEGUN + b"DATA\r\nhalf")[number % 4]
            await client.stream.send_all(said)
        await trio.sleep(1)
        start = trio.current_time()
        more = await connect_clients(stack, where, LMTP_CONNECTIONS_MAX)
        for client in more:
            assert (await client.line()).startswith("220")
        assert trio.current_time() - start <= IDLE_WHEN_FULL_SECONDS + 5
        for client in clients:
            assert (await client.remaining())[-1].startswith("421 4.3.2 too many connections")


@pytest.mark.parametrize("said", [b"", BEGUN + b"DATA\r\n"])
async def test_a_peer_with_few_connections_comes_before_one_with_many(
    deliverer, listening, autojump_clock, monkeypatch, said
):
    few = set()
    monkeypatch.setattr(
        lmtp, "_peer_of", lambda s: "192.0.2.2" if s.getpeername()[1] in few else "192.0.2.1"
    )
    async with contextlib.AsyncExitStack() as stack:
        where = await stack.enter_async_context(listening(deliverer))
        many = await connect_clients(stack, where, LMTP_CONNECTIONS_MAX + 20)
        for client in many[:LMTP_CONNECTIONS_MAX]:
            await client.line()
            await client.stream.send_all(said)

        async def send_on():
            while said:
                for client in many[:LMTP_CONNECTIONS_MAX]:
                    with contextlib.suppress(trio.BrokenResourceError):
                        await client.stream.send_all(b"x" * 1000)
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_on)
            await trio.sleep(1)
            other = trio.socket.socket()
            await other.bind(("127.0.0.1", 0))
            few.add(other.getsockname()[1])
            await other.connect(where)
            client = Client(await stack.enter_async_context(trio.SocketStream(other)))
            with trio.fail_after(IDLE_WHEN_FULL_SECONDS + 5):
                assert (await client.line()).startswith("220")
            nursery.cancel_scope.cancel()


@pytest.mark.at_limit("LMTP_WAITING_MAX")
@pytest.mark.past_limit("LMTP_WAITING_MAX")
async def test_the_number_of_waiting_connections_is_limited(deliverer, listening):
    async with contextlib.AsyncExitStack() as stack:
        where = await stack.enter_async_context(listening(deliverer))
        count = LMTP_CONNECTIONS_MAX + LMTP_WAITING_MAX
        clients = await connect_clients(stack, where, count + 1)
        refused = await clients[-1].remaining()
        assert refused == ["421 4.3.2 too many connections, try again later"]
        with trio.move_on_after(0.1) as waited:
            await clients[-2].line()
        assert waited.cancelled_caught
        for client in clients[:-1]:
            await client.stream.send_all(b"QUIT\r\n")
            assert (await client.remaining())[0].startswith("220")


async def connect_clients(stack, where, count):
    streams = [await trio.open_tcp_stream(*where) for _ in range(count)]
    return [Client(await stack.enter_async_context(stream)) for stream in streams]


FLOODS = {
    "NOOP": HEAD + b"NOOP\r\n" * 200_000,
    "LHLO": HEAD * 50_000,
    "RCPT": (BEGUN + b"RCPT TO:<dan>\r\n" * 1000) * 50,
    "BDAT": BEGUN + b"BDAT 1\r\nx" * 100_000,
    "short messages": (BEGUN + b"DATA\r\n.\r\n") * 1000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOODS)
async def test_no_pipeline_of_commands_blocks_the_event_loop(deliverer, listening, name):
    async def flood(where):
        async with await trio.open_tcp_stream(*where) as stream, trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, FLOODS[name] + b"QUIT\r\n")
            while await stream.receive_some():
                pass

    async with listening(deliverer) as where, probing(), trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(flood, where)


async def test_accepting_continues_after_running_out_of_file_descriptors(
    deliverer, monkeypatch, caplog, listening
):
    accept = trio.SocketListener.accept
    failures = [OSError(errno.EMFILE, "Too many open files")] * 3

    async def failing(self):
        if failures:
            raise failures.pop()
        return await accept(self)

    monkeypatch.setattr(trio.SocketListener, "accept", failing)
    monkeypatch.setattr(lmtp, "ACCEPT_RETRY_SECONDS", 0.01)
    async with listening(deliverer) as where:
        stream = await trio.open_tcp_stream(*where)
        async with stream:
            assert (await Client(stream).line()).startswith("220")
    assert caplog.text.count("cannot accept LMTP") == 3


async def test_a_peer_that_disconnects_at_once_does_not_affect_others(
    deliverer, monkeypatch, listening
):
    def gone(_socket):
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    async with listening(deliverer) as where:
        with monkeypatch.context() as patch:
            patch.setattr(lmtp, "_peer_of", gone)
            stream = await trio.open_tcp_stream(*where)
            async with stream:
                assert await Client(stream).line() is None
        stream = await trio.open_tcp_stream(*where)
        async with stream:
            assert (await Client(stream).line()).startswith("220")


async def test_hostile_input_does_not_affect_other_connections(deliverer, fake, listening):
    noises = [b"\x00\xff\n" * 200_000, b"x" * 2_000_000, b"GET / HTTP/1.1\r\nHost: x\r\n" * 1000]
    async with listening(deliverer) as where:
        for noise in noises:
            stream = await trio.open_tcp_stream(*where)
            async with stream:
                with contextlib.suppress(trio.BrokenResourceError):
                    await stream.send_all(noise)
                    await stream.send_eof()
                    with trio.fail_after(10):
                        await Client(stream).remaining()
        stream = await trio.open_tcp_stream(*where)
        async with stream:
            await stream.send_all(BEGUN + b"DATA\r\nfine\r\n.\r\nQUIT\r\n")
            assert (await Client(stream).remaining())[-2].startswith("250 2.1.5")
    assert len(fake.stored) == 1
