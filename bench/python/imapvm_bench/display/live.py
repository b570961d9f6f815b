"""Progress of a running load: a live view on a terminal, lines elsewhere."""

import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from imapvm_bench.format import (
    format_count,
    format_latency,
    format_rate,
    format_size,
    printable,
    sparkline,
)
from imapvm_bench.load.plan import LoadSpec
from imapvm_bench.load.report import LoadSnapshot

LINE_SECONDS: Final = 5.0
"""Interval of lines where output is not a terminal."""
HISTORY: Final = 300
"""Values of a sparkline: one minute."""


class SnapshotHandler(Protocol):
    """Receives the snapshots of a load."""

    def __call__(self, snapshot: LoadSnapshot) -> None: ...


@contextmanager
def progress_display(load: LoadSpec, console: Console) -> Iterator[SnapshotHandler]:
    """Show the progress of a load until the block ends."""
    if not console.is_terminal:
        yield LineProgress(load.seconds)
        return
    view = LiveView(load)
    with Live(view, console=console, refresh_per_second=5, transient=True):
        yield view


class LineProgress:
    """Lines on standard error: one for each phase, and one every five seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._phase = ""
        self._next = 0.0

    def __call__(self, snapshot: LoadSnapshot) -> None:
        now = time.monotonic()
        if snapshot.phase == self._phase and now < self._next:
            return
        new, self._phase = snapshot.phase != self._phase, snapshot.phase
        self._next = now + LINE_SECONDS
        if snapshot.phase == "ended":
            return
        if new:
            print(f"{snapshot.phase}: {snapshot.open:,} connections", file=sys.stderr)
        else:
            print(line_of(snapshot, self._seconds), file=sys.stderr)


def line_of(snapshot: LoadSnapshot, seconds: float) -> str:
    """Return the state of a load on one line."""
    errors = sum(snapshot.errors.values())
    parts = [
        f"{snapshot.phase} {snapshot.elapsed:.0f}/{seconds:.0f} s",
        f"{snapshot.open:,} connections",
        f"{format_rate(snapshot.recent.commands_per_second)} commands/s",
        f"p50 {format_latency(snapshot.recent.p50_us)}",
        f"p99 {format_latency(snapshot.recent.p99_us)}",
        f"{format_size(snapshot.recent.bytes_in_per_second)}/s in",
        f"{errors:,} errors",
    ]
    return ", ".join(parts)


class LiveView:
    """Live view, drawn by Rich."""

    def __init__(self, load: LoadSpec) -> None:
        self._load = load
        self._snapshot = LoadSnapshot("opening")
        self._commands: deque[float] = deque(maxlen=HISTORY)
        self._p99: deque[float] = deque(maxlen=HISTORY)

    def __call__(self, snapshot: LoadSnapshot) -> None:
        self._snapshot = snapshot
        if snapshot.phase in {"warming up", "measuring"}:
            self._commands.append(snapshot.recent.commands_per_second)
            self._p99.append(snapshot.recent.p99_us)

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [self._head(), self._progress(), Text(), self._numbers()]
        if self._snapshot.errors:
            parts += [Text(), self._errors()]
        parts += [Text(), Text("Ctrl-C ends the load and prints the results", style="dim")]
        return Group(*parts)

    def _head(self) -> RenderableType:
        load = self._load
        head = Text()
        head.append(printable(load.scenario.name), style="bold")
        head.append(printable(f"  {load.target.name}"), style="cyan")
        how = f"open loop, {format_rate(load.rate)}/s" if load.rate else "closed loop"
        head.append(f"  {how}", style="dim")
        return head

    def _progress(self) -> RenderableType:
        load, now = self._load, self._snapshot
        grid = Table.grid(padding=(0, 2))
        if now.phase == "opening":
            grid.add_row(
                Text(f"opening {now.open:,} of {load.connections_wanted:,} connections"),
                ProgressBar(total=load.connections_wanted, completed=now.open, width=32),
            )
        elif now.phase == "warming up":
            grid.add_row(Text("warming up"), ProgressBar(total=1, completed=0, width=32))
        elif load.limit is not None:
            done = min(now.totals.entries, load.limit)
            grid.add_row(
                Text(f"{done:,} of {load.limit:,}"),
                ProgressBar(total=load.limit, completed=done, width=32),
            )
        else:
            done_seconds = min(now.elapsed, load.seconds)
            grid.add_row(
                Text(f"{done_seconds:5.1f} of {load.seconds:.0f} s"),
                ProgressBar(total=load.seconds, completed=done_seconds, width=32),
                Text(f"{now.open:,} connections", style="dim"),
            )
        return grid

    def _numbers(self) -> RenderableType:
        now, recent = self._snapshot, self._snapshot.recent
        errors = sum(now.errors.values())
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", width=11)
        grid.add_column(justify="right", width=12)
        grid.add_column()
        grid.add_row(
            "commands/s",
            Text(format_rate(recent.commands_per_second), style="bold green"),
            Text(sparkline(self._commands, 40), style="green"),
        )
        grid.add_row(
            "latency p99",
            Text(format_latency(recent.p99_us), style="bold yellow"),
            Text(sparkline(self._p99, 40), style="yellow"),
        )
        grid.add_row("p50", format_latency(recent.p50_us), "")
        grid.add_row("received", f"{format_size(recent.bytes_in_per_second)}/s", "")
        grid.add_row("commands", format_count(now.totals.commands), "")
        grid.add_row("errors", Text(f"{errors:,}", style="bold red" if errors else "green"), "")
        return grid

    def _errors(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        for kind, count in sorted(self._snapshot.errors.items(), key=lambda item: -item[1])[:6]:
            grid.add_row(
                Text(f"{count:,}", style="red"), Text(printable(kind), overflow="ellipsis")
            )
        return grid
