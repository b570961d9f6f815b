"""HTML page of one load."""

from datetime import datetime

from imapvm_bench.display.charts import (
    POINTS_MAX,
    Line,
    grouped,
    latency_histogram,
    over_time,
    percentile_curves,
)
from imapvm_bench.display.document import (
    COLOURS,
    banner,
    document,
    escape,
    heading,
    legend,
    pair,
    section,
    table,
    tiles,
)
from imapvm_bench.display.tables import ended_message, unfinished_messages
from imapvm_bench.format import (
    format_count,
    format_latency,
    format_rate,
    format_size,
)
from imapvm_bench.load.report import ErrorCount, LabelStats, LoadReport
from imapvm_bench.load.run import Outcome

PERCENTS = (50.0, 90.0, 99.0, 99.9)


def run_page(outcome: Outcome, began: datetime) -> str:
    """Return the page."""
    load, report = outcome.load, outcome.report
    title = f"{load.scenario.name} on {load.target.name}"
    body = [heading(title, _about(outcome, began))]
    if report.server_stopped or report.never_began:
        body.append(banner(ended_message(report)))
    elif outcome.interrupted:
        body.append(banner("Interrupted: results until then.", mild=True))
    body += [banner(text, mild=True) for text in unfinished_messages(outcome)]
    body.append(_tiles(report))
    body += _over_time(report)
    if report.labels:
        body.append(_latencies(report))
        body.append(section("Commands", rows_table("command", report.labels, report.seconds)))
    elif not report.never_began:
        body.append(banner("No command was answered in the measured time.", mild=True))
    if report.has_several_commands:
        note = "Entries of the mix, from the first command to the last answer."
        body.append(section("Mix", rows_table("entry", report.entries, report.seconds), note=note))
    if report.errors:
        body.append(section("Errors by kind", errors_html(report.errors)))
    if report.setup:
        note = f"{report.connections:,} connections were opened in {report.opened_seconds:.2f} s."
        setup = rows_table("command", report.setup, None)
        body.append(section("Before the measured time", setup, note=note))
    body.append(_footer(outcome))
    return document(title, body)


def _about(outcome: Outcome, began: datetime) -> str:
    load, report = outcome.load, outcome.report
    about = [
        outcome.probe.name or "",
        f"{report.connections:,} connections",
        f"open loop at {format_rate(load.rate)}/s" if load.rate else "closed loop",
        {"none": "no TLS", "tls": "TLS", "starttls": "STARTTLS"}[load.target.tls],
        f"{report.seconds:.1f} s",
        f"{began:%d %B %Y %H:%M} UTC",
    ]
    return " · ".join(part for part in about if part)


def _tiles(report: LoadReport) -> str:
    p50, p99 = report.latency.percentiles((50, 99))
    failures = report.failures
    entries = []
    if report.has_several_commands:
        entries = [(format_rate(report.entries_per_second), "entries a second", "")]
    return tiles(
        [
            (format_rate(report.commands_per_second), "commands a second", ""),
            *entries,
            (format_latency(p50), "latency p50", ""),
            (format_latency(p99), "latency p99", ""),
            (f"{format_size(report.bytes_in_per_second)}/s", "received", ""),
            (format_count(failures), "errors", "bad" if failures else "good"),
        ]
    )


def _over_time(report: LoadReport) -> list[str]:
    series, step = report.series, report.series.step_ms / 1000
    whole = int(report.seconds / step + 0.01)  # the last step may be short
    groups = grouped(series.commands[:whole], POINTS_MAX)
    if not groups:
        return []
    width = len(groups[0]) * step
    rates = [sum(group) / (len(group) * step) for group in groups]
    worst = [max(group) for group in grouped(series.p99_us[:whole], POINTS_MAX)]
    error_counts = [int(sum(group)) for group in grouped(series.errors[:whole], POINTS_MAX)]
    labels = [
        f"{format_rate(rate)} commands/s" + (f", {errors:,} errors" if errors else "")
        for rate, errors in zip(rates, error_counts, strict=False)
    ]
    throughput = over_time(Line("commands a second", rates, labels), width)
    latency = over_time(
        Line("p99 latency", worst, [f"p99 {format_latency(value)}" for value in worst]),
        width,
        number=1,
        height=150,
    )
    cards = [
        section("Commands a second", throughput),
        section("Latency p99", latency, note=f"For each {width:g} s."),
    ]
    if any(error_counts):
        line = Line("errors", error_counts, [f"{errors:,} errors" for errors in error_counts])
        note = f"For each {width:g} s."
        cards.append(section("Errors", over_time(line, width, number=4, height=110), note=note))
    return cards


def _latencies(report: LoadReport) -> str:
    rows = sorted(report.labels.items(), key=lambda item: -item[1].count)
    several = [(label, measured.latency) for label, measured in rows[: COLOURS - 1]]
    curves = [("all commands", report.latency), *several] if len(several) > 1 else several
    note = "Each further nine has the same width; slow commands are at the right end."
    if len(rows) > len(several):
        note += f" The {len(several)} most frequent commands."
    return pair(
        section(
            "Latency of commands",
            latency_histogram(report.latency),
            note="All commands, on a logarithmic axis.",
        ),
        section(
            "Latency by percentile",
            legend([name for name, _ in curves]) + percentile_curves(curves),
            note=note,
        ),
    )


def rows_table(first: str, rows: dict[str, LabelStats], seconds: float | None) -> str:
    """Return a table of labels with latencies, and with rates where `seconds` is given."""
    errors = any(measured.errors for measured in rows.values())
    titles = [first, "count", *(["per second"] if seconds else [])]
    titles += [*(f"p{percent:g}" for percent in PERCENTS), "max", *(["errors"] if errors else [])]
    lines = []
    for label, measured in sorted(rows.items(), key=lambda item: -item[1].count):
        latency = measured.latency
        cells = [escape(label), format_count(measured.count)]
        if seconds:
            cells.append(format_rate(measured.count / seconds))
        cells += [format_latency(value) for value in latency.percentiles(PERCENTS)]
        cells.append(format_latency(latency.max))
        if errors:
            cells.append(
                f'<span class="slower">{measured.errors:,}</span>' if measured.errors else ""
            )
        lines.append(cells)
    return table(titles, lines)


def errors_html(errors: dict[str, ErrorCount]) -> str:
    """Return a table of errors by kind, each with an example."""
    lines = [
        (escape(kind), f"{error.count:,}", f"<code>{escape(error.example)}</code>")
        for kind, error in sorted(errors.items(), key=lambda item: -item[1].count)
    ]
    return table(("kind", "count", "for example"), lines, left=(0, 2))


def _footer(outcome: Outcome) -> str:
    how = (
        "Open loop: an entry of the mix starts at its due time, and latency counts from then."
        if outcome.load.rate
        else "Closed loop: a connection sends its next command when the last one is answered."
    )
    return (
        f"<footer>{escape(outcome.load.scenario.about)}. {how} Latency is from the first byte"
        " written to the last byte read. Percentiles are from an HDR histogram with three digits."
        " Made by imapvm-bench.</footer>"
    )
