"""Tables of results for a terminal."""

from collections.abc import Iterable

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imapvm_bench.format import (
    format_count,
    format_latency,
    format_rate,
    format_ratio,
    format_size,
    printable,
)
from imapvm_bench.load.compare import Comparison, Spread
from imapvm_bench.load.report import ErrorCount, LabelStats, LoadReport
from imapvm_bench.load.run import Outcome
from imapvm_bench.scenario.model import Metric

PERCENTS = (50.0, 90.0, 99.0, 99.9)
EXAMPLE_MAX = 160
"""Characters of an example in a table; JSON and HTML have all of it."""
WIDTH_WITHOUT_TERMINAL = 110


def console(*, stderr: bool = False) -> Console:
    """Return the console: as wide as the terminal, or of fixed width elsewhere."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made = Console(stderr=stderr, highlight=False, width=WIDTH_WITHOUT_TERMINAL)
    return made


def run_table(outcome: Outcome) -> RenderableType:
    """Return the tables of one load: totals, latencies by command, errors."""
    report = outcome.report
    parts: list[RenderableType] = [_summary(outcome)]
    if report.labels:
        parts.append(_latencies("command", report.labels, report))
    elif not report.never_began:
        parts.append(Text("No command was answered in the measured time.", style="yellow"))
    if report.has_several_commands:
        parts += [_latencies("mix", report.entries, report)]
    if report.setup:
        parts.append(_setup(report))
    if report.errors:
        parts += [errors_table(report.errors)]
    parts += [Text(text, style="yellow") for text in unfinished_messages(outcome)]
    if report.server_stopped or report.never_began:
        parts += [Text(), Text(ended_message(report), style="bold red")]
    elif outcome.interrupted:
        parts += [Text(), Text("Interrupted: results until then.", style="yellow")]
    return Group(*parts)


def ended_message(report: LoadReport) -> str:
    """Return the message for a load that ended early."""
    ended = printable(report.ended)
    ended = f"{ended[:1].upper()}{ended[1:]}."
    return ended if report.never_began else f"{ended} Results until then."


def unfinished_messages(outcome: Outcome) -> list[str]:
    """Return messages about work that is missing in the latencies."""
    unfinished = outcome.report.unfinished
    messages = []
    if outcome.load.rate and unfinished.backlog > outcome.load.connections_wanted:
        messages.append(
            f"The server did not keep up with {format_rate(outcome.load.rate)}/s: at the end"
            f" {unfinished.backlog:,} entries were due and not started."
        )
    if unfinished.oldest_us > 1_000_000:
        messages.append(
            f"At the end {unfinished.in_flight:,} commands were without an answer, the oldest for"
            f" {format_latency(unfinished.oldest_us)}: they are not in the latencies."
        )
    return messages


def _summary(outcome: Outcome) -> RenderableType:
    load, report = outcome.load, outcome.report
    text = Text()
    text.append(printable(load.scenario.name), style="bold")
    text.append(printable(f" on {load.target.name}"), style="cyan")
    if outcome.probe.name:
        text.append(printable(f" ({outcome.probe.name})"), style="cyan")
    how = f"open loop at {format_rate(load.rate)}/s" if load.rate else "closed loop"
    text.append(f", {report.connections:,} connections, {how}, {report.seconds:.1f} s\n", "dim")
    text.append(format_rate(report.commands_per_second), style="bold green")
    text.append(" commands/s   ")
    if report.has_several_commands:
        text.append(format_rate(report.entries_per_second), style="bold green")
        text.append(" entries/s   ")
    text.append(f"{format_size(report.bytes_in_per_second)}/s", style="bold")
    text.append(" received   ")
    p50, p99 = report.latency.percentiles((50, 99))
    text.append(f"p50 {format_latency(p50)}  p99 {format_latency(p99)}", style="bold")
    failures = report.failures
    text.append("   ")
    text.append(f"{failures:,} errors", style="bold red" if failures else "green")
    return text


def _latencies(first: str, rows: dict[str, LabelStats], report: LoadReport) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column(first, overflow="fold", max_width=40)
    for title in ("count", "per second", *(f"p{p:g}" for p in PERCENTS), "max"):
        table.add_column(title, justify="right", no_wrap=True)
    errors = any(measured.errors for measured in rows.values())
    if errors:
        table.add_column("errors", justify="right", style="red")
    for label, measured in sorted(rows.items(), key=lambda item: -item[1].count):
        latency = measured.latency
        cells: list[RenderableType] = [Text(printable(label)), format_count(measured.count)]
        cells.append(format_rate(measured.count / report.seconds if report.seconds else 0))
        cells += [format_latency(value) for value in latency.percentiles(PERCENTS)]
        cells.append(format_latency(latency.max))
        if errors:
            cells.append(f"{measured.errors:,}" if measured.errors else "")
        table.add_row(*cells)
    return table


def _setup(report: LoadReport) -> RenderableType:
    parts = [
        f"{label} p50 {format_latency(p50)} p99 {format_latency(p99)}"
        for label, measured in report.setup.items()
        for p50, p99 in (measured.latency.percentiles((50, 99)),)
        if measured.count
    ]
    opened = f"connections opened in {report.opened_seconds:.2f} s"
    return Text("; ".join([opened, *parts]), style="dim")


def errors_table(errors: dict[str, ErrorCount]) -> RenderableType:
    """Return errors by kind, the most frequent first, each with an example."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("error", style="red", max_width=30)
    table.add_column("count", justify="right")
    table.add_column("for example", overflow="fold")
    for kind, error in sorted(errors.items(), key=lambda item: -item[1].count):
        table.add_row(
            Text(printable(kind)), f"{error.count:,}", Text(printable(error.example)[:EXAMPLE_MAX])
        )
    return table


def compare_table(comparison: Comparison) -> RenderableType:
    """Return medians by row and server, and ratios of the first server to the others."""
    names = [target.name for target in comparison.targets]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("row", overflow="fold", max_width=36)
    table.add_column("unit", style="dim")
    for name in names:
        table.add_column(name, justify="right")
    for name in names[1:]:
        table.add_column(f"{names[0]} ÷ {name}", justify="right")
    for row in comparison.rows:
        cells: list[RenderableType] = [Text(row.name), row.unit]
        cells += [_cell(comparison.cell(row.name, name), row.unit) for name in names]
        cells += [_ratio(comparison.ratio(row.name, names[0], name)) for name in names[1:]]
        table.add_row(*cells)
    rounds = comparison.rounds
    note = (
        f"Medians of {rounds} rounds of {comparison.seconds:g} s; ± half the distance between the"
        " lowest and the highest. A ratio is the median of the ratios of each round (lowest to"
        " highest); above 1 the first server is faster, coloured where all rounds agree."
    )
    parts: list[RenderableType] = [table, Padding(Text(note, style="dim"), (0, 0, 0, 0))]
    parts += [
        Text.assemble((f"{row}, {target}: ", "bold red"), printable(message)[:EXAMPLE_MAX])
        for (row, target), errors in comparison.errors.items()
        for message in counted(errors)
    ]
    if comparison.interrupted:
        parts.append(Text("Interrupted: results until then.", style="yellow"))
    return Group(*parts)


def _cell(cell: Spread | None, metric: Metric) -> RenderableType:
    if cell is None:
        return Text("failed", style="red")
    text = Text(value(cell.median, metric), style="bold")
    text.append(f" ±{cell.relative * 50:.0f}%", style="dim")
    return text


def value(number: float, metric: Metric) -> str:
    """Return a value in the unit of its metric."""
    return format_latency(number * 1000) if metric.endswith("ms") else format_rate(number)


def _ratio(ratio: Spread | None) -> RenderableType:
    if ratio is None:
        return Text("none", style="dim")
    style = {1: "bold green", -1: "bold red", 0: "bold"}[ratio.side]
    text = Text(format_ratio(ratio.median), style=style)
    if len(ratio.values) > 1:
        text.append(f" ({format_ratio(ratio.low)} to {format_ratio(ratio.high)})", style="dim")
    return text


def counted(errors: Iterable[str]) -> list[str]:
    """Return each message once, with its count."""
    times: dict[str, int] = {}
    for error in errors:
        times[error] = times.get(error, 0) + 1
    return [text if n == 1 else f"{text} ({n} times)" for text, n in times.items()]
