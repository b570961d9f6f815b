"""Run of one load: probe, engine, snapshots, report."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from imapvm_bench.errors import BenchError
from imapvm_bench.load.descriptors import require_descriptors
from imapvm_bench.load.plan import LoadSpec, plan_json
from imapvm_bench.load.probe import Probe, probe_server
from imapvm_bench.load.report import LoadReport, LoadSnapshot, read_report, read_snapshot

SNAPSHOT_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a load."""

    load: LoadSpec
    probe: Probe
    report: LoadReport
    interrupted: bool = False
    """Ended by Ctrl-C; the report has the measurements until then."""


class LoadEngine(Protocol):
    """Interface of `_engine.Load`; tests use a fake."""

    def start(self) -> None: ...
    def snapshot(self) -> str: ...
    def stop(self) -> None: ...
    def finish(self) -> str: ...


def compiled_engine(plan: str) -> LoadEngine:
    """Return the compiled engine, imported here because `fill` works without it."""
    from imapvm_bench._engine import Load

    return Load(plan)


def run(
    load: LoadSpec,
    *,
    on_snapshot: Callable[[LoadSnapshot], None] = lambda _: None,
    probe: Callable[[LoadSpec], Probe] = lambda load: probe_server(load.target, load.scenario),
    engine: Callable[[str], LoadEngine] = compiled_engine,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Probe the server, then run a load to its end, or until Ctrl-C.

    Args:
        load: the load.
        on_snapshot: called about five times a second, on the calling thread.
        probe: probes the server.
        engine: makes the engine from a plan.
        sleep: waits some seconds.

    Raises:
        BenchError: the load cannot start: no connection, the log-in is refused, or mail or a
            capability is missing.
    """
    require_descriptors(load.connections_wanted)
    found = probe(load)
    try:
        running = engine(plan_json(load, fast_literals=found.fast_literals))
    except (ValueError, OSError) as error:
        raise BenchError(f"cannot start the engine: {error}") from error
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
