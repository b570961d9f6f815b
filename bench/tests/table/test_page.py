"""The page shows missed aims as clearly as reached ones."""

from bench.table.page import page
from bench.table.results import (
    Curve,
    FlushRow,
    IdleResult,
    LargeRow,
    Point,
    Results,
    RowResult,
    ratios,
)
from bench.tests.table.builders import results


def line(text: str, start: str) -> list[str]:
    """Return the cells of the line that starts with `start`."""
    [found] = [one for one in text.splitlines() if one.startswith(f"| {start}")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def row(ours, theirs, goal=2.0, **more):
    return RowResult(
        "NOOP", "commands/s", 1, {"dovecot": goal}, {"imapvm": ours, "dovecot": theirs}, **more
    )


def test_a_row_that_reaches_its_aim():
    text = page(results(row([200.0, 210.0], [100.0, 100.0])))
    assert line(text, "NOOP")[2:7] == ["205 ±2 %", "100 ±0 %", "2.05", "2", "reached"]
    assert "1 aims reached, 0 missed." in text


def test_a_row_that_misses_its_aim():
    text = page(results(row([150.0, 160.0], [100.0, 100.0])))
    assert line(text, "NOOP")[4:8] == ["1.55", "2", "**missed**", "1.5 to 1.6"]
    assert "0 aims reached, 1 missed." in text


def test_a_slower_row_is_marked():
    text = page(results(row([50.0], [100.0])))
    assert line(text, "NOOP")[6] == "**missed**, slower"


def test_a_failed_row_has_a_line_with_the_reason():
    text = page(results(row([None], [100.0], errors={"imapvm": ["it | crashed"]})))
    assert line(text, "NOOP")[2:7] == ["failed", "100", "-", "2", "**no value**"]
    assert "* NOOP, imapvm: it | crashed" in text


def test_the_note_is_above_the_tables():
    run = results(row([200.0], [100.0]))
    assert "**Note.**" not in page(run)
    run.note = "The machine was not quiet."
    text = page(run)
    assert text.index("**Note.** The machine was not quiet.") < text.index("| row |")


def test_ratios_are_taken_by_round():
    one = row([100.0, None, 300.0], [50.0, 10.0, 100.0])
    assert ratios(one, "imapvm", "dovecot") == [2.0, 3.0]


def test_two_workers_slower_than_one_are_marked():
    values = {"imapvm-1": [100.0, 100.0], "imapvm-2": [90.0, 80.0]}
    text = page(results(RowResult("NOOP", "commands/s", 1, {}, values)))
    assert line(text, "NOOP")[5:7] == ["0.85", "**slower**"]


def test_idle_sessions_are_compared_with_their_aims():
    made = results()
    made.idle = [
        IdleResult("imapvm", False, 5000, 9.5 * 1024, 11 * 1024, 200, 0,
                   {"p50": 1.0, "p99": 12.0, "max": 15.0}),
        IdleResult("imapvm", True, 5000, 31 * 1024, 33 * 1024),
        IdleResult("dovecot", False, 500, 500 * 1024, 900 * 1024),
    ]  # fmt: skip
    text = page(made)
    assert line(text, "imapvm | no")[3:] == [
        "9.5", "11.0", "reached", "1.0", "12.0", "15.0", "**missed**",
    ]  # fmt: skip
    assert line(text, "imapvm | yes")[5] == "**missed**"
    assert line(text, "dovecot | no")[5] == ""


def test_a_fiftieth_of_dovecot_is_an_aim_too():
    made = results()
    made.idle = [
        IdleResult("imapvm", False, 5000, 9.5 * 1024),
        IdleResult("dovecot", False, 500, 400 * 1024),
    ]
    assert line(page(made), "imapvm | no")[5] == "**missed**"


def test_an_incomplete_curve_keeps_its_points():
    made = results()
    points = [Point(10_000, [100.0, 102.0, 99.0])]
    made.scale = [Curve("Delivery", "messages", "µs", "flat", "", points, "no space left")]
    text = page(made)
    assert line(text, "10,000") == ["10,000", "100", "99 to 102"]
    assert "**Incomplete**: no space left" in text


def test_a_missing_server_is_listed_with_the_command():
    made = results()
    made.missing = {"cyrus": "python -m bench.peers get cyrus"}
    made.failed = {"pymap": "exit status 1"}
    text = page(made)
    assert "* cyrus: not installed. `python -m bench.peers get cyrus`" in text
    assert "* pymap: exit status 1" in text


def test_results_round_trip_through_their_file(tmp_path):
    made = results(row([200.0], [None], errors={"dovecot": ["gone"]}))
    made.write(tmp_path / "2026-06-01.json")
    assert Results.read(tmp_path / "2026-06-01.json") == made


def flush_row(latency_ms: float) -> FlushRow:
    values: dict[str, list[float | None]] = {
        "imapvm": [400.0], "dovecot": [800.0], "dovecot-always": [100.0],
    }  # fmt: skip
    syncs: dict[str, list[float | None]] = {"imapvm": [2.0], "dovecot": [0.0]}
    return FlushRow(
        "STORE one flag, 1 connection",
        "commands/s",
        1,
        values=values,
        latency_ms=latency_ms,
        syncs=syncs,
    )


def test_durable_rows_are_compared_at_each_latency(tmp_path):
    made = results()
    made.flush = [flush_row(0.2), flush_row(1.0)]
    made.write(tmp_path / "2026-06-01.json")
    assert Results.read(tmp_path / "2026-06-01.json") == made
    lines = [
        [cell.strip() for cell in one.strip("|").split("|")]
        for one in page(made).splitlines()
        if one.startswith("| STORE")
    ]
    assert [cells[2:] for cells in lines] == [
        ["0.2", "400", "800", "100", "0.50", "4.00", "", "2.00", "0.00", "-"],
        ["1", "400", "800", "100", "0.50", "4.00", "**missed** (1), reached (3)",
         "2.00", "0.00", "-"],
    ]  # fmt: skip


def test_large_mailboxes_are_compared_with_their_aims():
    made = results()
    made.large = [
        LargeRow("SORT", "ms", (250.0, 50.0), {"imapvm": [200.0, 20.0], "dovecot": [900.0, 50.0]}),
        LargeRow("THREAD", "ms", (250.0, 50.0), {"imapvm": [200.0, 51.0]}, {"dovecot": "NO"}),
    ]
    text = page(made)
    assert line(text, "SORT")[2:] == ["200", "20", "900", "50", "250, 50", "reached", "2.5"]
    assert line(text, "THREAD")[2:] == ["200", "51", "-", "-", "250, 50", "**missed**", "-"]
    assert "* THREAD, dovecot: NO" in text
