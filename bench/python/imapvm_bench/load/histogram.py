"""Latencies as the engine counts them: pairs of a value in microseconds and how often it was seen.

The values are those of an HDR histogram with three digits: at most a thousandth off.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counted values, ascending, each once."""

    pairs: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[Sequence[int]]) -> Self:
        """Take pairs in any order; those with one value are put together."""
        counted: Counter[int] = Counter()
        for value, count in pairs:
            counted[value] += count
        return cls(tuple(sorted((v, n) for v, n in counted.items() if n)))

    @classmethod
    def merged(cls, several: Iterable["Histogram"]) -> Self:
        """What all of them counted together: exact, since the values are."""
        return cls.of(pair for one in several for pair in one.pairs)

    @property
    def count(self) -> int:
        return sum(count for _, count in self.pairs)

    @property
    def max(self) -> int:
        """Largest value; 0 if nothing was counted."""
        return self.pairs[-1][0] if self.pairs else 0

    @property
    def min(self) -> int:
        """Smallest value; 0 if nothing was counted."""
        return self.pairs[0][0] if self.pairs else 0

    @property
    def mean(self) -> float:
        """Arithmetic mean; 0 if nothing was counted."""
        total = self.count
        return sum(v * n for v, n in self.pairs) / total if total else 0.0

    def percentile(self, percent: float) -> int:
        """Smallest value that at least `percent` of the counted ones do not exceed.

        The nearest-rank definition: a value that was seen, never one in between. 0 if nothing was
        counted.
        """
        return self.percentiles((percent,))[0]

    def percentiles(self, percents: Sequence[float]) -> list[int]:
        """Return several percentiles, in one pass; `percents` ascend."""
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

        They reach from the smallest to the largest value; no bars if nothing was counted.
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
