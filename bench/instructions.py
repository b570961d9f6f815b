"""Count the instructions of hot paths under callgrind, and compare them with recorded counts.

    python -m bench.instructions              fail where a path takes more than recorded
    python -m bench.instructions --update     record the current counts

Counts are reproducible, also on a busy machine. They depend on the compiler: for another compiler
than the recorded one the tolerance is larger. The paths are in rust/examples/hot.
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
RECORDED: Final = Path(__file__).with_name("instructions.json")

TOLERANCE: Final = 0.02
"""Relative increase that is allowed: changes elsewhere move inlining by one percent."""
TOLERANCE_OTHER_COMPILER: Final = 0.15


class CountError(Exception):
    """The paths could not be counted; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Recorded counts, with the compiler that built the paths."""

    compiler: str
    instructions: dict[str, int]


def build() -> Path:
    """Compile the paths in release mode; return the program.

    Raises:
        CountError: cargo or valgrind is missing, or the program does not compile.
    """
    for program, where in (
        ("valgrind", "apt-get install valgrind"),
        ("cargo", "https://rustup.rs"),
    ):
        if shutil.which(program) is None:
            raise CountError(f"cannot find {program}: {where}")
    command = ["cargo", "build", "--release", "--locked", "--example", "hot"]
    command += ["--manifest-path", str(MANIFEST), "--message-format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CountError(f"cannot compile the paths:\n{done.stderr}")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "hot":
            return Path(message["executable"])
    raise CountError("cannot find the program in the output of cargo")


def compiler() -> str:
    """Return name and version of the compiler."""
    done = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def paths(program: Path) -> list[str]:
    """Return the names of the paths."""
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def count(program: Path, path: str) -> int:
    """Count the instructions inside the function `measured` of one path.

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
        raise CountError(f"cannot count {path}:\n{done.stderr[-2000:]}")
    return int(counted[1])


def count_all(program: Path) -> dict[str, int]:
    """Count all paths, several at the same time: counts are independent of load."""
    names = paths(program)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(names, pool.map(lambda name: count(program, name), names), strict=True))


def regressions(counted: Mapping[str, int], recorded: Recorded, built_by: str) -> list[str]:
    """Return a message for each path that takes more than recorded, is new, or is missing."""
    tolerance = TOLERANCE if built_by == recorded.compiler else TOLERANCE_OTHER_COMPILER
    messages = []
    for name in sorted(counted.keys() | recorded.instructions.keys()):
        now, before = counted.get(name), recorded.instructions.get(name)
        if now is None:
            messages.append(f"{name} is recorded but does not exist: use --update")
        elif before is None:
            messages.append(f"{name} is not recorded: use --update")
        elif now > before * (1 + tolerance):
            messages.append(
                f"{name} takes {now:,} instructions, {now / before - 1:+.1%}"
                f" (recorded: {before:,}; tolerance {tolerance:.0%})"
            )
    return messages


def read_recorded() -> Recorded:
    """Read the recorded counts."""
    return Recorded(**json.loads(RECORDED.read_text()))


def main() -> int:
    """Run the command line; return the exit code."""
    options = argparse.ArgumentParser(
        prog="python -m bench.instructions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--update", action="store_true", help="record the current counts")
    chosen = options.parse_args()
    try:
        counted = count_all(build())
    except CountError as error:
        print(error, file=sys.stderr)
        return 2
    recorded = read_recorded() if RECORDED.exists() else Recorded(compiler(), {})
    for name, now in counted.items():
        before = recorded.instructions.get(name)
        print(f"{name:22} {now:14,} {f'{now / before - 1:+8.2%}' if before else '     new'}")
    if chosen.update:
        RECORDED.write_text(json.dumps(asdict(Recorded(compiler(), counted)), indent=1) + "\n")
        return 0
    messages = regressions(counted, recorded, compiler())
    for line in messages:
        print(line, file=sys.stderr)
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
