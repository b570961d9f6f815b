"""Runs one load: the plan goes to the engine, snapshots come by, the report comes back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from imapvm_bench.errors import BenchError
from imapvm_bench.load.descriptors import require_descriptors
from imapvm_bench.load.plan import Load, plan_json
from imapvm_bench.load.probe import Probe, probe_server
from imapvm_bench.load.report import Report, Snapshot, read_report, read_snapshot

SNAPSHOT_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a load went."""

    load: Load
    probe: Probe
    report: Report
    interrupted: bool = False
    """Ctrl-C; the report has what was measured until then."""


class LoadEngine(Protocol):
    """The face of `_engine.Load`, as far as it is used here; tests have a fake."""

    def start(self) -> None: ...
    def snapshot(self) -> str: ...
    def stop(self) -> None: ...
    def finish(self) -> str: ...


def compiled_engine(plan: str) -> LoadEngine:
    """Return the engine of this package; loaded when it is needed, `fill` can do without."""
    from imapvm_bench._engine import Load as CompiledLoad

    return CompiledLoad(plan)


def run(
    load: Load,
    *,
    on_snapshot: Callable[[Snapshot], None] = lambda _: None,
    probe: Callable[[Load], Probe] = lambda load: probe_server(load.target, load.scenario),
    engine: Callable[[str], LoadEngine] = compiled_engine,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Look at the server, then run a load to its end, or until Ctrl-C.

    Args:
        load: what to run.
        on_snapshot: called about five times a second, on the calling thread.
        probe: looks at the server.
        engine: makes the engine from a plan.
        sleep: waits so many seconds.

    Raises:
        BenchError: it could not begin: nobody answers, the users are refused, something is
            missing that the scenario needs.
    """
    require_descriptors(load.connections_wanted)
    found = probe(load)
    try:
        running = engine(plan_json(load, fast_literals=found.fast_literals))
    except (ValueError, OSError) as error:
        raise BenchError(f"the engine cannot take this on: {error}") from error
    interrupted = False
    running.start()
    try:
        while True:
            snapshot = read_snapshot(running.snapshot())
            on_snapshot(snapshot)
            if snapshot.phase == "ended":
                break
            sleep(SNAPSHOT_SECONDS)
    except KeyboardInterrupt:
        interrupted = True
        running.stop()
    return Outcome(load, found, read_report(running.finish()), interrupted)
