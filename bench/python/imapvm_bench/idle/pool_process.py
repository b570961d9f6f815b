"""A client process of `idle`: some of the sessions, as its parent tells it.

The first line on standard input is the engine's plan; when standard input ends, so does it.
On standard output it writes JSON, a line each: `{"state": …}` as `_engine.Idle.state` has it, when
it has changed, and `{"arrivals": [[connection, nanoseconds, exists], …]}`. `{"refused": "…"}` says
that the plan is none.
"""

import json
import select
import signal
import sys
from typing import IO, Any, Final, Protocol

from imapvm_bench.load.descriptors import raise_limit

POLL_SECONDS: Final = 0.01
"""How long news may wait to be passed on. It is timed by the engine, so this delays nothing."""
STATE_EVERY: Final = 10
"""The state is looked at every so many polls."""


class IdleEngine(Protocol):
    """The face of `_engine.Idle`."""

    def start(self) -> None: ...
    def state(self) -> str: ...
    def arrivals(self) -> list[tuple[int, int, int]]: ...
    def stop(self) -> None: ...


def main() -> None:
    """Hold sessions until standard input ends."""
    from imapvm_bench._engine import Idle

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to act on
    raise_limit()
    try:
        engine = Idle(sys.stdin.readline())
        engine.start()
    except (ValueError, OSError, RuntimeError) as error:
        _say(sys.stdout, {"refused": str(error)})
        return
    serve(engine, sys.stdin, sys.stdout)


def serve(engine: IdleEngine, orders: IO[str], out: IO[str]) -> None:
    """Pass on what the engine sees until `orders` ends."""
    last, polls = "", 0
    try:
        while not select.select([orders], [], [], POLL_SECONDS)[0]:
            arrivals = engine.arrivals()
            if arrivals:
                _say(out, {"arrivals": arrivals})
            polls += 1
            if polls % STATE_EVERY == 0:
                state = engine.state()
                if state != last:
                    last = state
                    _say(out, {"state": json.loads(state)})
    except BrokenPipeError:
        pass  # the parent is gone
    finally:
        engine.stop()


def _say(out: IO[str], values: dict[str, Any]) -> None:
    out.write(json.dumps(values) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
