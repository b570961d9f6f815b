"""Histograms of latencies: pairs of a value in microseconds and its count.

Values are those of an HDR histogram with three digits: at most 0.1 % off.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values, in ascending order of the values."""

    pairs: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[Sequence[int]]) -> Self:
        """Return a histogram of pairs in any order; counts of equal values are added."""
        counted: Counter[int] = Counter()
        for value, count in pairs:
            counted[value] += count
        return cls(tuple(sorted((v, n) for v, n in counted.items() if n)))

    @classmethod
    def merged(cls, several: Iterable["Histogram"]) -> Self:
        """Return the sum of several histograms."""
        return cls.of(pair for one in several for pair in one.pairs)

    @property
    def count(self) -> int:
        return sum(count for _, count in self.pairs)

    @property
    def max(self) -> int:
        """Return the largest value; 0 for an empty histogram."""
        return self.pairs[-1][0] if self.pairs else 0

    @property
    def min(self) -> int:
        """Return the smallest value; 0 for an empty histogram."""
        return self.pairs[0][0] if self.pairs else 0

    @property
    def mean(self) -> float:
        """Return the arithmetic mean; 0 for an empty histogram."""
        total = self.count
        return sum(v * n for v, n in self.pairs) / total if total else 0.0

    def percentile(self, percent: float) -> int:
        """Return the smallest value that at least `percent` of all values do not exceed.

        The nearest-rank definition: a recorded value, without interpolation. 0 for an empty
        histogram.
        """
        return self.percentiles((percent,))[0]

    def percentiles(self, percents: Sequence[float]) -> list[int]:
        """Return several percentiles in one pass; `percents` must ascend."""
        total = self.count
        found: list[int] = []
        seen = 0
        pairs = iter(self.pairs)
        value = 0
        for percent in percents:
            rank = max(1, math.ceil(round(total * percent / 100, 6)))
            while seen < min(rank, total):
                value, count = next(pairs)
                seen += count
            found.append(value)
        return found

    def logarithmic(self, bins: int) -> list[tuple[float, float, int]]:
        """Return `bins` bars (from, to, count), equally wide on a logarithmic axis.

        They reach from the smallest to the largest value; no bars for an empty histogram.
        """
        if not self.pairs:
            return []
        low = math.log(max(1, self.min))
        width = max((math.log(max(1, self.max)) - low) / bins, 1e-9)
        counts = [0] * bins
        for value, count in self.pairs:
            place = int((math.log(max(1, value)) - low) / width)
            counts[min(max(place, 0), bins - 1)] += count
        return [
            (math.exp(low + n * width), math.exp(low + (n + 1) * width), count)
            for n, count in enumerate(counts)
        ]
