"""Large mailbox: the client reads whole answers, and all rows get two values."""

import socket
import threading
import zlib

import pytest
from bench.peers import PEERS, Service
from bench.peers.scratch import scratch
from bench.table.large import SORTING, CommandError, LargePart, TimedClient
from bench.tests.table.builders import service

from imapvm_bench.errors import BenchError


@pytest.fixture
def scripted():
    """Return a server that sends the given answers, one for each command."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(*answers: bytes) -> Service:
        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"* OK ready\r\n")
                for answer in (b"a OK LOGIN completed\r\n", *answers):
                    connection.recv(65536)
                    for at in range(len(answer)):
                        connection.sendall(answer[at : at + 1])

        threading.Thread(target=run, daemon=True).start()
        address = listener.getsockname()
        made = service("imapvm")
        return Service(**{
            **{name: getattr(made, name) for name in made.__slots__}, "imap": address
        })  # fmt: skip

    yield serve
    listener.close()


def test_an_answer_is_read_to_its_tagged_line(scripted):
    answer = b"* 1 FETCH (BODY[] {6}\r\na OK\r\n)\r\na OK FETCH completed\r\n"
    with TimedClient(scripted(answer, b"a OK\r\n")) as client:
        assert client.do("FETCH 1 BODY[]") == answer
        assert client.milliseconds("NOOP") > 0


@pytest.mark.parametrize("answer", [b"a NO [CANNOT] no\r\n", b"a BAD unknown\r\n", b""])
def test_a_failed_command_is_an_error(scripted, answer):
    with TimedClient(scripted(answer)) as client, pytest.raises(BenchError):
        client.do("SORT (DATE) UTF-8 ALL")
    assert issubclass(CommandError, BenchError)


def test_answers_are_inflated(scripted):
    deflater = zlib.compressobj(wbits=-15)
    deflated = deflater.compress(b"* 3 EXISTS\r\na OK\r\n") + deflater.flush(zlib.Z_SYNC_FLUSH)
    with TimedClient(scripted(b"a OK\r\n", deflated)) as client:
        client.compress()
        assert client.do("NOOP") == b"* 3 EXISTS\r\na OK\r\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["imapvm", "dovecot-compress"])
def test_each_row_has_two_values(name, monkeypatch):
    monkeypatch.setattr("bench.table.large.IDLE_SECONDS", 0.1)
    with scratch() as base:
        rows = list(LargePart(PEERS[name], base / name, 1200, 3, 10).rows())
    assert len(rows) == len(SORTING) + (4 if name == "imapvm" else 3)
    for row in rows:
        assert not row.errors
        assert len(row.values[name]) == 2
        assert row.unit in {"ms", "KiB"}
