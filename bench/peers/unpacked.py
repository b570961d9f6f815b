"""Debian packages used without installing them.

Debian's IMAP servers conflict: apt removes Dovecot to install Cyrus. The others are therefore
fetched by apt with their missing dependencies, and unpacked into var/peers. Nothing else changes,
no service starts, and root is not needed.
"""

import os
import platform
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import unquote

PLACE: Final = Path(__file__).resolve().parents[2] / "var" / "peers"

NOT_NEEDED: Final = ("exim4", "postfix", "-dev")
"""Parts of names of packages that are not fetched: mail systems, which Debian recommends with an
IMAP server, and development packages."""


class UnpackingError(Exception):
    """apt or dpkg failed; the message has the end of their output."""


def get(name: str, packages: Iterable[str]) -> Path:
    """Fetch packages and their dependencies, unpack them, and return the root of the tree."""
    place, root = PLACE / name, PLACE / name / "root"
    place.mkdir(parents=True, exist_ok=True)
    wanted = set(packages)
    for line in _output_of(
        "apt-get", "--simulate", "--no-install-recommends", "install", *packages
    ):
        verb, package, *_ = (*line.split(), "", "")
        if verb == "Inst" and not any(part in package for part in NOT_NEEDED):
            wanted.add(package)
    _output_of("apt-get", "download", *sorted(wanted), directory=place)
    lines = []
    for archive in sorted(place.glob("*.deb")):
        _output_of("dpkg-deb", "--extract", str(archive), str(root))
        package, number, _ = unquote(archive.name).split("_")
        lines.append(f"{package} {number}\n")
        archive.unlink()
    (place / "packages").write_text("".join(lines))
    return root


def root_of(name: str) -> Path | None:
    """Return the tree that `get` has unpacked, or None."""
    root = PLACE / name / "root"
    return root if (PLACE / name / "packages").exists() else None


def version(name: str, package: str) -> str:
    """Return the version of a package that `get` has unpacked."""
    lines = (PLACE / name / "packages").read_text().splitlines()
    return dict(line.split() for line in lines)[package]


def libraries(root: Path) -> dict[str, str]:
    """Return the environment in which programs of a tree find its libraries."""
    machine = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"
    places = [root / "usr/lib" / machine, root / "lib" / machine, root / "usr/lib"]
    return {"LD_LIBRARY_PATH": ":".join(map(str, places))}


def _output_of(*command: str, directory: Path | None = None) -> list[str]:
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise UnpackingError(f"{' '.join(command[:2])} failed: {lines[-1]}")
    return done.stdout.splitlines()
