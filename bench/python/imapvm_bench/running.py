"""Runs one load: the plan goes to the engine, snapshots come by, the report comes back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from imapvm_bench.plan import plan_json
from imapvm_bench.report import Report, Snapshot, read_report, read_snapshot
from imapvm_bench.scenario import Scenario
from imapvm_bench.target import Target


@dataclass(frozen=True, slots=True)
class Load:
    """A scenario on a target, and for how long."""

    target: Target
    scenario: Scenario
    connections: int | None = None
    """None: as the scenario says."""
    seconds: float = 10.0
    """Measured time."""
    warmup: float = 1.0
    """Seconds before that, which are not counted."""
    rate: float | None = None
    """Mix entries a second over all connections (open loop); None: as fast as it is answered."""
    threads: int = 1
    limit: int | None = None
    """Stop after so many mix entries."""
    pipeline: int | None = None
    """None: as the scenario says."""
    answer_seconds: float = 30.0
    """A command that is unanswered for so long has failed."""
    connects_at_once: int = 64
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a load went."""

    report: Report
    interrupted: bool = False
    """Ctrl-C; the report has what was measured until then."""


class Engine(Protocol):
    """The face of `_engine.Load`, as far as it is used here; tests have a fake."""

    def start(self) -> None: ...
    def snapshot(self) -> str: ...
    def stop(self) -> None: ...
    def finish(self) -> str: ...


SNAPSHOT_SECONDS = 0.2


def _engine(plan: str) -> Engine:
    from imapvm_bench._engine import Load as EngineLoad

    return EngineLoad(plan)


def run(
    load: Load,
    *,
    on_snapshot: Callable[[Snapshot], None] = lambda _: None,
    engine: Callable[[str], Engine] = _engine,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Run a load to its end, or until Ctrl-C.

    Args:
        load: what to run.
        on_snapshot: called about five times a second, on the calling thread.
        engine: makes the engine from a plan.
        sleep: waits so many seconds.

    Raises:
        BenchError: it could not begin: nobody answers, the users are refused, something is
            missing that the scenario needs.
    """
    running = engine(plan_json(load))
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
    return Outcome(read_report(running.finish()), interrupted)
