"""Plots as inline SVG, with the colours of the page in light and dark. Values are in `<title>`."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from imapvm_bench.display.document import colour, escape
from imapvm_bench.display.scales import Scale, linear_ticks, log_bounds, log_ticks
from imapvm_bench.format import (
    format_latency,
    format_latency_tick,
)
from imapvm_bench.load.histogram import Histogram

WIDE: Final = 1000
HALF: Final = 500
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 28
POINTS_MAX: Final = 200
"""Points of a line over time; more are merged, as a screen could not show them."""

PERCENTILES: Final = (
    1, 5, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 96.5, 97.5, 98.5, 99, 99.25, 99.5,
    99.7, 99.8, 99.9, 99.95, 99.97, 99.99, 99.995, 99.999,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """Values over time."""

    name: str
    values: Sequence[float]
    shown: Sequence[str]
    """Values as text with unit."""


def over_time(line: Line, step_seconds: float, *, number: int = 0, height: int = 190) -> str:
    """Return a plot of values over time, filled down to zero."""
    values = list(line.values)
    if not values:
        return _nothing(WIDE, height)
    ticks = linear_ticks(max(values) or 1)
    length = len(values) * step_seconds
    x = Scale(0, length, LEFT, WIDE - RIGHT)
    y = Scale(0, ticks[-1], height - BOTTOM, TOP)
    shown_ticks = [(y(t), line_tick(line, t)) for t in ticks]
    parts = [_horizontal(WIDE, shown_ticks), _time_axis(x, length, height)]
    at = [(x((n + 0.5) * step_seconds), y(value)) for n, value in enumerate(values)]
    path = " ".join(f"{px:g},{py:g}" for px, py in at)
    ink = colour(number)
    floor = y(0)
    parts.append(
        f'<polygon points="{at[0][0]:g},{floor:g} {path} {at[-1][0]:g},{floor:g}" fill="{ink}"'
        ' fill-opacity="0.12"/>'
    )
    parts.append(
        f'<polyline points="{path}" fill="none" stroke="{ink}" stroke-width="2"'
        ' stroke-linejoin="round"/>'
    )
    for n, shown in enumerate(line.shown):
        left, right = x(n * step_seconds), x((n + 1) * step_seconds)
        label = f"{n * step_seconds:.1f} to {(n + 1) * step_seconds:.1f} s: {shown}"
        parts.append(
            f'<rect class="hit" x="{left:g}" y="{TOP}" width="{right - left:.2f}"'
            f' height="{height - TOP - BOTTOM}"><title>{escape(label)}</title></rect>'
        )
    return _svg(WIDE, height, parts, line.name)


def line_tick(line: Line, value: float) -> str:
    """Return the label of a tick: a latency in microseconds, or a number."""
    return format_latency_tick(value) if line.name.startswith("p") else _short(value)


def latency_histogram(histogram: Histogram, *, number: int = 0, height: int = 310) -> str:
    """Return a histogram of latencies on a logarithmic axis, with percentiles marked."""
    if not histogram.count:
        return _nothing(HALF, height)
    bars = histogram.logarithmic(44)
    low, high = bars[0][0], max(bars[-1][1], bars[0][0] * 1.5)
    x = Scale(low, high, LEFT, HALF - RIGHT, log=True)
    ticks = linear_ticks(max(count for _, _, count in bars) / histogram.count * 100, 3)
    y = Scale(0, ticks[-1], height - BOTTOM, TOP + 14)
    parts = [
        _horizontal(HALF, [(y(tick), f"{tick:g} %") for tick in ticks]),
        _latency_axis(x, height),
    ]
    for begin, end, count in bars:
        if not count:
            continue
        share = count / histogram.count * 100
        label = f"{format_latency(begin)} to {format_latency(end)}: {count:,} ({share:.2g} %)"
        top = min(y(share), y(0) - 1)
        parts.append(
            f'<rect class="bar" x="{x(begin) + 0.5:g}" y="{top:g}" rx="1.5"'
            f' width="{max(1.0, x(end) - x(begin) - 1):.2f}" height="{y(0) - top:.2f}"'
            f' fill="{colour(number)}"><title>{escape(label)}</title></rect>'
        )
    placed = -100.0
    for percent in (50, 90, 99):
        value = histogram.percentile(percent)
        place = x(value)
        parts.append(
            f'<line class="mark" x1="{place:g}" x2="{place:g}" y1="{TOP + 12}"'
            f' y2="{height - BOTTOM}"><title>p{percent}: {format_latency(value)}</title></line>'
        )
        if place - placed > 26:
            parts.append(
                f'<text x="{place:g}" y="{TOP + 6}" text-anchor="middle">p{percent}</text>'
            )
            placed = place
    return _svg(HALF, height, parts, "latency histogram")


def percentile_curves(histograms: Sequence[tuple[str, Histogram]], *, height: int = 260) -> str:
    """Return latency by percentile; each further nine has the same width."""
    filled = [(n, name, h) for n, (name, h) in enumerate(histograms) if h.count]
    if not filled:
        return _nothing(HALF, height)
    nines = [0.0, 90.0, 99.0, 99.9, 99.99, 99.999]
    largest = max(h.count for _, _, h in filled)
    while len(nines) > 3 and 100 / (100 - nines[-1]) > largest * 1.001:
        nines.pop()  # too few values for this percentile
    x = Scale(1, 100 / (100 - nines[-1]), LEFT, HALF - RIGHT - 8, log=True)
    low, high = log_bounds(
        min(h.percentile(1) for _, _, h in filled) or 1, max(h.max for _, _, h in filled) or 1
    )
    y = Scale(low, high, height - BOTTOM, TOP, log=True)
    parts = [_horizontal(HALF, [(y(t), format_latency_tick(t)) for t in log_ticks(low, high, 6)])]
    for nine in (0.0, 50.0, *nines[1:]):
        place = x(100 / (100 - nine))
        parts.append(
            f'<line class="grid" x1="{place:g}" x2="{place:g}" y1="{TOP}" y2="{height - BOTTOM}"/>'
            f'<text x="{place:g}" y="{height - 8}" text-anchor="middle">'
            f"{'min' if nine == 0 else f'p{nine:g}'}</text>"
        )
    for n, name, histogram in filled:
        percents = [
            p for p in PERCENTILES if p <= nines[-1] and (100 - p) / 100 * histogram.count >= 0.5
        ]
        values = histogram.percentiles(percents or [50])
        at = [(x(100 / (100 - p)), y(v)) for p, v in zip(percents or [50], values, strict=True)]
        parts.append(
            f'<polyline points="{" ".join(f"{a:g},{b:g}" for a, b in at)}" fill="none"'
            f' stroke="{colour(n)}" stroke-width="2" stroke-linejoin="round"/>'
        )
        for (a, b), p, value in zip(at, percents or [50], values, strict=True):
            label = f"{name} p{p:g}: {format_latency(value)}"
            parts.append(
                f'<circle class="dot" cx="{a:g}" cy="{b:g}" r="2" fill="{colour(n)}"/>'
                f'<circle class="hit" cx="{a:g}" cy="{b:g}" r="8">'
                f"<title>{escape(label)}</title></circle>"
            )
    return _svg(HALF, height, parts, "latency by percentile")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of `bars`, with its range."""

    name: str
    value: float | None
    low: float
    high: float
    shown: str


def bars(values: Sequence[Bar], *, first_colour: int = 0) -> str:
    """Return horizontal bars from zero, each with a whisker from lowest to highest."""
    row, bar = 26, 16
    height = row * len(values) + 4
    top = max((max(b.high, b.value or 0) for b in values), default=0) or 1
    # A character of the small text is about seven units wide.
    left = min(20, max((len(b.name) for b in values), default=1)) * 8 + 10
    right = max((len(b.shown) for b in values), default=1) * 8 + 12
    x = Scale(0, top, left, HALF - right)
    parts = []
    for n, one in enumerate(values):
        y = n * row + 4
        label = f"{one.name}: {one.shown}"
        parts.append(
            f'<text class="name" x="{left - 8}" y="{y + 13}" text-anchor="end">'
            f"{escape(one.name[:20])}</text>"
        )
        if one.value is None:
            parts.append(f'<text x="{left + 4}" y="{y + 13}">{escape(one.shown)}</text>')
            continue
        width = max(1.5, x(one.value) - x(0))
        parts.append(
            f'<rect class="bar" x="{x(0):g}" y="{y}" width="{width:.2f}" height="{bar}" rx="3"'
            f' fill="{colour(first_colour + n)}"><title>{escape(label)}</title></rect>'
        )
        if one.high > one.low:
            middle = y + bar / 2
            parts.append(
                f'<path class="axis" fill="none" d="M{x(one.low):g} {middle:g}H{x(one.high):g}'
                f'M{x(one.low):g} {middle - 4:g}v8M{x(one.high):g} {middle - 4:g}v8"/>'
            )
        place = max(x(one.value), x(one.high)) + 8
        parts.append(f'<text class="value" x="{place:g}" y="{y + 13}">{escape(one.shown)}</text>')
    return _svg(HALF, height, parts, "bars")


def grouped(values: Sequence[float], steps: int) -> list[list[float]]:
    """Group neighbours into at most `steps` groups of equal size; the last may be short."""
    size = max(1, -(-len(values) // steps))
    return [list(values[n : n + size]) for n in range(0, len(values), size)]


def _svg(width: int, height: int, parts: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}"'
        f' xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _nothing(width: int, height: int) -> str:
    return _svg(
        width,
        height // 2,
        [f'<text x="{width / 2:g}" y="{height / 4:g}" text-anchor="middle">no values</text>'],
        "no measurements",
    )


def _horizontal(width: int, ticks: Sequence[tuple[float, str]]) -> str:
    return "".join(
        f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{place:g}" y2="{place:g}"/>'
        f'<text x="{LEFT - 8}" y="{place + 4:g}" text-anchor="end">{escape(shown)}</text>'
        for place, shown in ticks
    )


def _time_axis(x: Scale, length: float, height: int) -> str:
    ticks = [tick for tick in linear_ticks(length, 8) if tick <= length * 1.001]
    return "".join(
        f'<text x="{x(tick):g}" y="{height - 8}" text-anchor="middle">{tick:g} s</text>'
        for tick in ticks
    )


def _latency_axis(x: Scale, height: int) -> str:
    ticks = log_ticks(x.low, x.high, 7)
    places = [(x(tick), tick) for tick in ticks]
    kept = places[:1] + [b for a, b in pairwise(places) if b[0] - a[0] > 40]
    return "".join(
        f'<text x="{place:g}" y="{height - 8}" text-anchor="middle">'
        f"{format_latency_tick(tick)}</text>"
        for place, tick in kept
    )


def _short(value: float) -> str:
    """Return a number in short: `12k`, `1.5M`, `0.5`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
