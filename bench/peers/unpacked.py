"""Debian packages that are used without being installed.

Debian's IMAP servers exclude one another: apt removes Dovecot to install Cyrus. So the others are
fetched by apt, with what they need and this machine has not, and unpacked into a directory of
ours. Nothing outside of it changes, no service starts, and no_light_hash needs to be root for it.
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
"""A mail system, which Debian wants beside an IMAP server, and what belongs to it or to compilers:
packages with such a part in their name are left where they are."""


class UnpackingError(Exception):
    """apt or dpkg did not do it; the sentence says what they said."""


def get(name: str, packages: Iterable[str]) -> Path:
    """Fetch packages and what they need, unpack them, and return the root of the tree."""
    place, root = PLACE / name, PLACE / name / "root"
    place.mkdir(parents=True, exist_ok=True)
    wanted = set(packages)
    for line in _said("apt-get", "--simulate", "--no-install-recommends", "install", *packages):
        verb, package, *_ = (*line.split(), "", "")
        if verb == "Inst" and not any(part in package for part in NOT_NEEDED):
            wanted.add(package)
    _said("apt-get", "download", *sorted(wanted), directory=place)
    lines = []
    for archive in sorted(place.glob("*.deb")):
        _said("dpkg-deb", "--extract", str(archive), str(root))
        package, number, _ = unquote(archive.name).split("_")
        lines.append(f"{package} {number}\n")
        archive.unlink()
    (place / "packages").write_text("".join(lines))
    return root


def root_of(name: str) -> Path | None:
    """Where `get` has unpacked it, or None if it has not."""
    root = PLACE / name / "root"
    return root if (PLACE / name / "packages").exists() else None


def version(name: str, package: str) -> str:
    """The version of a package that `get` has unpacked."""
    lines = (PLACE / name / "packages").read_text().splitlines()
    return dict(line.split() for line in lines)[package]


def libraries(root: Path) -> dict[str, str]:
    """The environment in which programs of a tree find its libraries."""
    machine = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"
    places = [root / "usr/lib" / machine, root / "lib" / machine, root / "usr/lib"]
    return {"LD_LIBRARY_PATH": ":".join(map(str, places))}


def _said(*command: str, directory: Path | None = None) -> list[str]:
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise UnpackingError(f"{' '.join(command[:2])} failed: {said[-1]}")
    return done.stdout.splitlines()
