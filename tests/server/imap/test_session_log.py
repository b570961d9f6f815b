"""Log events of a session: login, failure, logout, and the session id on each of them."""

import logging

import pytest
import trio
from tests.server.whole import Client, Processes, running, until

from imapvm.commands import services


@pytest.fixture(autouse=True)
def debug(caplog) -> None:
    caplog.set_level(logging.DEBUG, logger="imapvm")


def events(caplog, name: str) -> list[dict[str, object]]:
    """Return the fields of the events with this name."""
    return [vars(record) for record in caplog.records if record.getMessage() == name]


async def one(caplog, name: str) -> dict[str, object]:
    """Wait for an event, and return its fields."""
    await until(lambda: events(caplog, name))
    (found,) = events(caplog, name)
    return found


async def test_login_and_logout(server, caplog):
    client = await server.connect()
    await client.command(b'ID ("name" "Mailer" "version" "3.1" "os" "x")')
    await client.command(b"LOGIN ADA secret")
    await client.command(b"LOGOUT")
    await client.stream.aclose()
    login, logout = await one(caplog, "login"), await one(caplog, "logout")
    assert len(login["session"]) == 12
    assert login["session"] == logout["session"]
    for fields in (login, logout):
        assert (fields["user"], fields["peer"]) == ("ada", "127.0.0.1")
    assert (login["mechanism"], login["tls"], login["client"]) == ("command", "none", "Mailer 3.1")
    assert (logout["commands"], logout["reason"]) == (3, "LOGOUT")
    assert logout["bytes_in"] == sum(
        map(
            len, (b't ID ("name" "Mailer" "version" "3.1" "os" "x")\r\n', b"t LOGIN ADA secret\r\n")
        )
    ) + len(b"t LOGOUT\r\n")
    assert logout["bytes_out"] > 100
    assert 0 <= logout["seconds"] < 60


async def test_login_over_tls_has_its_version_and_mechanism(client_tls, secure_server, caplog):
    host, port = secure_server.listening.imaps
    plain = await trio.open_tcp_stream(host, port)
    client = Client(trio.SSLStream(plain, client_tls, server_hostname="imap.example.org"))
    await client.line()
    await client.command(b"AUTHENTICATE PLAIN AGFkYQBzZWNyZXQ=")
    if isinstance(secure_server, Processes):
        await until(lambda: secure_server.events("login"))
        (login,) = secure_server.events("login")
        assert login["role"].startswith("worker-")
    else:
        login = await one(caplog, "login")
    assert (login["mechanism"], login["tls"]) == ("PLAIN", "TLSv1.3")
    assert "client" not in login


async def test_id_after_login_is_logged_once(server, caplog):
    client = await server.signed_in()
    await client.command(b'ID ("NAME" "Mailer")')
    await client.command(b'ID ("name" "Other")')
    found = await one(caplog, "client identified")
    assert (found["client"], found["user"]) == ("Mailer", "ada")


@pytest.mark.parametrize("fields", [b"NIL", b'("os" "x")', b'("name" NIL)', b'("name" "")'])
async def test_id_without_a_name_is_not_logged(server, caplog, fields):
    client = await server.signed_in()
    await client.command(b"ID " + fields)
    assert not events(caplog, "client identified")


async def test_id_is_shortened(server, caplog):
    client = await server.signed_in()
    await client.command(b'ID ("name" "%b" "version" "1")' % (b"x" * 1000))
    assert (await one(caplog, "client identified"))["client"] == "x" * 100


@pytest.mark.parametrize(
    ("command", "user", "reason"),
    [
        (b"LOGIN grace wrong", "grace", "wrong password"),
        (b"LOGIN eve secret", "eve", "unknown user"),
        (b'LOGIN "" secret', None, "name and password must not be empty"),
    ],
)
async def test_failure_has_the_tried_name_and_the_reason(server, caplog, command, user, reason):
    client = await server.connect()
    await client.command(command)
    failed = await one(caplog, "login failed")
    assert (failed.get("user"), failed["reason"]) == (user, reason)
    assert (failed["peer"], failed["mechanism"]) == ("127.0.0.1", "command")
    assert failed["session"]
    assert "secret" not in caplog.text


async def test_refusals_without_a_password_check_are_logged_once_in_an_interval(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(services, "REFUSAL_LOG_SECONDS", 60.0)
    async with running(tmp_path) as server:
        for _ in range(3):
            client = await server.connect()
            await client.command(b'LOGIN "" secret')
    assert len(events(caplog, "login failed")) == 1
    assert (await one(caplog, "login failed"))["skipped"] == 0


async def test_client_that_closes_without_logout(server, caplog):
    client = await server.signed_in()
    await client.stream.aclose()
    assert (await one(caplog, "logout"))["reason"] == "client closed the connection"


async def test_session_that_the_server_ends_has_the_reason(server, caplog):
    idling, running = await server.idling(), await server.signed_in()
    server.stop.cancel()
    await idling.all()
    await running.all()
    await until(lambda: len(events(caplog, "logout")) == 2)
    assert {found["reason"] for found in events(caplog, "logout")} == {"server is shutting down"}


async def test_connection_without_login_is_logged_at_debug_level(server, caplog):
    client = await server.connect()
    await client.stream.aclose()
    closed = await one(caplog, "connection closed")
    assert closed["levelno"] == logging.DEBUG
    assert "user" not in closed
    assert not events(caplog, "logout")


async def test_each_session_has_its_own_id(server, caplog):
    for _ in range(3):
        await server.signed_in()
    assert len({found["session"] for found in events(caplog, "login")}) == 3
