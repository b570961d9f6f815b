"""Progress of a load: a view on a terminal, lines elsewhere."""

import io

from bench.tests.builders import scenario, target
from rich.console import Console

from imapvm_bench.display import live
from imapvm_bench.display.live import LineProgress, LiveView, line_of, progress_display
from imapvm_bench.load.plan import LoadSpec
from imapvm_bench.load.report import LoadSnapshot, Recent, Totals

LOAD = LoadSpec(target(), scenario(name="small"), connections=64, seconds=10.0)
RECENT = Recent(84_201.0, 12_500_000.0, 740, 3100)


def snapshot(phase="measuring", **changes):
    values = {"elapsed": 4.0, "open": 64, "totals": Totals(commands=336_804), "recent": RECENT}
    return LoadSnapshot(phase, **values | changes)


def drawn(view):
    screen = Console(width=100, force_terminal=True, color_system=None)
    with screen.capture() as captured:
        screen.print(view)
    return captured.get()


def test_the_view_has_throughput_latency_and_errors():
    view = LiveView(LOAD)
    for rate in (10_000, 42_000, 84_201):
        view(snapshot(recent=Recent(rate, 12_500_000.0, 740, 3100)))
    shown = drawn(view)
    for part in (
        "small",
        "4.0 of 10 s",
        "84,201  ▁▄█",
        "3.10 ms",
        "740 µs",
        "12.5 MB/s",
        "336,804",
    ):
        assert part in shown
    assert "errors                  0" in shown


def test_the_view_shows_errors_by_kind_without_control_characters():
    view = LiveView(LOAD)
    view(snapshot(errors={"NO": 3, "[red]odd[/red]\x1b[2J": 9}))
    shown = drawn(view)
    assert "errors                 12" in shown
    assert "[red]odd[/red]�[2J" in shown
    assert shown.index("odd") < shown.index(" NO")


def test_the_view_shows_the_progress_of_opening():
    view = LiveView(LOAD)
    view(snapshot("opening", open=12))
    assert "opening 12 of 64 connections" in drawn(view)
    view(snapshot("warming up"))
    assert "warming up" in drawn(view)
    limited = LiveView(LoadSpec(target(), scenario(), limit=1000))
    limited(snapshot(totals=Totals(entries=400)))
    assert "400 of 1,000" in drawn(limited)


def test_without_a_terminal_there_is_a_line_for_each_phase_and_every_five_seconds(
    capsys, monkeypatch
):
    now = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    lines = LineProgress(10.0)
    for second in range(12):
        now[0] = float(second)
        phase = "opening" if second == 0 else "warming up" if second == 1 else "measuring"
        lines(snapshot(phase if second < 11 else "ended", elapsed=second))
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.splitlines() == [
        "opening: 64 connections",
        "warming up: 64 connections",
        "measuring: 64 connections",
        line_of(snapshot(elapsed=7), 10.0),
    ]


def test_without_a_terminal_there_are_no_escape_sequences():
    out = io.StringIO()
    screen = Console(file=out, width=80)
    with progress_display(LOAD, screen) as handler:
        handler(snapshot("ended"))
    assert out.getvalue() == ""
