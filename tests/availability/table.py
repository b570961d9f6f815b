"""Table of all attacks: command, worst delay of another session, memory.

    python -m tests.availability.table                       all attacks, without and with a worker
    python -m tests.availability.table rename store          attacks whose names contain these words
    python -m tests.availability.table --program .../imapvm  another version, to compare with

Run it alone on the machine. "base" is the worst delay in the second before the attack, "cpu" the
part of the time in which the server had a processor when it needed one. A row exceeds a bound if
the difference of both delays, multiplied by that part, does (`tests.availability.results`).
"""

import argparse
import os
import tempfile
from pathlib import Path

from tests.availability.attacks import ATTACKS, Row, prepare
from tests.availability.results import TRIES, Result, measured
from tests.demo import PROGRAM, started

USERS = ("--user", "load:secret", "--user", "probe:secret")
HEAD = (
    f"{'':64} {'NOOP ms':>13}  {'APPEND ms':>13}  {'attack':>8} {'memory':>8} {'cpu':>4}\n"
    f"{'command':64} {'base':>6} {'worst':>6}  {'base':>6} {'worst':>6}  {'s':>8} {'MiB':>8}    %"
)


def line(row: Row, result: Result) -> str:
    delays = result.delays
    marks = [f"exceeds: {', '.join(result.exceeded)}"] if result.exceeded else []
    if result.failed:
        marks.insert(0, "FAILED")
    return (
        f"{row.command:64}"
        f" {delays.noop.baseline * 1000:6.0f} {delays.noop.attack * 1000:6.0f} "
        f" {delays.append.baseline * 1000:6.0f} {delays.append.attack * 1000:6.0f} "
        f" {delays.seconds:8.2f} {delays.peak_mib:+8.0f} {delays.share * 100:4.0f}"
        + "".join(f"  {mark}" for mark in marks)
    )


def print_table(rows: list[Row], workers: int, program: str, tries: int) -> bool:
    """Measure and print; return True if all bounds are kept."""
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"workers = {workers}, load average {load}\n{HEAD}", flush=True)
    kept = True
    with tempfile.TemporaryDirectory() as directory:
        options = (*USERS, "--workers", str(workers))
        with started(Path(directory) / "demo", *options, program=program) as server:
            prepare(server)
            for row in rows:
                result = measured(server, row, tries=tries)
                kept &= not result.failed and not result.exceeded
                print(line(row, result), flush=True)
    print(flush=True)
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.availability.table")
    parser.add_argument("names", nargs="*", help="words in the names of attacks (default: all)")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1], metavar="N")
    parser.add_argument("--tries", type=int, default=TRIES, metavar="N")
    parser.add_argument("--program", default=PROGRAM, help="imapvm of another version")
    arguments = parser.parse_args()
    names = arguments.names or [""]
    rows = [row for row in ATTACKS if any(name in row.name for name in names)]
    kept = [
        print_table(rows, workers, arguments.program, arguments.tries)
        for workers in arguments.workers
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
