"""Pages and tables: well-formed, self-contained, and safe against text of a server."""

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import pytest
from bench.tests.builders import outcome, report, scenario, target
from rich.console import Console

from imapvm_bench.display.charts import grouped, latency_histogram, percentile_curves
from imapvm_bench.display.compare_page import compare_page
from imapvm_bench.display.idle_page import idle_page
from imapvm_bench.display.idle_table import idle_table
from imapvm_bench.display.run_page import run_page
from imapvm_bench.display.scales import Scale, linear_ticks, log_bounds, log_ticks
from imapvm_bench.display.tables import compare_table, run_table
from imapvm_bench.format import (
    format_latency,
    format_latency_tick,
    format_rate,
    format_ratio,
    format_size,
    sparkline,
)
from imapvm_bench.idle.memory import Memory
from imapvm_bench.idle.pool import IdlePoolState
from imapvm_bench.idle.report import IdleReport, IdleSpec, PushLatency
from imapvm_bench.load.compare import ComparisonRow, compare
from imapvm_bench.load.histogram import Histogram
from imapvm_bench.load.probe import Probe
from imapvm_bench.load.report import ErrorCount, Series

EVIL = "<script>alert('x')</script> & \"quoted\" \x1b[31m]]> \x00 é"
BEGAN = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SERIES = Series(100, [10, 20, 30], [1, 2, 3], [0, 1, 0], [100, 900, 0])


def checked(page):
    """Parse a page as XML, which is stricter than HTML, and check that it loads nothing."""
    root = ET.fromstring(page.removeprefix("<!DOCTYPE html>\n"))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags.isdisjoint({"script", "img", "link", "iframe", "object", "a", "base"})
    assert not re.search(r"(?:src|href|srcset)\s*=|@import|url\(", page)
    assert "\x1b" not in page
    assert "\x00" not in page
    return root


def text_of(root):
    return "".join(root.itertext())


def run_pages():
    evil = {EVIL: ErrorCount(3, EVIL)}
    yield outcome(report(seconds=0.3, series=SERIES))
    yield outcome(report(errors=evil, ended=f"server stopped answering: {EVIL}"))
    yield outcome(report(errors=evil), on=target(EVIL), doing=scenario(name=EVIL))
    yield outcome(report(0, histogram=(), ended="no connection could be set up: refused"))
    yield outcome(report(histogram=((1, 1),), seconds=0.0), interrupted=True, rate=5.0)
    yield outcome(report(histogram=((600_000_000, 10**9),)))


@pytest.mark.parametrize("made", list(run_pages()))
def test_a_page_of_a_run_is_well_formed_and_loads_nothing(made):
    root = checked(run_page(made, BEGAN))
    assert "25 November 2026" in text_of(root)


def test_text_of_a_server_is_escaped():
    shown = text_of(checked(run_page(outcome(report(errors={"NO": ErrorCount(3, EVIL)})), BEGAN)))
    assert "<script>alert('x')</script> & \"quoted\" �[31m]]> � é" in shown


def test_a_page_of_a_run_shows_how_it_ended():
    stopped = outcome(report(ended="server stopped answering: silent for 30 s"))
    assert "Server stopped answering: silent for 30 s." in run_page(stopped, BEGAN)
    assert "Interrupted" in run_page(outcome(interrupted=True), BEGAN)
    assert "open loop at 50.0/s" in run_page(outcome(rate=50.0), BEGAN)


def test_every_value_of_a_plot_has_a_title():
    root = checked(run_page(outcome(report(seconds=0.3, series=SERIES)), BEGAN))
    titles = [e.text for e in root.iter() if e.tag.endswith("title")]
    assert "0.1 to 0.2 s: 200.0 commands/s, 1 errors" in titles
    assert "0.1 to 0.2 s: p99 900 µs" in titles
    assert any(title.startswith("p50: 1.00 ms") for title in titles)


def test_a_page_of_a_comparison_is_well_formed_and_has_the_ratios():
    def runner(load, **_):
        if load.target.name == EVIL:
            return outcome(report(50, errors={"NO": ErrorCount(1, EVIL)}), on=load.target)
        return outcome(report(100), on=load.target)

    rows = [
        ComparisonRow("noop & co", scenario()),
        ComparisonRow("latency", scenario(), metric="p99 ms"),
    ]
    made = compare([target("a"), target(EVIL)], rows, rounds=2, runner=runner)
    shown = text_of(checked(compare_page(made, BEGAN)))
    assert "noop & co" in shown
    assert "2.00 2.00 to 2.00" in shown
    assert "a and <script>" in shown
    made.interrupted = True
    made.values = {}
    assert "failed" in text_of(checked(compare_page(made, BEGAN)))


def idle_report(**changes):
    load = IdleSpec(target(EVIL, pid=1), 1000)
    push = PushLatency(3, 6, 1, [900, 1500, 2500, 800, 700], [0, 1, 2, 3, 4], [1500, 2500, 800])
    made = IdleReport(load, Probe("* OK", "Fake"), 2, IdlePoolState(1000), 1000, 3.5)
    made.before, made.after = Memory(50_000_000, 30_000_000, 1), Memory(58_192_000, 38_192_000, 1)
    made.push = push
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    "made",
    [
        idle_report(),
        idle_report(push=PushLatency(), before=None, after=None),
        idle_report(interrupted=True, state=IdlePoolState(1, 2, 3, {EVIL: ErrorCount(3, EVIL)})),
        idle_report(ended_early=EVIL, state=IdlePoolState()),
    ],
)
def test_a_page_of_idle_sessions_is_well_formed(made):
    assert "idle sessions" in text_of(checked(idle_page(made, BEGAN)))


def test_memory_per_session_is_the_growth_of_memory():
    made = idle_report()
    assert made.per_session(made.after) == (8192.0, 8192.0)
    assert "8.00 KiB" in idle_page(made, BEGAN)
    assert made.to_json()["memory"]["bytes_a_session"] == 8192
    assert made.to_json()["news"]["from_dot_us"] == {"p50": 900, "p99": 2500, "max": 2500}


def on_a_terminal(what):
    screen = Console(force_terminal=True, width=100, color_system="truecolor")
    with screen.capture() as captured:
        screen.print(what)
    return captured.get()


@pytest.mark.parametrize("made", list(run_pages()))
def test_a_table_has_no_control_characters_of_a_server(made):
    shown = on_a_terminal(run_table(made))
    assert "\x00" not in shown
    assert "\x1b[31m]]>" not in shown


def test_markup_in_a_name_is_escaped():
    evil = "[bold]x[/bold]"
    rows = [ComparisonRow(evil, scenario())]
    made = compare(
        [target(evil), target("b")],
        rows,
        rounds=1,
        runner=lambda load, **_: outcome(
            report(errors={"NO": ErrorCount(1, evil)}), on=load.target
        ),
    )
    assert on_a_terminal(compare_table(made)).count(evil) >= 4
    assert evil in on_a_terminal(idle_table(idle_report(load=IdleSpec(target(evil), 5))))


def test_plots_without_values_and_of_one_value():
    for counted in (Histogram(), Histogram(((5, 1),)), Histogram(((0, 3), (10**9, 1)))):
        for plot in (latency_histogram(counted), percentile_curves([("x", counted)])):
            assert ET.fromstring(plot).tag.endswith("svg")
            assert "nan" not in plot


@pytest.mark.parametrize("high", [0.003, 0.9, 1, 7, 10, 99, 12_345, 8e7])
def test_ticks_are_round_and_reach_the_top(high):
    ticks = linear_ticks(high)
    assert ticks[0] == 0
    assert ticks[-1] >= high * 0.999
    assert 3 <= len(ticks) <= 7


def test_ticks_of_a_logarithmic_axis_are_few_and_within_it():
    assert log_ticks(1, 10) == [1, 2, 5, 10]
    assert log_ticks(100, 1e6, 5) == [100, 1000, 10_000, 100_000, 1_000_000]
    assert len(log_ticks(1, 1e12)) <= 9
    assert log_bounds(130, 900) == (100, 1000)
    assert log_bounds(100, 1000) == (100, 1000)


def test_a_scale_is_clamped():
    scale = Scale(1, 100, 0, 50, log=True)
    assert [scale(v) for v in (0, 1, 10, 100, 1000)] == [0, 0, 25, 50, 50]
    assert Scale(3, 3, 0, 50)(3) == 25


def test_neighbours_are_grouped():
    assert grouped([1, 2, 3, 4, 5], 2) == [[1, 2, 3], [4, 5]]
    assert grouped([1, 2], 5) == [[1], [2]]
    assert grouped([], 5) == []


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (format_rate(84_201.4), "84,201"),
        (format_rate(97.25), "97.2"),
        (format_rate(0.123), "0.12"),
        (format_latency(999), "999 µs"),
        (format_latency(1250), "1.25 ms"),
        (format_latency(12_345), "12.3 ms"),
        (format_latency(2_310_000), "2.31 s"),
        (format_latency(600_000_000), "600 s"),
        (format_latency_tick(0), "0"),
        (format_latency_tick(2500), "2.5 ms"),
        (format_size(812), "812 B"),
        (format_size(4100), "4.10 kB"),
        (format_size(1.02e9), "1.02 GB"),
        (format_size(999_600), "1.00 MB"),
        (format_ratio(226.4), "226"),
        (format_ratio(0.314), "0.31"),
        (sparkline([0, 5, 10], 40), "▁▄█"),
        (sparkline([1, 2, 3, 4], 2), "▆█"),
        (sparkline([0, 0], 40), "▁▁"),
        (sparkline([], 40), ""),
    ],
)
def test_numbers_have_three_digits_and_a_unit(shown, expected):
    assert shown == expected
