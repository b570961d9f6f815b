"""TLS: versions, refused peers, certificates, and limits on handshakes."""

import contextlib
import socket
import ssl
import subprocess

import pytest
import trio
from tests.server.conftest import tcp_pair
from trio.testing import wait_all_tasks_blocked

from imapvm.model.limits import (
    TLS_HANDSHAKE_STEPS_MAX,
    TLS_HANDSHAKES_MAX,
    TLS_HANDSHAKES_PER_PEER_MAX,
)
from imapvm.server.net.reactor import Reactor
from imapvm.server.net.tls import HANDSHAKE_SECONDS, TlsServer, has_client_hello
from imapvm.server.net.transport import Transport
from imapvm.server.settings import CertificateError


def client_of(sock: socket.socket, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    plain = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
    return trio.SSLStream(plain, context, server_hostname="imap.example.org")


async def test_starttls_upgrades_a_connection_in_place(reactor, tls_server, client_tls):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours, tls_server=tls_server)
    assert transport.can_start_tls
    assert transport.tls is None
    theirs.sendall(b"a STARTTLS\r\n")
    assert await transport.read() == b"a STARTTLS\r\n"
    await transport.write(b"a OK begin\r\n")
    assert theirs.recv(100) == b"a OK begin\r\n"
    client = client_of(theirs, client_tls)
    async with trio.open_nursery() as both:
        both.start_soon(transport.start_tls)
        both.start_soon(client.do_handshake)
    assert not transport.can_start_tls
    assert transport.tls is not None
    assert transport.tls.version == "TLSv1.3"
    assert transport.tls.cipher
    await client.send_all(b"b NOOP\r\n")
    assert await transport.read() == b"b NOOP\r\n"
    transport.close()
    assert await client.receive_some() == b""  # close_notify: the end is authentic
    await client.aclose()


async def test_queued_plain_output_is_sent_before_the_handshake(reactor, tls_server, client_tls):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours, tls_server=tls_server)
    length = 0
    while not transport.waiting:
        transport.write_nowait(b"z" * 10_000)
        length += 10_000
    async with trio.open_nursery() as both:
        both.start_soon(transport.start_tls)
        plain = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
        while length:
            data = await plain.receive_some(min(length, 65536))
            assert data.strip(b"z") == b""
            length -= len(data)
        client = trio.SSLStream(plain, client_tls, server_hostname="imap.example.org")
        await client.do_handshake()
    transport.close()
    await trio.aclose_forcefully(client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_supported(reactor, tls_server, client_tls, version):
    client_tls.minimum_version = client_tls.maximum_version = version
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours, tls_server=tls_server)
    client = client_of(theirs, client_tls)
    async with trio.open_nursery() as both:
        both.start_soon(transport.start_tls)
        both.start_soon(client.do_handshake)
    assert transport.tls is not None
    assert transport.tls.version == version.name.replace("_", ".")
    transport.close()
    await trio.aclose_forcefully(client)


async def test_tls_1_1_is_refused(reactor, tls_server, client_tls):
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        client_tls.minimum_version = client_tls.maximum_version = ssl.TLSVersion.TLSv1_1
    client_tls.set_ciphers("ALL:@SECLEVEL=0")  # or OpenSSL would not offer it
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours, tls_server=tls_server)
    client = client_of(theirs, client_tls)

    async def shake() -> None:
        with pytest.raises(trio.BrokenResourceError, match="UNSUPPORTED_PROTOCOL"):
            await transport.start_tls()

    async with trio.open_nursery() as both:
        both.start_soon(shake)
        with pytest.raises(trio.BrokenResourceError):
            await client.do_handshake()
    transport.close()
    await trio.aclose_forcefully(client)


@pytest.mark.parametrize(
    "data",
    [b"a LOGIN fred secret\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b"\x16\x03\x01\xff"],
    ids=["imap", "http", "zeros", "half a record"],
)
async def test_client_that_does_not_speak_tls_is_refused(reactor, tls_server, data):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours, tls_server=tls_server)
    with theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
            await transport.start_tls()
        assert transport.tls is None
        transport.write_nowait(b"* BYE in the clear\r\n")
        transport.close()
        with contextlib.suppress(ConnectionResetError):
            assert b"BYE" not in theirs.recv(1000)


def client_hello(context: ssl.SSLContext) -> bytes:
    """Return the first bytes that a client sends."""
    sent = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="imap.example.org")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


@pytest.mark.parametrize(
    "received",
    [
        b"",
        b"\x16",
        b"\x16\x03\x01\x00",
        b"\x16\x03\x01\x00\x01",
        b"\x16\x03\x01\x40\x00" + b"x" * 99,
    ],
)
def test_client_hello_has_not_arrived(received):
    assert not has_client_hello(received)


@pytest.mark.parametrize(
    "received",
    [b"\x16\x03\x01\x00\x01x", b"\x16\x03\x01\x40\x01", b"PROXY", b"a LOGIN", b"\x80"],
    ids=["a record", "a record over the limit", "PROXY", "imap", "SSL 2"],
)
def test_record_or_something_else_has_arrived(received):
    assert has_client_hello(received)


def test_client_hello_has_arrived_with_its_last_byte(client_tls):
    hello = client_hello(client_tls)
    assert has_client_hello(hello)
    assert not any(has_client_hello(hello[:cut]) for cut in range(len(hello)))


@pytest.mark.parametrize("sent", [0, 1, -1], ids=["nothing", "one byte", "all but one byte"])
async def test_client_without_a_whole_client_hello_holds_no_place(
    reactor, tls_server, client_tls, autojump_clock, sent
):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours, peer="192.0.2.1", tls_server=tls_server)
    theirs.sendall(client_hello(client_tls)[:sent])
    began = trio.current_time()

    async def shake() -> None:
        with pytest.raises(trio.BrokenResourceError, match="too long"):
            await transport.start_tls()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shake)
        await wait_all_tasks_blocked()
        assert tls_server.places.borrowed == tls_server.places.waiting == 0
    assert trio.current_time() - began == pytest.approx(HANDSHAKE_SECONDS)
    transport.close()
    theirs.close()


async def test_client_that_sends_nothing_after_its_client_hello_times_out(
    reactor, tls_server, client_tls, autojump_clock
):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours, peer="192.0.2.1", tls_server=tls_server)
    theirs.sendall(client_hello(client_tls))
    began = trio.current_time()
    with pytest.raises(trio.BrokenResourceError, match="too long"):
        await transport.start_tls()
    assert trio.current_time() - began == pytest.approx(HANDSHAKE_SECONDS)
    assert tls_server.places.borrowed == 0
    transport.close()
    theirs.close()


async def test_client_hello_that_arrives_byte_by_byte_is_accepted(reactor, tls_server, client_tls):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours, peer="192.0.2.1", tls_server=tls_server)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_tls.wrap_bio(incoming, outgoing, server_hostname="imap.example.org")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    theirs.setblocking(False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.start_tls)
        for byte in outgoing.read():
            theirs.send(bytes([byte]))
            await trio.lowlevel.checkpoint()
        while True:
            await trio.lowlevel.wait_readable(theirs)
            incoming.write(theirs.recv(65536))
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                continue
            theirs.send(outgoing.read())
            break
    assert transport.tls is not None
    transport.close()
    theirs.close()


async def test_closing_ends_a_handshake(reactor, tls_server):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours, tls_server=tls_server)

    async def shake() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await transport.start_tls()

    with theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shake)
            await wait_all_tasks_blocked()
            transport.write_nowait(b"dropped")
            transport.close()
    assert tls_server.places.borrowed == tls_server.steps.borrowed_tokens == 0


@pytest.mark.at_limit("TLS_HANDSHAKES_MAX")
@pytest.mark.past_limit("TLS_HANDSHAKES_MAX")
async def test_handshakes_past_the_limit_wait(reactor, tls_server, client_tls):
    peers = [
        f"192.0.2.{number // TLS_HANDSHAKES_PER_PEER_MAX}"
        for number in range(TLS_HANDSHAKES_MAX + 1)
    ]
    transports, clients = greeted(reactor, tls_server, client_tls, peers)
    async with trio.open_nursery() as nursery:
        for transport in transports[:-1]:
            nursery.start_soon(closed, transport)
        await wait_all_tasks_blocked()
        assert tls_server.places.borrowed == TLS_HANDSHAKES_MAX
        assert tls_server.places.waiting == 0
        nursery.start_soon(closed, transports[-1])
        await wait_all_tasks_blocked()
        assert tls_server.places.borrowed == TLS_HANDSHAKES_MAX
        assert tls_server.places.waiting == 1
        # Handshakes that wait for their clients hold no step.
        assert tls_server.steps.borrowed_tokens == 0
        for transport in transports:
            transport.close()
    assert tls_server.places.borrowed == tls_server.places.waiting == 0
    for client in clients:
        client.close()


def greeted(
    reactor: Reactor, tls_server: TlsServer, client_tls: ssl.SSLContext, peers: list[str]
) -> tuple[list[Transport], list[socket.socket]]:
    """Return a transport for each peer, and its client, which has sent ClientHello and no more."""
    hello = client_hello(client_tls)
    transports, clients = [], []
    for peer in peers:
        ours, theirs = tcp_pair()
        transports.append(Transport(reactor, ours, peer=peer, tls_server=tls_server))
        theirs.sendall(hello)
        clients.append(theirs)
    return transports, clients


async def closed(transport: Transport) -> None:
    """Run a handshake that ends when the transport is closed."""
    with pytest.raises(trio.ClosedResourceError):
        await transport.start_tls()


@pytest.mark.at_limit("TLS_HANDSHAKES_PER_PEER_MAX")
@pytest.mark.past_limit("TLS_HANDSHAKES_PER_PEER_MAX")
async def test_handshakes_of_one_address_past_its_limit_wait_and_those_of_others_do_not(
    reactor, tls_server, client_tls
):
    peers = ["192.0.2.1"] * (TLS_HANDSHAKES_PER_PEER_MAX + 1)
    transports, clients = greeted(reactor, tls_server, client_tls, peers)
    async with trio.open_nursery() as nursery:
        for transport in transports[:-1]:
            nursery.start_soon(closed, transport)
        await wait_all_tasks_blocked()
        assert tls_server.places.waiting == 0
        nursery.start_soon(closed, transports[-1])
        await wait_all_tasks_blocked()
        assert tls_server.places.borrowed == TLS_HANDSHAKES_PER_PEER_MAX
        assert tls_server.places.waiting == 1
        ours, theirs = tcp_pair()
        other = Transport(reactor, ours, peer="192.0.2.2", tls_server=tls_server)
        client = client_of(theirs, client_tls)
        async with trio.open_nursery() as both:
            both.start_soon(other.start_tls)
            both.start_soon(client.do_handshake)
        assert other.tls is not None
        other.close()
        await trio.aclose_forcefully(client)
        for transport in transports:
            transport.close()
    for each in clients:
        each.close()


async def test_client_that_hangs_up_does_not_wait_for_a_place(reactor, tls_server, client_tls):
    for _ in range(TLS_HANDSHAKES_PER_PEER_MAX):
        await tls_server.places.acquire("192.0.2.1")
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours, peer="192.0.2.1", tls_server=tls_server)
    theirs.sendall(client_hello(client_tls))

    async def shake() -> None:
        with pytest.raises(trio.BrokenResourceError, match="client closed"):
            await transport.start_tls()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shake)
        await wait_all_tasks_blocked()
        assert tls_server.places.waiting == 1
        theirs.close()
    assert tls_server.places.waiting == 0
    transport.close()
    for _ in range(TLS_HANDSHAKES_PER_PEER_MAX):
        tls_server.places.release("192.0.2.1")


@pytest.mark.at_limit("TLS_HANDSHAKE_STEPS_MAX")
@pytest.mark.past_limit("TLS_HANDSHAKE_STEPS_MAX")
async def test_handshake_steps_of_one_turn_are_limited(reactor, tls_server, client_tls):
    count = 3 * TLS_HANDSHAKE_STEPS_MAX
    pairs = [tcp_pair() for _ in range(count)]
    highest = 0

    async def watch() -> None:
        nonlocal highest
        while True:
            highest = max(highest, tls_server.steps.borrowed_tokens)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as watching:
        watching.start_soon(watch)
        clients = [client_of(theirs, client_tls) for _, theirs in pairs]
        transports = [Transport(reactor, ours, tls_server=tls_server) for ours, _ in pairs]
        async with trio.open_nursery() as nursery:
            for transport, client in zip(transports, clients, strict=True):
                nursery.start_soon(transport.start_tls)
                nursery.start_soon(client.do_handshake)
        watching.cancel_scope.cancel()
    assert highest == TLS_HANDSHAKE_STEPS_MAX
    for transport, client in zip(transports, clients, strict=True):
        transport.close()
        await trio.aclose_forcefully(client)


async def test_start_tls_without_a_certificate_raises_value_error(reactor):
    ours, theirs = tcp_pair()
    transport = Transport(reactor, ours)
    assert not transport.can_start_tls
    with pytest.raises(ValueError, match="not available"):
        await transport.start_tls()
    transport.close()
    theirs.close()


def test_missing_certificate_is_reported(tmp_path):
    with pytest.raises(CertificateError, match=r"missing\.pem.*No such file"):
        TlsServer(tmp_path / "missing.pem", tmp_path / "missing.key")


def test_key_that_does_not_match_is_reported(tls_server_files, authority, tmp_path):
    other = tmp_path / "other.pem"
    authority.issue_cert("other.example.org").private_key_pem.write_to_path(other)
    with pytest.raises(CertificateError, match="KEY_VALUES_MISMATCH"):
        TlsServer(tls_server_files[0], other)


def test_encrypted_key_does_not_prompt_for_a_password(tls_server_files, tmp_path):
    locked = tmp_path / "locked.pem"
    subprocess.run(
        [
            "openssl",
            "pkey",
            "-aes256",
            "-passout",
            "pass:x",
            "-in",
            tls_server_files[1],
            "-out",
            locked,
        ],
        check=True,
    )
    with pytest.raises(CertificateError, match="encrypted"):
        TlsServer(tls_server_files[0], locked)


def test_failed_reload_keeps_the_old_certificate(tls_server_files, tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(tls_server_files[0].read_bytes())
    key.write_bytes(tls_server_files[1].read_bytes())
    server = TlsServer(certificate, key)
    server.reload()
    certificate.write_text("no PEM")
    with pytest.raises(CertificateError):
        server.reload()
