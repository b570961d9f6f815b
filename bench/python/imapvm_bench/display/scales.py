"""Axes of plots: positions of values, and ticks."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Map from values to positions, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            value, low, high = (math.log(max(v, 1e-9)) for v in (value, low, high))
        share = (value - low) / (high - low) if high != low else 0.5
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 2)


def linear_ticks(high: float, about: int = 4) -> list[float]:
    """Return round values from 0 to at least `high`, about `about` of them."""
    if high <= 0:
        return [0.0, 1.0]
    rough = high / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough * 0.999)
    return [step * n for n in range(math.ceil(high / step * 0.9999) + 1)]


def log_ticks(low: float, high: float, at_most: int = 9) -> list[float]:
    """Return 1, 2 and 5 of each power of ten within bounds, at most `at_most` ticks."""
    low, high = max(low, 1e-9), max(high, 1e-9)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [
            digit * 10.0**power
            for power in powers
            for digit in digits
            if low * 0.999 <= digit * 10.0**power <= high * 1.001
        ]
        if len(found) <= at_most:
            break
    return found[:: max(1, -(-len(found) // at_most))]


def log_bounds(low: float, high: float) -> tuple[float, float]:
    """Return bounds widened to ticks: the next 1, 2 or 5 below and above."""
    return _step(max(low, 1e-9), up=False), _step(max(high, 1e-9), up=True)


def _step(value: float, *, up: bool) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    steps = [power * digit for digit in (1, 2, 5, 10)]
    if up:
        return next(step for step in steps if step >= value * 0.999)
    return next(step for step in reversed(steps) if step <= value * 1.001)
