"""Table of idle sessions for a terminal."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from imapvm_bench.display.idle_page import kibibytes
from imapvm_bench.display.tables import errors_table
from imapvm_bench.format import format_latency, format_size, printable
from imapvm_bench.idle.report import IdleReport, histogram_of


def idle_table(report: IdleReport) -> RenderableType:
    """Return the report as tables."""
    state = report.state
    head = Text()
    head.append(f"{report.idled:,} sessions idle", style="bold green")
    head.append(f" on {report.load.target.name}", style="cyan")
    if report.probe.name:
        head.append(f" ({report.probe.name})", style="cyan")
    head.append(f", opened in {report.opened_seconds:.1f} s", style="dim")
    if state.failed:
        head.append(f"   {state.failed:,} failed", style="bold red")
    parts: list[RenderableType] = [head]
    if report.before is not None:
        parts += [_memory_table(report)]
    if report.push.deliveries:
        parts += [_push_table(report)]
    if state.errors:
        parts += [errors_table(state.errors)]
    if report.ended_early:
        stopped = printable(f"{report.ended_early}. Results until then.")
        parts += [Text(), Text(stopped, style="bold red")]
    elif report.interrupted:
        parts += [Text(), Text("Interrupted: results until then.", "yellow")]
    return Group(*parts)


def _memory_table(report: IdleReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("memory")
    for title in ("PSS", "anonymous", "processes", "PSS/session", "anonymous/session"):
        table.add_column(title, justify="right")
    for name, memory in (
        ("before", report.before),
        ("idle", report.after),
        ("after deliveries", report.after_push),
    ):
        if memory is None:
            continue
        each = report.per_session(memory) if name != "before" else None
        table.add_row(
            name,
            format_size(memory.pss),
            format_size(memory.anonymous),
            f"{memory.processes:,}",
            Text(kibibytes(each[0]), style="bold green") if each else "",
            kibibytes(each[1]) if each else "",
        )
    return table


def _push_table(report: IdleReport) -> Table:
    push = report.push
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column(f"{push.deliveries:,} deliveries")
    for title in ("count", "p50", "p99", "max"):
        table.add_column(title, justify="right")
    rows = [("final dot → EXISTS", push.from_dot), ("reply → EXISTS", push.from_reply)]
    if len(push.last_from_dot) < len(push.from_dot):
        rows.append(("final dot → last EXISTS", push.last_from_dot))
    for name, values in rows:
        if values:
            p50, p99 = histogram_of(values).percentiles((50, 99))
            cells = [format_latency(value) for value in (p50, p99, max(values))]
            table.add_row(name, f"{len(values):,}", *cells)
    if push.missed:
        table.add_row(Text("no EXISTS", style="red"), Text(f"{push.missed:,}", style="red"))
    return table
