"""SORT, THREAD and QRESYNC in a large mailbox, and COMPRESS, on imapvm and Dovecot.

The time of one command counts here, over the socket: the first after the start of the server, with
the data in the page cache, and the median of five more.
"""

import functools
import re
import socket
import statistics
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, Self

from bench.peers import Peer, PeerFailedError, Service
from bench.sorting import message
from bench.table.results import LargeRow
from imapvm_bench.errors import BenchError
from imapvm_bench.idle.memory import settled_memory

LARGE_SERVERS: Final = ("imapvm", "dovecot-compress")
USER: Final = "reader"
PASSWORD: Final = "secret"
APPENDED: Final = 100
"""Messages of one APPEND."""
CHANGES: Final = 50
AGAIN: Final = 5
IDLE_SECONDS: Final = 22.0
r"""Two sweeps of imapvm, after which it has dropped what an idle session does not need."""
BUSY_COMMANDS: Final = 30

SORTING: Final = (
    "SORT (ARRIVAL) UTF-8 ALL",
    "SORT (DATE) UTF-8 ALL",
    "SORT (SUBJECT) UTF-8 ALL",
    "THREAD ORDEREDSUBJECT UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
)
SORT_MS: Final = (250.0, 50.0)
RESYNC_MS: Final = (20.0, 20.0)
COMPRESSED_KIB: Final = (320.0, 56.0)
NOTIFY_KIB: Final = (10.0, 20.0)
"""Aims: first and again; busy and idle; in IDLE and with NOTIFY."""
MAILBOXES: Final = 100
SESSIONS_PER_USER: Final = 5


class CommandError(BenchError):
    """A command failed; the message has the answer."""


class TimedClient:
    """Connection that sends one command at a time."""

    def __init__(self, service: Service, user: str = USER) -> None:
        self._socket = socket.create_connection(service.imap, timeout=600)
        self._deflater: zlib._Compress | None = None
        self._inflater: zlib._Decompress | None = None
        self._buffer = bytearray()
        while b"\r\n" not in self._buffer:
            self._receive()
        self._buffer.clear()
        self.do(f"LOGIN {user} {PASSWORD}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def do(self, command: str | bytes) -> bytes:
        """Run a command; return its responses.

        Raises:
            CommandError: NO, BAD, or the connection is closed.
        """
        text = command.encode() if isinstance(command, str) else command
        data = b"a " + text + b"\r\n"
        if self._deflater is not None:
            data = self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        self._socket.sendall(data)
        while True:
            last = self._buffer.rfind(b"\n", 0, -1) + 1
            if self._buffer.startswith(b"a ", last) and self._buffer.endswith(b"\r\n"):
                break
            self._receive()
        answer = bytes(self._buffer)
        self._buffer.clear()
        if not answer.startswith(b"a OK", last):
            raise CommandError(f"{text[:60]!r}: {answer[last:].decode(errors='replace').strip()}")
        return answer

    def start(self, command: str) -> None:
        """Send a command without waiting for its end."""
        self._socket.sendall(f"b {command}\r\n".encode())

    def milliseconds(self, command: str) -> float:
        """Return the time of a command."""
        start = time.perf_counter()
        self.do(command)
        return (time.perf_counter() - start) * 1000

    def compress(self) -> None:
        """Compress both directions from here on."""
        self.do("COMPRESS DEFLATE")
        self._deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def _receive(self) -> None:
        data = self._socket.recv(1 << 18)
        if not data:
            raise CommandError("the server closed the connection")
        self._buffer += data if self._inflater is None else self._inflater.decompress(data)


@dataclass(frozen=True, slots=True)
class LargePart:
    """Measurement of one server."""

    peer: Peer
    base: Path
    messages: int
    sessions: int
    """Compressed sessions."""
    watching: int
    """Sessions with NOTIFY, on imapvm."""

    def rows(self) -> Iterator[LargeRow]:
        """Fill the mailbox, and yield the results as they are measured.

        Raises:
            PeerFailedError: the server does not start.
            BenchError: the mailbox cannot be filled.
        """
        with self._running() as service:
            _fill(service, self.messages)
        for command in SORTING:
            name = f"{command.removesuffix(' UTF-8 ALL')} of {self.messages:,}"
            once = functools.partial(_command, command)
            yield self._timed(LargeRow(name, "ms", goals=SORT_MS), once)
        with self._running() as service:
            state = _change(service, self.messages)
        name = f"SELECT (QRESYNC) of {self.messages:,}, 100 of them changed"
        once = functools.partial(_resync, f'SELECT "large" (QRESYNC ({state}))')
        yield self._timed(LargeRow(name, "ms", goals=RESYNC_MS), once)
        yield self._timed(LargeRow("FETCH 1:1000 (ENVELOPE), compressed", "ms"), _compressed)
        yield self._memory()
        if self.peer.name.startswith("imapvm"):
            yield self._notify()

    def _running(self) -> AbstractContextManager[Service]:
        """Start the server: nothing is in its memory."""
        return self._serving([USER])

    def _timed(self, row: LargeRow, once: Callable[[Service, TimedClient], float]) -> LargeRow:
        """Add the first time after the start of the server, and the median of five more."""
        try:
            with self._running() as service, TimedClient(service) as client:
                client.do('SELECT "large"')
                first = once(service, client)
                times = [once(service, client) for _ in range(AGAIN)]
            row.values[self.peer.name] = [first, statistics.median(times)]
        except (BenchError, PeerFailedError, OSError) as error:
            row.errors[self.peer.name] = str(error)
        return row

    def _memory(self) -> LargeRow:
        """Return the memory of a compressed session in KiB: busy, and after some idle time."""
        row = LargeRow("memory of a compressed session, busy and idle", "KiB", goals=COMPRESSED_KIB)
        try:
            with self._running() as service, ExitStack() as stack:
                with TimedClient(service) as warm:
                    warm.compress()
                    _use(warm)
                before = settled_memory(service.pid).anonymous
                clients = [stack.enter_context(TimedClient(service)) for _ in range(self.sessions)]
                for client in clients:
                    client.compress()
                    _use(client)
                busy = settled_memory(service.pid).anonymous
                time.sleep(IDLE_SECONDS)
                idle = settled_memory(service.pid).anonymous
            row.values[self.peer.name] = [
                (after - before) / 1024 / self.sessions for after in (busy, idle)
            ]
        except (BenchError, PeerFailedError, OSError) as error:
            row.errors[self.peer.name] = str(error)
        return row

    def _notify(self) -> LargeRow:
        """Return the memory of a session in KiB: in IDLE, and with NOTIFY of all mailboxes."""
        row = LargeRow(
            f"memory of a session in IDLE, and with NOTIFY of {MAILBOXES} mailboxes", "KiB",
            goals=NOTIFY_KIB,
        )  # fmt: skip
        users = [f"watcher{n}" for n in range(max(1, self.watching // SESSIONS_PER_USER))]
        try:
            with self._serving(users) as service:
                for user in users:
                    with TimedClient(service, user) as client:
                        for number in range(MAILBOXES):
                            client.do(f"CREATE box{number}")
            row.values[self.peer.name] = [self._cost(users, begin) for begin in (_idle, _watch)]
        except (BenchError, PeerFailedError, OSError) as error:
            row.errors[self.peer.name] = str(error)
        return row

    def _serving(self, users: Sequence[str]) -> AbstractContextManager[Service]:
        return self.peer.running(self.base, dict.fromkeys(users, PASSWORD), light=lambda _: True)

    def _cost(self, users: Sequence[str], begin: Callable[[TimedClient], None]) -> float:
        """Return the memory of a session, beyond the first of each user."""
        with self._serving(users) as service, ExitStack() as stack:
            for user in users:
                begin(stack.enter_context(TimedClient(service, user)))
            before = settled_memory(service.pid).anonymous
            for number in range(self.watching):
                begin(stack.enter_context(TimedClient(service, users[number % len(users)])))
            return (settled_memory(service.pid).anonymous - before) / 1024 / self.watching


def _idle(client: TimedClient) -> None:
    client.do("SELECT INBOX")
    client.start("IDLE")


def _watch(client: TimedClient) -> None:
    client.do("SELECT INBOX")
    events = "MessageNew MessageExpunge FlagChange"
    client.do(f"NOTIFY SET (SELECTED ({events})) (PERSONAL ({events}))")
    client.start("IDLE")


def _command(command: str, _: Service, client: TimedClient) -> float:
    return client.milliseconds(command)


def _resync(command: str, service: Service, _: TimedClient) -> float:
    """Return the time of SELECT of a client that returns."""
    with TimedClient(service) as client:
        client.do("ENABLE QRESYNC")
        return client.milliseconds(command)


def _compressed(service: Service, _: TimedClient) -> float:
    with TimedClient(service) as client:
        client.compress()
        client.do('SELECT "large"')
        return client.milliseconds("FETCH 1:1000 (ENVELOPE)")


def _fill(service: Service, count: int) -> None:
    """Append messages of a busy mailing list."""
    chance = Random(1)
    with TimedClient(service) as client:
        client.do('CREATE "large"')
        for start in range(1, count + 1, APPENDED):
            data = bytearray(b'APPEND "large"')
            for number in range(start, min(start + APPENDED, count + 1)):
                text = message(number, chance)
                data += b" {%d+}\r\n" % len(text) + text
            client.do(bytes(data))


def _change(service: Service, count: int) -> str:
    r"""Set \Seen on 50 messages, and expunge 50; return the state before, as QRESYNC has it."""
    with TimedClient(service) as client:
        client.do("ENABLE QRESYNC")
        selected = client.do('SELECT "large"')
        validity, modseq = (
            found[1].decode()
            for key in (rb"UIDVALIDITY (\d+)", rb"HIGHESTMODSEQ (\d+)")
            if (found := re.search(key, selected))
        )
        step = count // (2 * CHANGES + 1)
        for number in range(CHANGES):
            flagged, expunged = 1 + 2 * number * step, (2 * number + 1) * step
            client.do(rf"UID STORE {flagged} +FLAGS.SILENT (\Seen)")
            client.do(rf"UID STORE {expunged} +FLAGS.SILENT (\Deleted)")
            client.do(f"UID EXPUNGE {expunged}")
    return f"{validity} {modseq}"


def _use(client: TimedClient) -> None:
    """Run commands until both directions have 32 KiB of history."""
    client.do('SELECT "large"')
    client.do("FETCH 1:200 (ENVELOPE)")
    for number in range(BUSY_COMMANDS):
        words = "".join(f"{number * 7919 + n:x}" for n in range(250))
        client.do(f'SEARCH 1:10 SUBJECT "{words}"')
