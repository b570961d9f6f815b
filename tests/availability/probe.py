"""Probe sessions and hostile clients: how long one session's commands delay other sessions."""

import contextlib
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path

from tests.demo import Demo
from tests.sampling import anonymous_bytes, sampling

Address = tuple[str, int]
Attack = Callable[[Demo], Iterator[None]]

BASELINE_SECONDS = 1.0
"""Of probing before the attack."""
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
class Delay:
    """Worst delay of a command of another user, in seconds."""

    baseline: float
    """Before the attack: what the machine's other work causes."""
    attack: float
    """During the attack."""


@dataclass(frozen=True, slots=True)
class Delays:
    """Measurement of one attack."""

    noop: Delay
    append: Delay
    seconds: float
    """How long the attack took."""
    peak_mib: float
    """Growth of the server's peak of anonymous memory, of all its processes."""
    share: float
    """Part of the time in which the server's threads had a processor when they needed one."""

    def __str__(self) -> str:
        return (
            f"NOOP {self.noop.attack * 1000:.0f} ms (baseline {self.noop.baseline * 1000:.0f}),"
            f" APPEND {self.append.attack * 1000:.0f} ms"
            f" (baseline {self.append.baseline * 1000:.0f}),"
            f" attack {self.seconds:.2f} s, memory +{self.peak_mib:.0f} MiB,"
            f" processors {self.share:.0%}"
        )


def _processes(pid: int) -> list[int]:
    """Return a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def _schedule(pids: list[int]) -> tuple[int, int]:
    """Return nanoseconds that all threads ran, and that they waited for a processor."""
    ran = waited = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # it has ended
                words = (thread / "schedstat").read_text().split()
                ran, waited = ran + int(words[0]), waited + int(words[1])
    return ran, waited


def _memory(pids: list[int]) -> float:
    """Return the anonymous resident memory of some processes, in MiB."""
    return sum(map(anonymous_bytes, pids)) / (1024 * 1024)


@contextlib.contextmanager
def _peak(pids: list[int]) -> Iterator[list[float]]:
    """Measure the memory of processes every five milliseconds, and yield its growth."""
    before = _memory(pids)
    growth = [0.0]

    def sample() -> None:
        growth[0] = max(growth[0], _memory(pids) - before)

    with sampling(sample, 0.005):
        yield growth


def _worst(client: Client, command: bytes, pause: float, over: Callable[[], bool]) -> float:
    """Send a command again and again, at least once; return the worst delay."""
    worst = _time(client, command, pause)
    while not over():
        worst = max(worst, _time(client, command, pause))
    return worst


def _time(client: Client, command: bytes, pause: float) -> float:
    """Send a command, and wait for the rest of the pause; return its delay."""
    at = time.perf_counter()
    client.done(command)
    took = time.perf_counter() - at
    time.sleep(max(0.0, pause - took))
    return took


def _probe_appends(address: Address, go: Event, over: Event, result: Connection) -> None:
    client = Client(address, "probe")
    client.done(APPEND)
    result.send(None)
    baseline = worst = 0.0
    while not over.is_set() or not worst:
        took = _time(client, APPEND, APPEND_SECONDS)
        if go.is_set():  # also one that was sent before the attack
            worst = max(worst, took)
        else:
            baseline = max(baseline, took)
    result.send(Delay(baseline, worst))


def measure(server: Demo, attack: Attack, *, clients: int = 1) -> Delays:
    """Run an attack in processes of its own, and probe before and meanwhile as another user."""
    context = multiprocessing.get_context("fork")
    ready, go, over = context.Semaphore(0), context.Event(), context.Event()
    processes = [
        context.Process(target=_attack, args=(attack, server, ready, go)) for _ in range(clients)
    ]
    receiver, sender = context.Pipe(duplex=False)
    appends = context.Process(target=_probe_appends, args=(server.imap, go, over, sender))
    probe = Client(server.imap, "probe")
    for process in processes:
        process.start()
    try:
        for process in processes:
            while not ready.acquire(timeout=1):
                assert process.exitcode is None, "the attack is not prepared"
        appends.start()
        receiver.recv()
        until = time.perf_counter() + BASELINE_SECONDS
        baseline = _worst(probe, NOOP, NOOP_SECONDS, lambda: time.perf_counter() > until)
        pids = _processes(server.process.pid)
        ran, waited = _schedule(pids)
        with _peak(pids) as growth:
            started = time.perf_counter()
            go.set()
            noop = _worst(
                probe, NOOP, NOOP_SECONDS, lambda: not any(one.is_alive() for one in processes)
            )
            ended = time.perf_counter()
        ran, waited = (
            after - one for after, one in zip(_schedule(pids), (ran, waited), strict=True)
        )
        share = ran / (ran + waited) if ran > 0 and waited > 0 else 1.0
        over.set()
        append = receiver.recv()
    finally:
        over.set()
        go.set()
        probe.close()
        for process in processes:
            process.join(timeout=60)
        if appends.pid is not None:
            appends.join(timeout=60)
    delays = Delays(Delay(baseline, noop), append, ended - started, growth[0], share)
    if any(process.exitcode for process in processes):
        raise AttackFailedError(delays)
    return delays


class AttackFailedError(Exception):
    """The server did not answer the attack as it should. The argument is the measurement."""


def _attack(attack: Attack, server: Demo, ready: Semaphore, go: Event) -> None:
    """Prepare, wait for the start, attack: an attack is a generator that yields when prepared."""
    with contextlib.suppress(OSError):
        os.nice(5)  # the server is measured, not the competition for processors
    steps = attack(server)
    next(steps)
    ready.release()
    go.wait()
    for _ in steps:
        pass
