"""The whole server in one tree of tasks: real sockets, a filepool on disk."""

import gc
import os
import socket
import ssl
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import argon2
import pytest
import trio

from imapvm.auth.passwords import hash_password
from imapvm.commands.context import Context
from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.intake.settings import IntakeSettings
from imapvm.intake.spoolfile import submit
from imapvm.server import roles
from imapvm.server.connection import Connection
from imapvm.server.listen import SettingsError
from imapvm.server.roles import serve
from imapvm.server.settings import Listening, Settings
from imapvm.server.transport import Transport
from imapvm.session.session import Session
from imapvm.session.view import View

CHEAP = hash_password(b"secret", parameters=argon2.profiles.CHEAPEST)
MESSAGE = b"From: a@example.org\r\nSubject: hello\r\n\r\nSome text.\r\n"
MIB = 1024 * 1024


class Client:
    """Speaks IMAP by hand: what is sent is sent as it is."""

    opened: ClassVar[list[trio.abc.Stream]] = []

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.rest = b""
        self.opened.append(stream)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def line(self) -> bytes:
        """The next line, or b"" at the end."""
        while b"\n" not in self.rest:
            try:
                data = await self.stream.receive_some()
            except trio.BrokenResourceError:
                data = b""
            if not data:
                rest, self.rest = self.rest, b""
                return rest
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        return line + b"\n"

    async def until(self, start: bytes) -> list[bytes]:
        """Lines up to one that begins so."""
        lines = []
        with trio.fail_after(20):
            while not (line := await self.line()).startswith(start):
                assert line, f"the server hung up before {start!r}; it said {lines}"
                lines.append(line)
        return [*lines, line]

    async def command(self, command: bytes) -> list[bytes]:
        await self.send(b"t " + command + b"\r\n")
        return await self.until(b"t ")

    async def all(self) -> bytes:
        """Everything up to the end."""
        parts = []
        with trio.fail_after(20):
            while line := await self.line():
                parts.append(line)
        return b"".join(parts)


class Server:
    def __init__(self, listening: Listening, settings: Settings, stop: trio.CancelScope) -> None:
        self.listening = listening
        self.settings = settings
        self.stop = stop

    async def connect(self) -> Client:
        assert self.listening.imap is not None
        client = Client(await trio.open_tcp_stream(*self.listening.imap))
        assert (await client.line()).startswith(b"* OK [CAPABILITY IMAP4rev1")
        return client

    async def signed_in(self, user: bytes = b"ada") -> Client:
        client = await self.connect()
        assert (await client.command(b"LOGIN " + user + b" secret"))[-1].startswith(b"t OK")
        return client

    async def idling(self) -> Client:
        client = await self.signed_in()
        await client.command(b"SELECT INBOX")
        await client.send(b"i IDLE\r\n")
        assert (await client.until(b"+ "))[-1].startswith(b"+ ")
        return client


@asynccontextmanager
async def running(folder: Path, **options) -> AsyncIterator[Server]:
    filepool = folder / "filepool"
    create_filepool(filepool)
    async with open_filepool(filepool) as pool:
        for name in ("ada", "grace"):
            await pool.accounts.enroll(name, CHEAP)
    settings = Settings(
        filepool=filepool,
        spool=folder / "spool",
        imap=("127.0.0.1:0",),
        lmtp=("127.0.0.1:0",),
        **options,
    )
    async with trio.open_nursery() as nursery:
        stop = trio.CancelScope()

        async def served(*, task_status: trio.TaskStatus[Listening]) -> None:
            with stop:
                await serve(settings, task_status=task_status)

        yield Server(await nursery.start(served), settings, stop)
        stop.cancel()
    while Client.opened:
        await trio.aclose_forcefully(Client.opened.pop())


@pytest.fixture
async def server(tmp_path) -> AsyncIterator[Server]:
    async with running(tmp_path) as server:
        yield server


@pytest.fixture
async def secure_server(tmp_path, tls_server_files) -> AsyncIterator[Server]:
    certificate, key = tls_server_files
    async with running(
        tmp_path, certificate=certificate, key=key, imaps=("127.0.0.1:0",), plaintext="never"
    ) as server:
        yield server


async def lmtp(server: Server, recipient: bytes, message: bytes = MESSAGE) -> bytes:
    """Deliver a message; returns the reply behind its end."""
    assert server.listening.lmtp is not None
    client = Client(await trio.open_tcp_stream(*server.listening.lmtp))
    await client.until(b"220 ")
    for said, reply in (
        (b"LHLO client", b"250 "),
        (b"MAIL FROM:<a@example.org>", b"250 "),
        (b"RCPT TO:<" + recipient + b">", b"250 "),
        (b"DATA", b"354 "),
    ):
        await client.send(said + b"\r\n")
        await client.until(reply)
    await client.send(message + b".\r\n")
    return await client.line()


# --- all parts ----------------------------------------------------------------------------------


async def test_mail_handed_over_by_lmtp_is_announced_to_who_idles_and_can_be_read(server):
    reader = await server.idling()
    assert (await lmtp(server, b"ada@localhost")).startswith(b"250")
    assert b"* 1 EXISTS\r\n" in await reader.until(b"* 1 EXISTS")
    await reader.send(b"DONE\r\n")
    await reader.until(b"i OK")
    assert any(b"Some text." in line for line in await reader.command(b"FETCH 1 BODY[TEXT]"))


async def test_mail_dropped_into_the_spool_is_announced_to_who_idles(server):
    reader = await server.idling()
    submit(server.settings.spool, "a@example.org", ["ada@localhost"], [MESSAGE])
    await reader.until(b"* 1 EXISTS")


async def test_one_users_mail_is_announced_to_nobody_else(server):
    ada, grace = await server.idling(), await server.signed_in(b"grace")
    await grace.command(b"SELECT INBOX")
    await grace.send(b"i IDLE\r\n")
    await grace.until(b"+ ")
    await lmtp(server, b"ada@localhost")
    await ada.until(b"* 1 EXISTS")
    await grace.send(b"DONE\r\n")
    assert (await grace.line()).startswith(b"i OK")


async def test_pipelined_commands_are_answered_in_order_with_one_send(server):
    client = await server.signed_in()
    await client.send(b"".join(b"p%d NOOP\r\n" % number for number in range(500)))
    for number in range(500):
        assert (await client.line()).startswith(b"p%d OK" % number)
    await client.send(b"a NOOP\r\nb NOOP\r\nc NOOP\r\n")
    with trio.fail_after(5):
        assert (await client.stream.receive_some()).count(b"\r\n") == 3


async def test_done_and_the_next_commands_may_come_in_one_packet(server):
    client = await server.idling()
    await client.send(b"DONE\r\nx NOOP\r\ny IDLE\r\n")
    await client.until(b"i OK")
    await client.until(b"x OK")
    await client.until(b"+ ")
    await client.send(b"DONE\r\n")
    await client.until(b"y OK")


async def test_a_client_that_closes_its_half_still_gets_its_answers(server):
    client = await server.signed_in()
    await client.send(b"a NOOP\r\nb STATUS INBOX (MESSAGES)\r\n")
    await client.stream.send_eof()
    said = await client.all()
    assert b"a OK" in said
    assert b"b OK" in said


# --- TLS ----------------------------------------------------------------------------------------


async def secured(client: Client, client_tls: ssl.SSLContext) -> Client:
    secure = trio.SSLStream(client.stream, client_tls, server_hostname="imap.example.org")
    await secure.do_handshake()
    return Client(secure)


async def test_starttls_then_login(secure_server, client_tls):
    plain = await secure_server.connect()
    assert any(b"STARTTLS LOGINDISABLED" in line or b"LOGINDISABLED" in line
               for line in await plain.command(b"CAPABILITY"))  # fmt: skip
    assert (await plain.command(b"LOGIN ada secret"))[-1].startswith(b"t NO [PRIVACYREQUIRED]")
    assert (await plain.command(b"STARTTLS"))[-1].startswith(b"t OK")
    client = await secured(plain, client_tls)
    offered = (await client.command(b"CAPABILITY"))[0]
    assert b"STARTTLS" not in offered
    assert b"LOGINDISABLED" not in offered
    assert (await client.command(b"LOGIN ada secret"))[-1].startswith(b"t OK")


async def test_imaps_is_tls_before_the_greeting(secure_server, client_tls):
    plain = Client(await trio.open_tcp_stream(*secure_server.listening.imaps))
    client = await secured(plain, client_tls)
    assert (await client.line()).startswith(b"* OK [CAPABILITY IMAP4rev1")
    assert (await client.command(b"LOGIN ada secret"))[-1].startswith(b"t OK")
    assert (await client.command(b"LOGOUT"))[-1].startswith(b"t OK")
    assert await client.all() == b""


@pytest.mark.parametrize(
    "injected",
    [b"x NOOP\r\n", b"x CAPABILITY\r\ny NOOP\r\n", b"x ID (", b"x LOGIN ada {6+}\r\nsecret\r\n"],
)
@pytest.mark.parametrize("together", [True, False], ids=["one packet", "two packets"])
async def test_what_is_pipelined_behind_starttls_is_never_carried_out(
    secure_server, client_tls, injected, together
):
    plain = await secure_server.connect()
    if together:
        await plain.send(b"a STARTTLS\r\n" + injected)
    else:
        plain.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        await plain.send(b"a STARTTLS\r\n")
        await plain.send(injected)
    assert (await plain.line()).startswith(b"a OK")
    try:
        client = await secured(plain, client_tls)
        said = b"".join(await client.command(b"NOOP"))
    except trio.BrokenResourceError:
        # It was read as the beginning of the handshake, which fails: nothing was carried out.
        assert not together
        return
    assert b"x " not in said
    assert b"y " not in said
    # The tagged answer belongs to what was said inside TLS, and nobody is signed in.
    assert (await client.command(b"SELECT INBOX"))[-1].startswith(b"t BAD")


# --- hostile input ------------------------------------------------------------------------------

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


def anonymous_memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


async def flood(client: Client, data: bytes) -> None:
    view = memoryview(data)
    try:
        for start in range(0, len(view), 65536):
            await client.stream.send_all(view[start : start + 65536])
        await client.stream.send_eof()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # it hung up on us, which is an answer


def check_line(line: bytes) -> None:
    """What a client can make sense of, whatever was sent."""
    assert line.endswith(b"\r\n")
    assert line.split(b" ", 2)[1] in {b"BAD", b"NO", b"BYE", b"OK"} or line.startswith(
        (b"+ ", b"* SEARCH", b"* ID")
    )


@pytest.mark.parametrize("signed_in", [False, True], ids=["stranger", "signed in"])
@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_input_is_answered_or_ended_within_bounds(server, kind, signed_in):
    other = await server.signed_in(b"grace")
    client = await (server.signed_in() if signed_in else server.connect())
    before = anonymous_memory()
    last, octets = b"", 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood, client, HOSTILE[kind])
        with trio.fail_after(20):
            while line := await client.line():
                check_line(line)
                last, octets = line, octets + len(line)
        assert anonymous_memory() - before < 8 * MIB
        nursery.cancel_scope.cancel()
    assert octets < len(HOSTILE[kind]) * 30 + 1000
    if "without a line end" in kind or "HTTP" in kind:
        assert last.startswith(b"* BYE")
    with trio.fail_after(2):
        assert (await other.command(b"NOOP"))[-1].startswith(b"t OK")


async def test_a_literal_that_is_refused_is_skipped_and_not_executed(server):
    client = await server.connect()
    inside = b"\r\nx NOOP\r\nx LOGOUT\r\n"
    inside += b"y" * (70_000 - len(inside))
    await client.send(b"a LOGIN ada {%d+}\r\n" % len(inside) + inside + b"\r\nb NOOP\r\n")
    assert (await client.line()).split(b" ")[:2] in ([b"a", b"NO"], [b"a", b"BAD"])
    assert (await client.line()).startswith(b"b OK")


async def test_strangers_who_go_on_being_wrong_are_let_go(server):
    client = await server.connect()
    await client.send(b"a NONSENSE\r\n" * 50)
    said = await client.all()
    assert said.count(b"a BAD") < 10
    assert said.splitlines()[-1].startswith(b"* BYE")


async def test_a_client_that_reads_nothing_of_a_large_fetch_holds_up_nobody(server):
    big = b"Subject: big\r\n\r\n" + (b"x" * 78 + b"\r\n") * 100_000
    await lmtp(server, b"ada@localhost", big)
    deaf, other = await server.signed_in(), await server.signed_in()
    await deaf.command(b"SELECT INBOX")
    await other.command(b"SELECT INBOX")
    before = anonymous_memory()
    await deaf.send(b"f FETCH 1 BODY.PEEK[]\r\n" * 20)
    for _ in range(20):
        with trio.fail_after(1):
            await other.command(b"NOOP")
        await trio.sleep(0.005)
    assert anonymous_memory() - before < 8 * MIB
    await deaf.stream.aclose()


async def test_connections_that_have_ended_leave_nothing_for_the_garbage_collector(server):
    """With a hundred thousand tasks a collection takes a third of a second: it must be rare."""

    def alive() -> Counter[str]:
        kinds = (Transport, Connection, Context, Session, View)
        return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in kinds)

    async def reset(client: Client) -> None:
        client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await client.stream.aclose()

    async def hear_and_close(client: Client) -> None:
        await client.all()
        await client.stream.aclose()

    async def talk() -> None:
        for end in (hear_and_close, reset):
            client = await server.connect()
            await client.send(b"a LOGOUT\r\n" if end == hear_and_close else b"a NO")
            await end(client)
            idling = await server.idling()
            await idling.send(b"DONE\r\nx LOGOUT\r\n" if end == hear_and_close else b"")
            await end(idling)
            wrong = await server.signed_in()
            await wrong.command(b"SELECT nowhere")
            await wrong.command(b"FETCH")
            await wrong.send(b"GET / HTTP/1.1\r\n" if end == hear_and_close else b"")
            await end(wrong)

    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            await talk()
        await trio.sleep(0.3)
        assert not alive()
    finally:
        gc.enable()


# --- the end ------------------------------------------------------------------------------------


async def test_everybody_hears_bye_and_the_port_is_closed(tmp_path):
    async with running(tmp_path) as server:
        clients = [await server.idling(), await server.signed_in(), await server.connect()]
        server.stop.cancel()
        for client in clients:
            assert b"* BYE the server is shutting down\r\n" in await client.all()
        address = server.listening.imap
    with pytest.raises(OSError, match=r"refused|failed"):
        await trio.open_tcp_stream(*address)


async def test_a_command_that_runs_is_finished_before_bye(tmp_path):
    slow = hash_password(b"secret")  # a tenth of a second
    async with running(tmp_path) as server:
        client = await server.connect()
        await server_with_credential(server, slow)
        await client.send(b"a LOGIN slow secret\r\nb NOOP\r\n")
        await trio.sleep(0.02)
        server.stop.cancel()
        said = (await client.all()).splitlines()
    assert said[0].startswith(b"a OK")
    assert said[-1].startswith(b"* BYE")


async def server_with_credential(server: Server, credential: str) -> None:
    """Enrol `slow` from another process, as the operator does."""
    await in_another_process(
        server,
        f"await pool.accounts.enroll('slow', {credential!r})",
    )


async def in_another_process(server: Server, *statements: str) -> None:
    code = [
        "import trio",
        "from pathlib import Path",
        "from imapvm.filepool.pool import open_filepool",
        "async def main():",
        f"    async with open_filepool(Path({str(server.settings.filepool)!r})) as pool:",
        *(f"        {statement}" for statement in statements),
        "trio.run(main)",
    ]
    await trio.run_process([sys.executable, "-c", "\n".join(code)])


async def test_a_commit_of_another_process_is_announced_within_a_second_or_so(server):
    reader = await server.idling()
    await in_another_process(
        server,
        "from imapvm.filepool.messages import NewMessage",
        "store = pool.account(pool.accounts.find('ada'))",
        "body = pool.new_body()",
        f"body.feed({MESSAGE!r})",
        "with store.reading() as reader: inbox = reader.mailbox('INBOX').id",
        "await store.append(inbox, [NewMessage(body.finish(), 0, (), 0, 0)])",
    )
    with trio.fail_after(3):
        await reader.until(b"* 1 EXISTS")


async def test_sessions_of_a_deleted_account_hear_bye(server):
    ada, grace = await server.idling(), await server.signed_in(b"grace")
    selecting = await server.signed_in()
    await in_another_process(server, "await pool.accounts.delete(pool.accounts.find('ada').id)")
    for client in (ada, selecting):
        assert b"* BYE" in await client.all()
    assert (await grace.command(b"NOOP"))[-1].startswith(b"t OK")


async def test_a_command_that_does_not_end_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(roles, "SHUTDOWN_SECONDS", 0.2)
    async with running(tmp_path) as server:
        client = await server.connect()
        for _ in range(4):
            await client.command(b"LOGIN ada wrong")
        await client.send(b"x LOGIN ada secret\r\n")  # waits seconds for its turn
        await trio.sleep(0.05)
        with trio.fail_after(3):
            server.stop.cancel()
            assert b"x OK" not in await client.all()


async def test_what_cannot_work_is_said_before_anything_is_opened(tmp_path):
    with pytest.raises(SettingsError, match="several processes"):
        await serve(Settings(filepool=tmp_path / "none", workers=2))


async def test_starting_and_ending_leaves_no_descriptors(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    async with running(tmp_path) as server:
        await server.idling()
        client = await server.signed_in()
        await client.command(b"LOGOUT")
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # the idling client's own end


def test_intake_settings_have_their_default():
    assert Settings(filepool=Path("x")).intake == IntakeSettings(hostname="localhost")
    assert (
        subprocess.run([sys.executable, "-c", "import imapvm.server.roles"], check=False).returncode
        == 0
    )
