"""Probe sessions and hostile clients: how long one session's commands delay other sessions."""

import contextlib
import multiprocessing
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path

Address = tuple[str, int]
Attack = Callable[[Address], Iterator[None]]

NOOP_SECONDS = 0.005
"""Between two NOOPs of the probe."""
APPEND_SECONDS = 0.02
"""Between two APPENDs of the probe: each is a commit."""
NOOP = b"NOOP"
APPEND = b"APPEND INBOX {17+}\r\nSubject: x\r\n\r\nx\r\n"


class Client:
    """Blocking IMAP client that sends bytes as they are."""

    def __init__(self, address: Address, user: str | None = None, password: str = "secret") -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.socket.makefile("rb")
        self.lines.readline()
        if user is not None:
            self.done(f"LOGIN {user} {password}")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until(self, start: bytes) -> bytes:
        """Skip lines up to one that starts with `start`, and return it."""
        while not (line := self.lines.readline()).startswith(start):
            if not line:
                raise ConnectionError("the server closed the connection")
        return line

    def command(self, text: str | bytes) -> bytes:
        """Send one command and return its tagged line."""
        data = text.encode() if isinstance(text, str) else text
        self.send(b"t " + data + b"\r\n")
        return self.until(b"t ")

    def done(self, text: str | bytes) -> bytes:
        """Send one command, which must succeed."""
        line = self.command(text)
        assert line.startswith(b"t OK"), line
        return line

    def refused(self, text: str | bytes, code: bytes) -> None:
        """Send one command, which must get NO with a response code."""
        line = self.command(text)
        assert line.startswith(b"t NO [" + code), line

    def number(self, mailbox: str, item: str = "MESSAGES") -> int:
        """Return one item of STATUS."""
        self.send(f"t STATUS {mailbox} ({item})\r\n".encode())
        line = self.until(b"* STATUS")
        assert self.until(b"t ").startswith(b"t OK")
        return int(line.split()[-1].rstrip(b")"))

    def pipeline(self, commands: list[bytes]) -> None:
        """Send commands in one piece, which must succeed. Output must be small."""
        self.send(b"".join(b"t " + command + b"\r\n" for command in commands))
        for _ in commands:
            line = self.until(b"t ")
            assert line.startswith(b"t OK"), line

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


@dataclass(frozen=True, slots=True)
class Delays:
    """Measurement of one attack, in seconds and MiB."""

    noop: float
    """Worst delay of a NOOP of another user."""
    append: float
    """Worst delay of an APPEND of another user."""
    attack: float
    """How long the attack took."""
    peak_mib: float
    """Growth of the server's peak of anonymous memory."""

    def __str__(self) -> str:
        return (
            f"NOOP {self.noop * 1000:6.0f} ms  APPEND {self.append * 1000:6.0f} ms"
            f"  attack {self.attack:6.2f} s  memory +{self.peak_mib:4.0f} MiB"
        )


def _memory(pid: int) -> float:
    """Return the anonymous resident memory of a process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


@contextlib.contextmanager
def _peak(pid: int) -> Iterator[list[float]]:
    """Measure the memory of a process every two milliseconds, and yield its growth."""
    before = _memory(pid)
    growth = [0.0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.002):
            growth[0] = max(growth[0], _memory(pid) - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield growth
    finally:
        over.set()
        watcher.join()


def _worst(client: Client, command: bytes, pause: float, over: Callable[[], bool]) -> float:
    """Send a command again and again until the attack is over; return the worst delay."""
    worst = 0.0
    while not over():
        at = time.perf_counter()
        client.done(command)
        took = time.perf_counter() - at
        worst = max(worst, took)
        time.sleep(max(0.0, pause - took))
    return worst


def _probe_appends(address: Address, over: Event, result: Connection) -> None:
    client = Client(address, "probe")
    client.done(APPEND)
    result.send(None)
    result.send(_worst(client, APPEND, APPEND_SECONDS, over.is_set))


def measure(address: Address, pid: int, attack: Attack, *, clients: int = 1) -> Delays:
    """Run an attack in processes of its own, and probe meanwhile from other users' sessions."""
    context = multiprocessing.get_context("fork")
    ready, go, over = context.Semaphore(0), context.Event(), context.Event()
    processes = [
        context.Process(target=_attack, args=(attack, address, ready, go)) for _ in range(clients)
    ]
    receiver, sender = context.Pipe(duplex=False)
    appends = context.Process(target=_probe_appends, args=(address, over, sender))
    probe = Client(address, "probe")
    for process in (*processes, appends):
        process.start()
    try:
        for _ in processes:
            assert ready.acquire(timeout=300), "the attack is not prepared"
        receiver.recv()
        with _peak(pid) as growth:
            started = time.perf_counter()
            go.set()
            noop = _worst(
                probe, NOOP, NOOP_SECONDS, lambda: not any(one.is_alive() for one in processes)
            )
            ended = time.perf_counter()
        over.set()
        append = receiver.recv()
    finally:
        over.set()
        probe.close()
        for process in (*processes, appends):
            process.join(timeout=60)
    assert all(process.exitcode == 0 for process in processes), "the attack itself failed"
    return Delays(noop, append, ended - started, growth[0])


def _attack(attack: Attack, address: Address, ready: Semaphore, go: Event) -> None:
    """Prepare, wait for the start, attack: an attack is a generator that yields when prepared."""
    with contextlib.suppress(OSError):
        os.nice(5)  # the server is measured, not the competition for processors
    steps = attack(address)
    next(steps)
    ready.release()
    go.wait()
    for _ in steps:
        pass
