"""Probe of a server: a wrong setup becomes one error message."""

import contextlib
import dataclasses
import socket
import threading

import pytest
from bench.tests.builders import scenario, target

from imapvm_bench.errors import BenchError
from imapvm_bench.load.probe import probe_server
from imapvm_bench.scenario.model import Needs
from imapvm_bench.server.imap_client import Client, quoted
from imapvm_bench.server.lines import excerpt
from imapvm_bench.server.target import Address


@contextlib.contextmanager
def scripted_server(*answers, greeting=b"* OK hello\r\n"):
    """Run a server that answers each line with the next answer; `%s` is the tag."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve():
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(greeting)
                for answer in answers:
                    tag = lines.readline().split(b" ")[0]
                    connection.sendall(answer.replace(b"%s", tag))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        address = Address("127.0.0.1", listener.getsockname()[1])
        yield dataclasses.replace(target(), imap=address, lmtp=address)
    finally:
        listener.close()
        thread.join(10)


CAPABILITY = b"* CAPABILITY IMAP4rev1 ID LITERAL+\r\n%s OK\r\n"
OK = b"%s OK\r\n"


def test_a_probe_has_name_and_capabilities():
    identity = b'* ID ("name" "Fa\x1bke" "version" "2.0" "vendor" "x")\r\n%s OK\r\n'
    with scripted_server(CAPABILITY, OK, CAPABILITY, identity) as there:
        probe = probe_server(there, scenario())
    assert probe.name == "Fa�ke 2.0"
    assert probe.fast_literals
    assert probe.greeting == "* OK hello"


def test_literals_in_responses_are_skipped():
    literal = b"* LIST () {11}\r\nb1 OK not!\r\n x\r\n%s OK\r\n"
    with scripted_server(CAPABILITY, literal) as there, Client(there) as client:
        assert client.command("LIST")[0] == b"* LIST () {11}"


@pytest.mark.parametrize(
    ("greeting", "answers", "message"),
    [
        (b"220 mail ESMTP\r\n", [], "is not an IMAP server: greeting '220 mail ESMTP'"),
        (b"* BYE too many\r\n", [], "is not an IMAP server: greeting '\\* BYE too many'"),
        (b"", [], "closed the connection"),
        (b"* OK\r\n", [b"%s BAD what\r\n"], "CAPABILITY → BAD what"),
        (b"* OK\r\n", [CAPABILITY, b"%s NO [X] no\x1b[m\r\n"], r"LOGIN ada → NO \[X\] no�\[m"),
        (b"* OK\r\n", [CAPABILITY, b"* BYE going\r\n"], r"LOGIN ada → BYE going"),
    ],
)
def test_a_wrong_server_is_one_message(greeting, answers, message):
    with (
        scripted_server(*answers, greeting=greeting) as there,
        pytest.raises(BenchError, match=message),
    ):
        probe_server(there, scenario())


def test_a_mailbox_with_too_few_messages_is_an_error_with_the_command():
    status = b"* STATUS INBOX (MESSAGES 3)\r\n%s OK\r\n"
    plain = b"* CAPABILITY IMAP4rev1\r\n%s OK\r\n"
    with (
        scripted_server(plain, OK, plain, status) as there,
        pytest.raises(BenchError, match=r"needs 50 messages in INBOX of ada, which has 3: run"),
    ):
        probe_server(there, scenario(needs=Needs("INBOX", 50)))


def test_a_server_without_idle_is_an_error():
    plain = b"* CAPABILITY IMAP4rev1\r\n%s OK\r\n"
    with (
        scripted_server(plain, OK, plain) as there,
        pytest.raises(BenchError, match="the scenario 'small' needs the capability IDLE"),
    ):
        probe_server(there, scenario("IDLE"))


def test_a_server_without_lmtp_is_an_error():
    lmtp = scenario("DATA", protocol="lmtp")
    with (
        scripted_server(greeting=b"* OK hello\r\n") as there,
        pytest.raises(BenchError, match=r"is not an LMTP server"),
    ):
        probe_server(there, lmtp)
    with pytest.raises(BenchError, match=r"cannot connect to LMTP at 127.0.0.1:9: connection ref"):
        probe_server(target(lmtp=Address("127.0.0.1", 9)), lmtp)


def test_a_server_that_does_not_answer_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        there = dataclasses.replace(target(), imap=Address("127.0.0.1", port))
        with pytest.raises(BenchError, match=r"cannot read from .*: no answer in time"):
            Client(there, timeout=0.05)


def test_quoted_strings_and_excerpts():
    assert quoted('a"b\\c') == b'"a\\"b\\\\c"'
    assert excerpt(b"\x1b[2J\xff" + b"x" * 1000) == "�[2J�" + "x" * 295
