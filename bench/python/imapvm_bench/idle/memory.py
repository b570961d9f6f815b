"""Memory of a server on this machine: its process and all that descend from it, from /proc.

PSS counts each page once, shared among those who map it; of it, the anonymous part is what the
processes have written themselves (heap, stacks), without program files and caches of disk pages.
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
"""So little change, as a share, counts as none: a server may always do something."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Octets, over all processes."""

    pss: int
    anonymous: int
    processes: int


def memory_of(pid: int, proc: Path = PROC) -> Memory:
    """Read the memory of a process and its descendants.

    Raises:
        BenchError: there is no such process, or it is another user's.
    """
    pss = anonymous = processes = 0
    for one in descendants(pid, proc):
        try:
            text = (proc / str(one) / "smaps_rollup").read_text()
        except PermissionError:
            raise BenchError(
                f"the memory of process {one} may not be read: run as its user, or as root"
            ) from None
        except (FileNotFoundError, ProcessLookupError):
            if one == pid:
                raise BenchError(f"there is no process {pid}: see --server-pid") from None
            continue  # it has ended since
        fields = dict(line.split(":", 1) for line in text.splitlines()[1:] if ":" in line)
        pss += _kilobytes(fields["Pss"])
        anonymous += _kilobytes(fields["Pss_Anon"])
        processes += 1
    return Memory(pss, anonymous, processes)


def descendants(pid: int, proc: Path = PROC) -> list[int]:
    """Return a process and all that descend from it, in the order they were found."""
    children: dict[int, list[int]] = {}
    for entry in proc.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue  # it has ended since
        # The name, in parentheses, may hold anything: what follows the last one is regular.
        parent = int(stat.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def settled_memory(pid: int) -> Memory:
    """Return the memory when it has hardly changed for half a second, or after ten seconds."""
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
