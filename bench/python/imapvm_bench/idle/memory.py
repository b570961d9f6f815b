"""Memory of a server on this machine, from /proc: its process and all descendants.

PSS counts each page once, divided among the processes that map it. Its anonymous part is heap and
stacks, without program files and page cache.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imapvm_bench.errors import BenchError

PROC: Final = Path("/proc")
SETTLED_SECONDS: Final = 0.5
SETTLING_SECONDS_MAX: Final = 10.0
STILL: Final = 0.002
"""Relative change that counts as no change."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory in bytes, over all processes."""

    pss: int
    anonymous: int
    processes: int


def memory_of(pid: int, proc: Path = PROC) -> Memory:
    """Read the memory of a process and its descendants.

    Raises:
        BenchError: no such process, or a process of another user.
    """
    pss = anonymous = processes = 0
    for one in descendants(pid, proc):
        try:
            text = (proc / str(one) / "smaps_rollup").read_text()
        except PermissionError:
            raise BenchError(
                f"cannot read the memory of process {one}: run as its user or as root"
            ) from None
        except (FileNotFoundError, ProcessLookupError):
            if one == pid:
                raise BenchError(f"no process {pid}: check --server-pid") from None
            continue  # the process has ended
        fields = dict(line.split(":", 1) for line in text.splitlines()[1:] if ":" in line)
        pss += _kilobytes(fields["Pss"])
        anonymous += _kilobytes(fields["Pss_Anon"])
        processes += 1
    return Memory(pss, anonymous, processes)


def descendants(pid: int, proc: Path = PROC) -> list[int]:
    """Return a process and all its descendants, the process first."""
    children: dict[int, list[int]] = {}
    for entry in proc.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue  # the process has ended
        # The name, in parentheses, may contain anything: parse after the last parenthesis.
        parent = int(stat.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def settled_memory(pid: int) -> Memory:
    """Return the memory after it has not changed for 0.5 s, or after 10 s."""
    last, since = memory_of(pid), time.monotonic()
    until = since + SETTLING_SECONDS_MAX
    while (now := time.monotonic()) - since < SETTLED_SECONDS and now < until:
        time.sleep(0.1)
        seen = memory_of(pid)
        if abs(seen.anonymous - last.anonymous) > last.anonymous * STILL:
            last, since = seen, time.monotonic()
    return memory_of(pid)


def _kilobytes(field: str) -> int:
    return int(field.split()[0]) * 1024
