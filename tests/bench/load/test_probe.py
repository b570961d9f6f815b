"""The look at a server before a load: what is wrong becomes one sentence."""

import contextlib
import dataclasses
import socket
import threading

import pytest
from tests.bench.builders import scenario, target

from imapvm_bench.errors import BenchError
from imapvm_bench.load.probe import probe_server
from imapvm_bench.scenario.model import Needs
from imapvm_bench.server.imap_client import Client, quoted, shown
from imapvm_bench.server.target import Address


@contextlib.contextmanager
def server_that_says(*answers, greeting=b"* OK hello\r\n"):
    """A server that answers each line with the next of what it was given, `%s` being the tag."""
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


def test_a_server_tells_its_name_and_what_it_can_do():
    said = b'* ID ("name" "Fa\x1bke" "version" "2.0" "vendor" "x")\r\n%s OK\r\n'
    with server_that_says(CAPABILITY, OK, CAPABILITY, said) as there:
        probe = probe_server(there, scenario())
    assert probe.name == "Fa�ke 2.0"
    assert probe.fast_literals
    assert probe.greeting == "* OK hello"


def test_an_answer_with_a_literal_is_read_past_it():
    literal = b"* LIST () {11}\r\nb1 OK not!\r\n x\r\n%s OK\r\n"
    with server_that_says(CAPABILITY, literal) as there, Client(there) as client:
        assert client.command("LIST")[0] == b"* LIST () {11}"


@pytest.mark.parametrize(
    ("greeting", "answers", "said"),
    [
        (b"220 mail ESMTP\r\n", [], "greets with '220 mail ESMTP', not as IMAP does"),
        (b"* BYE too many\r\n", [], "greets with '\\* BYE too many'"),
        (b"", [], "closed the connection"),
        (b"* OK\r\n", [b"%s BAD what\r\n"], "CAPABILITY → BAD what"),
        (b"* OK\r\n", [CAPABILITY, b"%s NO [X] no\x1b[m\r\n"], r"LOGIN ada → NO \[X\] no�\[m"),
        (b"* OK\r\n", [CAPABILITY, b"* BYE going\r\n"], r"LOGIN ada → BYE going"),
    ],
)
def test_what_is_wrong_is_one_sentence(greeting, answers, said):
    with (
        server_that_says(*answers, greeting=greeting) as there,
        pytest.raises(BenchError, match=said),
    ):
        probe_server(there, scenario())


def test_a_mailbox_with_too_little_in_it_is_told_with_what_to_do():
    status = b"* STATUS INBOX (MESSAGES 3)\r\n%s OK\r\n"
    plain = b"* CAPABILITY IMAP4rev1\r\n%s OK\r\n"
    with (
        server_that_says(plain, OK, plain, status) as there,
        pytest.raises(BenchError, match=r"INBOX of ada has 3 messages, .* 50: make some with"),
    ):
        probe_server(there, scenario(needs=Needs("INBOX", 50)))


def test_a_server_without_idle_is_told_before_anybody_idles():
    plain = b"* CAPABILITY IMAP4rev1\r\n%s OK\r\n"
    with (
        server_that_says(plain, OK, plain) as there,
        pytest.raises(BenchError, match="does not offer IDLE, which the scenario 'small'"),
    ):
        probe_server(there, scenario("IDLE"))


def test_what_is_no_lmtp_is_told():
    lmtp = scenario("DATA", protocol="lmtp")
    with (
        server_that_says(greeting=b"* OK hello\r\n") as there,
        pytest.raises(BenchError, match=r"greets with .* not as LMTP does"),
    ):
        probe_server(there, lmtp)
    with pytest.raises(BenchError, match=r"LMTP at 127.0.0.1:9 cannot be reached: connection ref"):
        probe_server(target(lmtp=Address("127.0.0.1", 9)), lmtp)


def test_a_server_that_is_silent_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        there = dataclasses.replace(target(), imap=Address("127.0.0.1", port))
        with pytest.raises(BenchError, match="does not answer: no answer in time"):
            Client(there, timeout=0.05)


def test_strings_are_quoted_and_what_is_shown_is_short_and_harmless():
    assert quoted('a"b\\c') == b'"a\\"b\\\\c"'
    assert shown(b"\x1b[2J\xff" + b"x" * 1000) == "�[2J�" + "x" * 295
