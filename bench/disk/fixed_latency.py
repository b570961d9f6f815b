"""The library, and the page of memory that it shares with this process."""

import mmap
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_suffix(".c")
VARIABLE: Final = "BENCH_DISK"
"""Environment variable with the path of the shared page."""
LATENCY: Final = struct.Struct("@Q")
COUNTERS: Final = struct.Struct("@QQQ")
QUEUED: Final = struct.Struct("@Q")
"""The layout is that of `struct shared` in the source: in this order."""


class NoCompilerError(Exception):
    """The library cannot be compiled; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Syncs:
    """Numbers of calls that waited for the disk."""

    files: int
    """fsync, fdatasync and syncfs."""
    maps: int
    """msync with MS_SYNC."""
    writes: int
    """Writes to descriptors opened with O_DSYNC or O_SYNC, or with the same flag of their own."""

    @property
    def total(self) -> int:
        return self.files + self.maps + self.writes


@dataclass(slots=True)
class FixedLatency:
    """Disk of the processes that were started with `environment`."""

    library: Path
    path: Path
    page: mmap.mmap

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the environment variables for a server; its children must inherit them."""
        return {"LD_PRELOAD": str(self.library), VARIABLE: str(self.path)}

    @property
    def latency_ms(self) -> float:
        """Time of a flush; 0 at first. A change applies to running processes."""
        [nanoseconds] = LATENCY.unpack_from(self.page)
        return float(nanoseconds / 1e6)

    @latency_ms.setter
    def latency_ms(self, value: float) -> None:
        LATENCY.pack_into(self.page, 0, round(value * 1e6))

    @property
    def queued(self) -> bool:
        """One flush runs at a time, and waiting calls share the next. At first flushes overlap."""
        [value] = QUEUED.unpack_from(self.page, LATENCY.size + COUNTERS.size)
        return bool(value)

    @queued.setter
    def queued(self, value: bool) -> None:
        QUEUED.pack_into(self.page, LATENCY.size + COUNTERS.size, value)

    def syncs(self) -> Syncs:
        """Return the numbers of syncs since the start, over all processes."""
        return Syncs(*COUNTERS.unpack_from(self.page, LATENCY.size))


@contextmanager
def fixed_latency(directory: Path) -> Iterator[FixedLatency]:
    """Compile the library into a directory, which all users of the server must be able to enter.

    Raises:
        NoCompilerError: there is no C compiler, or it fails.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    library = _compile(directory)
    path = directory / "shared"
    path.write_bytes(bytes(mmap.PAGESIZE))
    path.chmod(0o666)  # a server has processes of several users
    with path.open("r+b") as file, mmap.mmap(file.fileno(), mmap.PAGESIZE) as page:
        yield FixedLatency(library, path, page)


def environment_of(disk: FixedLatency | None) -> Mapping[str, str]:
    """Return the environment variables for a server on a disk; none for the disk of the machine."""
    return {} if disk is None else disk.environment


def _compile(directory: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompilerError("cannot find a C compiler: apt-get install gcc")
    library = directory / "fixed_latency.so"
    done = subprocess.run(
        [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoCompilerError(f"cannot compile {SOURCE.name}: {done.stderr.strip()}")
    return library
