"""Description of this machine."""

import os
import platform
from pathlib import Path

from bench.table.results import Machine


def this_machine(directory: Path) -> Machine:
    """Return the description of this machine, with the file system of the mail of a run."""
    return Machine(
        processor=_field("/proc/cpuinfo", "model name") or platform.machine(),
        cores=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=f"{platform.system()} {platform.release()}",
        system=_system(),
        file_system=_file_system(directory.resolve()),
        python=platform.python_version(),
    )


def _field(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _file_system(directory: Path) -> str:
    """Return the type of the file system of a directory: that of its longest mount point."""
    best, kind = Path("/"), "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, type_, *_ = line.split()
        if directory.is_relative_to(point) and len(point) >= len(str(best)):
            best, kind = Path(point), type_
    return kind
