"""Format of numbers, three digits with a unit, and of untrusted text."""

from collections.abc import Iterable
from typing import Final

BLOCKS: Final = "▁▂▃▄▅▆▇█"


def format_rate(value: float) -> str:
    """Return a rate: `84,201`, `97.3`, `0.12`."""
    if value >= 1000:
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def format_count(value: float) -> str:
    """Return a whole number: `1,234,567`."""
    return f"{value:,.0f}"


def format_latency(microseconds: float) -> str:
    """Return a time: `87 µs`, `1.25 ms`, `2.31 s`."""
    if microseconds < 1000:
        return f"{microseconds:.0f} µs"
    if microseconds < 1_000_000:
        return f"{_three(microseconds / 1000)} ms"
    return f"{_three(microseconds / 1e6)} s"


def format_latency_tick(microseconds: float) -> str:
    """Return the label of an axis: `0`, `500 µs`, `2.5 ms`, `10 s`."""
    if microseconds < 1000:
        return f"{microseconds:g} µs" if microseconds else "0"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:g} ms"
    return f"{microseconds / 1e6:g} s"


def format_size(value: float) -> str:
    """Return a size: `812 B`, `4.10 kB`, `1.02 GB`, in powers of 1,000."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} B" if unit == "B" else f"{_three(value)} {unit}"
        value /= 1000
    return f"{_three(value)} TB"


def format_ratio(value: float) -> str:
    """Return a ratio: `0.31`, `1.06`, `22.6`, `226`."""
    return _three(value)


def _three(value: float) -> str:
    """Return three significant digits, without an exponent."""
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"


def sparkline(values: Iterable[float], width: int) -> str:
    """Return the last `width` values as blocks, scaled to the largest one."""
    shown = list(values)[-width:]
    top = max(shown, default=0)
    if top <= 0:
        return BLOCKS[0] * len(shown)
    return "".join(BLOCKS[min(7, int(value / top * 7.999))] for value in shown)


def printable(text: str) -> str:
    """Return a text without control characters and escape sequences."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
