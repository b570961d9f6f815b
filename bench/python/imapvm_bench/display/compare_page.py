"""HTML page of a comparison: a table of ratios, and bars for each row."""

from collections.abc import Iterator
from datetime import datetime

from imapvm_bench.display.charts import Bar, bars
from imapvm_bench.display.document import banner, document, escape, heading, pair, section, table
from imapvm_bench.display.tables import counted, value
from imapvm_bench.format import (
    format_ratio,
)
from imapvm_bench.load.compare import Comparison, ComparisonRow


def compare_page(comparison: Comparison, began: datetime) -> str:
    """Return the page."""
    names = [target.name for target in comparison.targets]
    about = (
        f"{comparison.rounds} rounds of {comparison.seconds:g} s, interleaved ·"
        f" {began:%d %B %Y %H:%M} UTC"
    )
    body = [heading(" and ".join(_joined(names)), about)]
    if comparison.interrupted:
        body.append(banner("Interrupted: results until then.", mild=True))
    note = (
        "Medians over the rounds, ± half the distance from lowest to highest. A ratio is the median"
        " of the ratios of each round, followed by lowest to highest; above 1 the first server is"
        " faster, and it is coloured where all rounds agree."
    )
    body.append(section("Comparison", ratios_table(comparison), note=note))
    cards = list(_cards(comparison))
    for left, right in zip(cards[::2], [*cards[1::2], ""], strict=False):
        body.append(pair(left, right))
    if comparison.errors:
        body.append(section("Errors", _errors(comparison)))
    where = ", ".join(f"{target.name} at {target.imap}" for target in comparison.targets)
    body.append(f"<footer>{escape(where)}. Made by imapvm-bench.</footer>")
    return document(f"Comparison: {', '.join(names)}", body)


def ratios_table(comparison: Comparison) -> str:
    """Return the table of medians, and of the ratio of the first server to each other."""
    names = [target.name for target in comparison.targets]
    rows = []
    for row in comparison.rows:
        cells = [f'{escape(row.name)} <span class="soft">{row.unit}</span>']
        for name in names:
            cell = comparison.cell(row.name, name)
            if cell is None:
                cells.append('<span class="slower">failed</span>')
                continue
            spread = f'<span class="soft">±{cell.relative * 50:.0f}%</span>'
            cells.append(f"{escape(value(cell.median, row.unit))} {spread}")
        cells += [_ratio(comparison, row, names[0], name) for name in names[1:]]
        rows.append(cells)
    titles = ["row", *names, *(f"{names[0]} ÷ {name}" for name in names[1:])]
    return table(titles, rows)


def _ratio(comparison: Comparison, row: ComparisonRow, first: str, other: str) -> str:
    ratio = comparison.ratio(row.name, first, other)
    if ratio is None:
        return '<span class="soft">none</span>'
    side = {1: "faster", -1: "slower", 0: "even"}[ratio.side]
    shown = f'<span class="{side}">{format_ratio(ratio.median)}</span>'
    if len(ratio.values) > 1:
        low, high = format_ratio(ratio.low), format_ratio(ratio.high)
        shown += f' <span class="soft">{low} to {high}</span>'
    return shown


def _cards(comparison: Comparison) -> Iterator[str]:
    for row in comparison.rows:
        drawn = []
        for target in comparison.targets:
            cell = comparison.cell(row.name, target.name)
            if cell is None:
                drawn.append(Bar(target.name, None, 0, 0, "failed"))
            else:
                shown = value(cell.median, row.unit)
                drawn.append(Bar(target.name, cell.median, cell.low, cell.high, shown))
        better = "higher is better" if row.higher_is_better else "lower is better"
        connections = row.connections or row.scenario.connections
        note = f"{row.unit}, {connections:,} connections; {better}"
        yield section(row.name, bars(drawn), note=note)


def _errors(comparison: Comparison) -> str:
    lines = [
        (escape(row), escape(target), f"<code>{escape(message)}</code>")
        for (row, target), errors in comparison.errors.items()
        for message in counted(errors)
    ]
    return table(("row", "server", "error"), lines, left=(0, 1, 2))


def _joined(names: list[str]) -> list[str]:
    return [", ".join(names[:-1]), names[-1]] if len(names) > 1 else names
