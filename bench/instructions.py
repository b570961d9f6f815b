"""Counts the instructions of hot paths under callgrind, and compares with what is known.

    python -m bench.instructions              fails where a path takes more than it did
    python -m bench.instructions --update     what they take now is what is known

The count is the same whenever it is taken, on a busy machine too, so that a slower path can be
believed. It depends on the compiler: counts of another one are compared more generously.
The paths are in rust/examples/hot.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MANIFEST: Final = ROOT / "rust" / "Cargo.toml"
KNOWN: Final = Path(__file__).with_name("instructions.json")

TOLERANCE: Final = 0.02
"""So much more is a regression: inlining moves a percent when other code changes."""
TOLERANCE_OTHER_COMPILER: Final = 0.15


class CountError(Exception):
    """Nothing could be counted; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the paths take, and which compiler made them."""

    compiler: str
    instructions: dict[str, int]


def build() -> Path:
    """Compile the paths as they are released; returns the program.

    Raises:
        CountError: cargo or valgrind is missing, or the program does not compile.
    """
    for program, where in (
        ("valgrind", "apt-get install valgrind"),
        ("cargo", "https://rustup.rs"),
    ):
        if shutil.which(program) is None:
            raise CountError(f"there is no {program} here: {where}")
    command = ["cargo", "build", "--release", "--locked", "--example", "hot"]
    command += ["--manifest-path", str(MANIFEST), "--message-format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CountError(f"the paths do not compile:\n{done.stderr}")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "hot":
            return Path(message["executable"])
    raise CountError("cargo does not say where the program is")


def compiler() -> str:
    """The compiler's name and version."""
    done = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def paths(program: Path) -> list[str]:
    """The names of the paths."""
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def count(program: Path, path: str) -> int:
    """Count the instructions of one path: those inside of its function `measured`.

    Raises:
        CountError: the path failed, or callgrind did.
    """
    command = [
        "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no",
        "--toggle-collect=*hot*measured*", str(program), path,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or counted is None or not int(counted[1]):
        raise CountError(f"{path} could not be counted:\n{done.stderr[-2000:]}")
    return int(counted[1])


def count_all(program: Path) -> dict[str, int]:
    """Count every path, several at a time: they do not disturb each other."""
    names = paths(program)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(names, pool.map(lambda name: count(program, name), names), strict=True))


def regressions(counted: Mapping[str, int], known: Known, made_by: str) -> list[str]:
    """Say which paths take more than they did, or are not known, or are gone."""
    tolerance = TOLERANCE if made_by == known.compiler else TOLERANCE_OTHER_COMPILER
    said = []
    for name in sorted(counted.keys() | known.instructions.keys()):
        now, before = counted.get(name), known.instructions.get(name)
        if now is None:
            said.append(f"{name} is known, and there is no such path: --update forgets it")
        elif before is None:
            said.append(f"{name} is not known: --update notes it")
        elif now > before * (1 + tolerance):
            said.append(
                f"{name} takes {now:,} instructions, {now / before - 1:+.1%}"
                f" (it took {before:,}; {tolerance:.0%} are allowed)"
            )
    return said


def read_known() -> Known:
    """Read what is known."""
    return Known(**json.loads(KNOWN.read_text()))


def main() -> int:
    """Carry out the command line; returns the exit code."""
    options = argparse.ArgumentParser(
        prog="python -m bench.instructions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--update", action="store_true", help="note what they take now")
    chosen = options.parse_args()
    try:
        counted = count_all(build())
    except CountError as error:
        print(error, file=sys.stderr)
        return 2
    known = read_known() if KNOWN.exists() else Known(compiler(), {})
    for name, now in counted.items():
        before = known.instructions.get(name)
        print(f"{name:22} {now:14,} {f'{now / before - 1:+8.2%}' if before else '     new'}")
    if chosen.update:
        KNOWN.write_text(json.dumps(asdict(Known(compiler(), counted)), indent=1) + "\n")
        return 0
    said = regressions(counted, known, compiler())
    for line in said:
        print(line, file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
