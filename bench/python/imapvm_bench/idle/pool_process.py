"""Client process of an idle pool, with a part of its sessions.

Reads the plan from the first line of standard input, and ends when standard input ends. Writes one
JSON object per line to standard output: `{"state": …}` of `_engine.IdleLoad.state` when it changes,
`{"arrivals": [[connection, nanoseconds, exists], …]}`, or `{"refused": "…"}` for a wrong plan.
"""

import json
import select
import signal
import sys
from typing import IO, Any, Final, Protocol

from imapvm_bench.load.descriptors import raise_limit

POLL_SECONDS: Final = 0.01
"""Interval at which arrivals are passed on. The engine takes the times, so this delays nothing."""
STATE_EVERY: Final = 10
"""Polls between two reads of the state."""


class IdleEngine(Protocol):
    """Interface of `_engine.IdleLoad`."""

    def start(self) -> None: ...
    def state(self) -> str: ...
    def arrivals(self) -> list[tuple[int, int, int]]: ...
    def stop(self) -> None: ...


def main() -> None:
    """Hold sessions until standard input ends."""
    from imapvm_bench._engine import IdleLoad

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent
    raise_limit()
    try:
        engine = IdleLoad(sys.stdin.readline())
        engine.start()
    except (ValueError, OSError, RuntimeError) as error:
        _write(sys.stdout, {"refused": str(error)})
        return
    serve(engine, sys.stdin, sys.stdout)


def serve(engine: IdleEngine, orders: IO[str], out: IO[str]) -> None:
    """Pass on states and arrivals until `orders` ends."""
    last, polls = "", 0
    try:
        while not select.select([orders], [], [], POLL_SECONDS)[0]:
            arrivals = engine.arrivals()
            if arrivals:
                _write(out, {"arrivals": arrivals})
            polls += 1
            if polls % STATE_EVERY == 0:
                state = engine.state()
                if state != last:
                    last = state
                    _write(out, {"state": json.loads(state)})
    except BrokenPipeError:
        pass  # the parent has ended
    finally:
        engine.stop()


def _write(out: IO[str], values: dict[str, Any]) -> None:
    out.write(json.dumps(values) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
