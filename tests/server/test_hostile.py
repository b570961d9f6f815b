"""Hostile input: refused, and not kept in memory."""

import pytest
import trio
from tests.server.whole import MIB, Client, anonymous_memory, lmtp, running

HOSTILE = {
    "ten megabytes without a line end": b"a" * (10 * MIB),
    "ten megabytes of one tag and spaces": b"a" + b" " * (10 * MIB),
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "an HTTP post": b"POST /x HTTP/1.1\r\nContent-Length: 10\r\n\r\na1 NOOP\r\n",
    "an SMTP greeting": b"EHLO example.org\r\nMAIL FROM:<>\r\n" * 10,
    "a TLS handshake": bytes.fromhex("16030100c8010000c403037b") + bytes(range(200)),
    "binary noise": bytes(range(256)) * 4096,
    "zeros": bytes(MIB),
    "a million parentheses": b"a SEARCH " + b"(" * 1_000_000 + b"\r\n",
    "a million NOTs": b"a SEARCH " + b"NOT " * 250_000 + b"ALL\r\n",
    "a literal of four gigabytes": b"a LOGIN {4294967295}\r\n",
    "a literal of four gigabytes that is not waited for": b"a LOGIN {4294967295+}\r\n" + b"x" * MIB,
    "a literal whose size is no number of this world": b"a LOGIN {" + b"9" * 100 + b"}\r\n",
    "thousands of small literals": b"a ID (" + b'"k" {1+}\r\nx ' * 20_000 + b")\r\n",
    "a quoted string without an end": b'a LOGIN "' + b"x" * MIB + b"\r\n",
    "empty lines": b"\r\n" * 100_000,
    "wrong commands": b"a NONSENSE\r\n" * 10_000,
    "bare line feeds": b"a NOOP\n" * 10,
}


async def flood(client: Client, data: bytes) -> None:
    view = memoryview(data)
    try:
        for start in range(0, len(view), 65536):
            await client.stream.send_all(view[start : start + 65536])
        await client.stream.send_eof()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the server closed the connection, which is a valid reaction


def check_line(line: bytes) -> None:
    """Check that a response is well-formed."""
    assert line.endswith(b"\r\n")
    assert line.split(b" ", 2)[1] in {b"BAD", b"NO", b"BYE", b"OK"} or line.startswith(
        (b"+ ", b"* SEARCH", b"* ID")
    )


@pytest.mark.parametrize("signed_in", [False, True], ids=["before login", "after login"])
@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_input_is_answered_or_refused_within_memory_limits(server, kind, signed_in):
    other = await server.signed_in(b"grace")
    client = await (server.signed_in() if signed_in else server.connect())
    before = anonymous_memory()
    last, received = b"", 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood, client, HOSTILE[kind])
        with trio.fail_after(20):
            while line := await client.line():
                check_line(line)
                last, received = line, received + len(line)
        assert anonymous_memory() - before < 8 * MIB
        nursery.cancel_scope.cancel()
    assert received < len(HOSTILE[kind]) * 30 + 1000
    if "without a line end" in kind or "HTTP" in kind:
        assert last.startswith(b"* BYE")
    with trio.fail_after(2):
        assert (await other.command(b"NOOP"))[-1].startswith(b"t OK")


async def test_refused_literal_is_skipped_and_not_executed(server):
    client = await server.connect()
    inside = b"\r\nx NOOP\r\nx LOGOUT\r\n"
    inside += b"y" * (70_000 - len(inside))
    await client.send(b"a LOGIN ada {%d+}\r\n" % len(inside) + inside + b"\r\nb NOOP\r\n")
    assert (await client.line()).split(b" ")[:2] in ([b"a", b"NO"], [b"a", b"BAD"])
    assert (await client.line()).startswith(b"b OK")


async def test_repeated_errors_before_login_end_the_connection(server):
    client = await server.connect()
    await client.send(b"a NONSENSE\r\n" * 50)
    response = await client.all()
    assert response.count(b"a BAD") < 10
    assert response.splitlines()[-1].startswith(b"* BYE")


async def test_client_that_does_not_read_a_large_fetch_does_not_delay_others(server):
    big = b"Subject: big\r\n\r\n" + (b"x" * 78 + b"\r\n") * 100_000
    await lmtp(server, b"ada@localhost", big)
    slow, other = await server.signed_in(), await server.signed_in()
    await slow.command(b"SELECT INBOX")
    await other.command(b"SELECT INBOX")
    before = anonymous_memory()
    await slow.send(b"f FETCH 1 BODY.PEEK[]\r\n" * 20)
    for _ in range(20):
        with trio.fail_after(1):
            await other.command(b"NOOP")
        await trio.sleep(0.005)
    assert anonymous_memory() - before < 8 * MIB
    await slow.stream.aclose()


PROXY_HEADERS = {
    "version 1": b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 143\r\n",
    "version 1, unknown": b"PROXY UNKNOWN\r\n",
    "version 2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12),
}


@pytest.mark.parametrize("kind", PROXY_HEADERS)
async def test_proxy_header_ends_the_connection_with_one_clear_event(server, caplog, kind):
    for _ in range(3):
        client = await server.connect()
        await client.send(PROXY_HEADERS[kind] + b"a LOGIN ada secret\r\n")
        assert await client.all() == b"* BYE PROXY protocol is not supported\r\n"
    events = [(r.levelname, r.peer) for r in caplog.records if "PROXY" in r.getMessage()]
    assert events == [("WARNING", "127.0.0.1")]


@pytest.mark.parametrize("kind", PROXY_HEADERS)
async def test_proxy_header_on_the_port_for_tls_is_logged(tmp_path, tls_server_files, caplog, kind):
    certificate, key = tls_server_files
    async with running(
        tmp_path, certificate=certificate, key=key, imaps=("127.0.0.1:0",)
    ) as server:
        client = Client(await trio.open_tcp_stream(*server.listening.imaps))
        await client.send(PROXY_HEADERS[kind])
        assert await client.all() == b""
    assert "PROXY header received" in caplog.text


@pytest.mark.parametrize("kind", PROXY_HEADERS)
async def test_proxy_header_at_lmtp_ends_the_connection_with_one_clear_event(server, caplog, kind):
    for _ in range(3):
        client = Client(await trio.open_tcp_stream(*server.listening.lmtp))
        await client.until(b"220 ")
        await client.send(PROXY_HEADERS[kind] + b"LHLO relay.example.org\r\n")
        assert await client.all() == b"421 4.3.2 PROXY protocol is not supported, closing\r\n"
    events = [(r.levelname, r.peer) for r in caplog.records if "PROXY" in r.getMessage()]
    assert events == [("WARNING", "127.0.0.1")]


async def test_command_like_a_proxy_header_at_lmtp_is_an_unknown_command(server):
    client = Client(await trio.open_tcp_stream(*server.listening.lmtp))
    await client.until(b"220 ")
    await client.send(b"PROXY\r\nLHLO relay.example.org\r\n" + PROXY_HEADERS["version 1"])
    assert await client.line() == b"500 5.5.2 unknown command\r\n"
    await client.until(b"250 ")
    assert await client.line() == b"500 5.5.2 unknown command\r\n"


async def test_tag_like_a_proxy_header_is_a_tag(server):
    client = await server.connect()
    await client.send(b"PROXY NOOP\r\n")
    assert await client.line() == b"PROXY OK NOOP completed\r\n"
