"""Processes of a server: start, wait until it listens, end with all descendants."""

import os
import signal
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.peers.peer import HostPort, PeerFailedError

START_SECONDS: Final = 30.0
END_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.02
"""Interval of polling; small against the time of a start."""


@contextmanager
def served(
    command: Sequence[str | Path],
    *,
    log: Path,
    listens: Sequence[HostPort],
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Run a server in the foreground until the block ends; then end it and its descendants.

    Args:
        command: program and arguments.
        log: file for standard output and error.
        listens: addresses that must accept a connection before the block starts.
        environment: added to the environment of this process.

    Yields:
        The id of the main process.

    Raises:
        PeerFailedError: the server ended, or does not listen after START_SECONDS.
    """
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is handled here, and ends the server once
        )
        try:
            for address in listens:
                _wait_listening(address, server, log)
            yield server.pid
        finally:
            _end(server)


def descendants(pid: int) -> list[int]:
    """Return a process and all its descendants, the process first."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            stat = (entry / "stat").read_text(errors="replace")
        except OSError:
            continue  # the process has ended
        children[int(stat.rpartition(")")[2].split()[1])].append(int(entry.name))
    found = [pid]
    for each in found:
        found.extend(children[each])
    return found


def _wait_listening(address: HostPort, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise PeerFailedError(f"exit status {server.returncode}: {_last(log)}")
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            time.sleep(LOOK_SECONDS)
        else:
            return
    raise PeerFailedError(f"no server at {address[0]}:{address[1]}: {_last(log)}")


def _last(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " / ".join(lines[-5:]) or "no output"


def _end(server: "subprocess.Popen[bytes]") -> None:
    """Terminate the server, wait, and kill its remaining descendants."""
    family = [each for each in map(_identity, descendants(server.pid)) if each]
    server.terminate()
    until = time.monotonic() + END_SECONDS
    try:
        server.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    if left := _wait_gone(family, until):
        for pid, _ in left:
            os.kill(pid, signal.SIGKILL)
        _wait_gone(left, time.monotonic() + END_SECONDS)


def _wait_gone(family: list[tuple[int, str]], until: float) -> list[tuple[int, str]]:
    """Wait until all have ended or the time is over; return those that still run."""
    while left := [each for each in family if _identity(each[0]) == each]:
        if time.monotonic() >= until:
            break
        time.sleep(LOOK_SECONDS)
    return left


def _identity(pid: int) -> tuple[int, str] | None:
    """Return id and start time of a process, as ids are reused; None where it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if stat[0] == "Z" else (pid, stat[19])
