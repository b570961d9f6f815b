"""Processes of a server: started, waited for, and all gone at the end."""

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

from bench.peers.peer import Address, PeerFailedError

START_SECONDS: Final = 30.0
END_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.02
"""Between two looks: much less than what starting or ending takes."""


@contextmanager
def served(
    command: Sequence[str | Path],
    *,
    said: Path,
    listens: Sequence[Address],
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Run a server in the foreground until the block ends, and its descendants with it.

    Args:
        command: the program and its arguments.
        said: a file that gets its standard output and error.
        listens: where somebody must answer before the block begins.
        environment: added to ours.

    Yields:
        The id of its main process.

    Raises:
        PeerFailedError: it ended, or listened nowhere within START_SECONDS.
    """
    with said.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is ours: the server is told by us, once
        )
        try:
            for address in listens:
                _wait_listening(address, server, said)
            yield server.pid
        finally:
            _end(server)


def descendants(pid: int) -> list[int]:
    """A process and all that descend from it, the process itself first."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            stat = (entry / "stat").read_text(errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        children[int(stat.rpartition(")")[2].split()[1])].append(int(entry.name))
    found = [pid]
    for each in found:
        found.extend(children[each])
    return found


def _wait_listening(address: Address, server: "subprocess.Popen[bytes]", said: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise PeerFailedError(f"it ended with status {server.returncode}: {_last(said)}")
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            time.sleep(LOOK_SECONDS)
        else:
            return
    raise PeerFailedError(f"no_light_hash answers at {address[0]}:{address[1]}: {_last(said)}")


def _last(said: Path) -> str:
    lines = said.read_text(errors="replace").strip().splitlines()
    return " / ".join(lines[-5:]) or "it said nothing"


def _end(server: "subprocess.Popen[bytes]") -> None:
    """Ask it to end, wait, and kill what is left of it: only processes that it started."""
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
    """Wait until they have ended, or the time has come; returns who is left."""
    while left := [each for each in family if _identity(each[0]) == each]:
        if time.monotonic() >= until:
            break
        time.sleep(LOOK_SECONDS)
    return left


def _identity(pid: int) -> tuple[int, str] | None:
    """A process by its id and the time of its start, for ids are used again; None for none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if stat[0] == "Z" else (pid, stat[19])
