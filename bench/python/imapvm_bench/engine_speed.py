"""Speed of the engine itself, against the trivial compiled Responder.

`python -m imapvm_bench.engine_speed` prints the rates above which the engine and not the server is
the limit. Engine and responder have one thread each, so it needs two cores.
"""

import argparse
import json
from typing import Any, Final

from imapvm_bench._engine import Load, Responder

LITERAL_BYTES: Final = 1 << 20


def measure(command: str, *, literal: int, connections: int, seconds: float) -> dict[str, Any]:
    """Return the report of one command sent repeatedly, without pipelining."""
    responder = Responder(literal=literal)
    try:
        plan = {
            "protocol": "imap",
            "host": "127.0.0.1",
            "port": responder.port,
            "connections": connections,
            "warmup_seconds": min(0.5, seconds / 4),
            "seconds": seconds,
            "mix": [{"name": "x", "commands": [{"label": "x", "parts": [{"text": command}]}]}],
        }
        load = Load(json.dumps(plan))
        load.start()
        report: dict[str, Any] = json.loads(load.finish())
    finally:
        responder.stop()
    if report["ended"] != "time" or report["totals"]["errors"]:
        raise RuntimeError(f"{report['ended']}; {report['errors']}")
    return report


def commands_per_second(connections: int, seconds: float) -> float:
    """Return the number of NOOPs answered a second."""
    report = measure("NOOP", literal=0, connections=connections, seconds=seconds)
    return float(report["totals"]["commands"] / report["seconds"])


def bytes_per_second(connections: int, seconds: float, *, literal: int = LITERAL_BYTES) -> float:
    """Return the bytes a second of FETCH responses with literals."""
    fetch = "FETCH 1 BODY.PEEK[]"
    report = measure(fetch, literal=literal, connections=connections, seconds=seconds)
    return float(report["totals"]["bytes_in"] / report["seconds"])


def main() -> None:
    """Print the speed of several rounds."""
    parser = argparse.ArgumentParser(
        prog="python -m imapvm_bench.engine_speed", description=__doc__
    )
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    for _ in range(args.rounds):
        commands = commands_per_second(args.connections, args.seconds)
        print(f"NOOP, {args.connections} connections: {commands:,.0f}/s")
        rate = bytes_per_second(args.connections, args.seconds)
        print(f"literals of 1 MiB, {args.connections} connections: {rate / 1e9:.2f} GB/s")


if __name__ == "__main__":
    main()
