"""Histograms against sorted lists."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imapvm_bench.load.histogram import Histogram

VALUES = st.lists(st.integers(1, 5_000_000), min_size=1, max_size=300)


def nearest_rank(values, percent):
    """Return the percentile by its definition."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(round(len(ordered) * percent / 100, 6))) - 1]


def histogram(values):
    return Histogram.of((value, 1) for value in values)


@given(VALUES, st.lists(st.sampled_from([0, 1, 25, 50, 90, 99, 99.9, 100]), min_size=1))
def test_percentiles_are_those_of_the_sorted_list(values, percents):
    percents = sorted(percents)
    expected = [nearest_rank(values, percent) for percent in percents]
    assert histogram(values).percentiles(percents) == expected


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_a_merged_histogram_has_all_values(several):
    together = Histogram.merged(histogram(values) for values in several)
    assert together == histogram(value for values in several for value in values)


@given(VALUES)
def test_count_mean_and_ends_are_those_of_the_list(values):
    counted = histogram(values)
    assert (counted.count, counted.min, counted.max) == (len(values), min(values), max(values))
    assert counted.mean == pytest.approx(sum(values) / len(values))


@given(VALUES, st.integers(1, 60))
def test_bars_are_adjacent_and_contain_every_value_once(values, bins):
    bars = histogram(values).logarithmic(bins)
    assert len(bars) == bins
    assert sum(count for _, _, count in bars) == len(values)
    assert all(a[1] == pytest.approx(b[0]) for a, b in pairwise(bars))
    assert bars[0][0] == pytest.approx(min(values))


def test_an_empty_histogram():
    empty = Histogram()
    assert (empty.count, empty.min, empty.max, empty.mean) == (0, 0, 0, 0.0)
    assert empty.percentiles((50, 99)) == [0, 0]
    assert empty.logarithmic(5) == []


def test_a_percentile_is_a_recorded_value():
    assert histogram([1, 1000]).percentile(50) == 1
    assert histogram([1, 1000]).percentile(50.1) == 1000
    assert histogram(range(1, 1001)).percentile(99.9) == 999
