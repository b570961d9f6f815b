"""Whole server: real sockets, a filepool on disk."""

import gc
import os
import socket
import ssl
import struct
import sys
from collections import Counter
from pathlib import Path

import argon2
import pytest
import trio
from tests.server.whole import MESSAGE, Client, Server, lmtp, running

from imapvm.auth.passwords import hash_password
from imapvm.commands.context import Context
from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.intake.spool.file import submit
from imapvm.server import roles
from imapvm.server.imap.connection import Connection
from imapvm.server.net.listen import SettingsError
from imapvm.server.net.transport import Transport
from imapvm.server.roles import serve
from imapvm.server.settings import Settings
from imapvm.session.session import Session
from imapvm.session.view import View

# --- service ------------------------------------------------------------------------------------


async def test_lmtp_delivery_is_pushed_to_idle_clients_and_can_be_fetched(any_server):
    reader = await any_server.idling()
    assert (await lmtp(any_server, b"ada@localhost")).startswith(b"250")
    assert b"* 1 EXISTS\r\n" in await reader.until(b"* 1 EXISTS")
    await reader.send(b"DONE\r\n")
    await reader.until(b"i OK")
    assert any(b"Some text." in line for line in await reader.command(b"FETCH 1 BODY[TEXT]"))


async def test_spooled_mail_is_pushed_to_idle_clients(any_server):
    reader = await any_server.idling()
    submit(any_server.settings.spool, "a@example.org", ["ada@localhost"], [MESSAGE])
    await reader.until(b"* 1 EXISTS")


async def test_mail_is_not_pushed_to_other_users(any_server):
    ada, grace = await any_server.idling(), await any_server.signed_in(b"grace")
    await grace.command(b"SELECT INBOX")
    await grace.send(b"i IDLE\r\n")
    await grace.until(b"+ ")
    await lmtp(any_server, b"ada@localhost")
    await ada.until(b"* 1 EXISTS")
    await grace.send(b"DONE\r\n")
    assert (await grace.line()).startswith(b"i OK")


async def test_pipelined_commands_are_answered_in_order_with_one_send(any_server):
    client = await any_server.signed_in()
    await client.send(b"".join(b"p%d NOOP\r\n" % number for number in range(500)))
    for number in range(500):
        assert (await client.line()).startswith(b"p%d OK" % number)
    await client.send(b"a NOOP\r\nb NOOP\r\nc NOOP\r\n")
    with trio.fail_after(5):
        assert (await client.stream.receive_some()).count(b"\r\n") == 3


async def test_literal_is_acknowledged_before_the_rest_of_its_line_arrives(server):
    """Else a client that writes both apart waits 40 ms, as long as Linux delays it."""
    client = await server.signed_in()
    client.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, False)
    seconds = []
    for _ in range(10):
        await client.send(b"t APPEND INBOX {%d}\r\n" % len(MESSAGE))
        await client.until(b"+ ")
        began = trio.current_time()
        await client.send(MESSAGE)
        await client.send(b"\r\n")
        await client.until(b"t OK")
        seconds.append(trio.current_time() - began)
    assert min(seconds) < 0.03


async def test_done_and_further_commands_may_arrive_in_one_packet(any_server):
    client = await any_server.idling()
    await client.send(b"DONE\r\nx NOOP\r\ny IDLE\r\n")
    await client.until(b"i OK")
    await client.until(b"x OK")
    await client.until(b"+ ")
    await client.send(b"DONE\r\n")
    await client.until(b"y OK")


async def test_client_that_shuts_down_sending_gets_its_responses(any_server):
    client = await any_server.signed_in()
    await client.send(b"a NOOP\r\nb STATUS INBOX (MESSAGES)\r\n")
    await client.stream.send_eof()
    received = await client.all()
    assert b"a OK" in received
    assert b"b OK" in received


# --- TLS ----------------------------------------------------------------------------------------


async def secured(client: Client, client_tls: ssl.SSLContext) -> Client:
    secure = trio.SSLStream(client.stream, client_tls, server_hostname="imap.example.org")
    await secure.do_handshake()
    return Client(secure)


async def test_starttls_then_login(secure_server, client_tls):
    plain = await secure_server.connect()
    offered = (await plain.command(b"CAPABILITY"))[0].split()
    assert {b"STARTTLS", b"LOGINDISABLED"} <= set(offered)
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
async def test_commands_pipelined_after_starttls_are_not_run(
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
        received = b"".join(await client.command(b"NOOP"))
    except trio.BrokenResourceError:
        # It was read as the start of the handshake, which fails: no command was run.
        assert not together
        return
    assert b"x " not in received
    assert b"y " not in received
    # The tagged response is for the command inside TLS, and the session is not authenticated.
    assert (await client.command(b"SELECT INBOX"))[-1].startswith(b"t BAD")


async def test_ended_connections_leave_nothing_for_the_garbage_collector(server):
    """With 100,000 tasks a collection takes a third of a second, so it must be rare."""

    def alive() -> Counter[str]:
        kinds = (Transport, Connection, Context, Session, View)
        return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in kinds)

    async def reset(client: Client) -> None:
        client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await client.stream.aclose()

    async def read_and_close(client: Client) -> None:
        await client.all()
        await client.stream.aclose()

    async def talk() -> None:
        for end in (read_and_close, reset):
            client = await server.connect()
            await client.send(b"a LOGOUT\r\n" if end == read_and_close else b"a NO")
            await end(client)
            idling = await server.idling()
            await idling.send(b"DONE\r\nx LOGOUT\r\n" if end == read_and_close else b"")
            await end(idling)
            wrong = await server.signed_in()
            await wrong.command(b"SELECT nowhere")
            await wrong.command(b"FETCH")
            await wrong.send(b"GET / HTTP/1.1\r\n" if end == read_and_close else b"")
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


# --- shutdown -----------------------------------------------------------------------------------


async def test_shutdown_sends_bye_to_all_and_closes_the_port(tmp_path, workers):
    async with running(tmp_path, workers=workers) as server:
        clients = [await server.idling(), await server.signed_in(), await server.connect()]
        server.stop.cancel()
        for client in clients:
            assert b"* BYE [UNAVAILABLE] server is shutting down\r\n" in await client.all()
        address = server.listening.imap
    with pytest.raises(OSError, match=r"refused|failed"):
        await trio.open_tcp_stream(*address)


async def test_running_command_finishes_before_bye(tmp_path, workers):
    slow = hash_password(b"secret")  # a tenth of a second
    async with running(tmp_path, workers=workers) as server:
        client = await server.connect()
        await server_with_credential(server, slow)
        await client.send(b"a LOGIN slow secret\r\nb NOOP\r\n")
        await trio.sleep(0.02)
        server.stop.cancel()
        received = (await client.all()).splitlines()
    assert received[0].startswith(b"a OK")
    assert received[-1].startswith(b"* BYE")


async def server_with_credential(server: Server, credential: str) -> None:
    """Enroll `slow` from another process, as an operator does."""
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


async def test_commit_of_another_process_is_pushed_within_seconds(any_server):
    reader = await any_server.idling()
    await in_another_process(
        any_server,
        "from imapvm.filepool.store import NewMessage",
        "store = pool.account(pool.accounts.find('ada'))",
        "body = store.new_body()",
        f"body.feed({MESSAGE!r})",
        "with store.reading() as reader: inbox = reader.mailbox('INBOX').id",
        "await store.append(inbox, [NewMessage(body.finish(), 0, (), 0, 0)])",
    )
    with trio.fail_after(3):
        await reader.until(b"* 1 EXISTS")


async def test_sessions_of_a_deleted_account_are_sent_bye(any_server):
    ada, grace = await any_server.idling(), await any_server.signed_in(b"grace")
    selecting = await any_server.signed_in()
    await in_another_process(any_server, "await pool.accounts.delete(pool.accounts.find('ada').id)")
    for client in (ada, selecting):
        assert b"* BYE" in await client.all()
    assert (await grace.command(b"NOOP"))[-1].startswith(b"t OK")


async def test_sessions_of_a_user_with_a_new_password_are_sent_bye(any_server):
    idling, grace = await any_server.idling(), await any_server.signed_in(b"grace")
    other = await any_server.signed_in()
    credential = hash_password(b"other", parameters=argon2.profiles.CHEAPEST)
    await in_another_process(
        any_server,
        "ada = pool.accounts.find('ada')",
        f"await pool.accounts.set_credential(ada.id, {credential!r})",
    )
    for client in (idling, other):
        assert b"* BYE [EXPIRED] password was changed" in await client.all()
    assert (await grace.command(b"NOOP"))[-1].startswith(b"t OK")
    again = await any_server.connect()
    assert (await again.command(b"LOGIN ada secret"))[-1].startswith(b"t NO")
    assert (await again.command(b"LOGIN ada other"))[-1].startswith(b"t OK")
    assert (await again.command(b"NOOP"))[-1].startswith(b"t OK")


async def test_command_that_does_not_finish_is_cancelled_at_shutdown(tmp_path, monkeypatch):
    monkeypatch.setattr(roles, "SHUTDOWN_SECONDS", 0.2)
    async with running(tmp_path) as server:
        client = await server.connect()
        for _ in range(4):
            await client.command(b"LOGIN ada wrong")
        await client.send(b"x LOGIN ada secret\r\n")  # is delayed for seconds
        await trio.sleep(0.05)
        with trio.fail_after(3):
            server.stop.cancel()
            assert b"x OK" not in await client.all()


async def test_invalid_settings_are_refused_before_anything_is_opened(tmp_path):
    with pytest.raises(SettingsError, match="must be set together"):
        await serve(Settings(filepool=tmp_path / "none", key=tmp_path / "key"))


async def test_start_and_shutdown_leave_no_descriptors(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    async with running(tmp_path) as server:
        await server.idling()
        client = await server.signed_in()
        await client.command(b"LOGOUT")
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # the idling client's own end


def test_delivery_settings_have_defaults():
    assert Settings(filepool=Path("x")).delivery == DeliverySettings(hostname="localhost")
