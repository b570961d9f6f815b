import pytest

from imapvm_bench import engine_speed

# A fraction of what a quiet machine with two cores reaches: those who test may have neither a quiet
# machine nor two cores, and an engine that has become slow shows all the same.
COMMANDS_PER_SECOND = 12_000
BYTES_PER_SECOND = 200_000_000


@pytest.mark.slow
def test_the_engine_is_faster_than_what_it_measures():
    assert max(engine_speed.commands_per_second(64, 1.0) for _ in range(3)) > COMMANDS_PER_SECOND
    assert max(engine_speed.bytes_per_second(64, 1.0) for _ in range(3)) > BYTES_PER_SECOND


def test_the_speed_is_measured_and_printed(monkeypatch, capsys):
    arguments = ["engine_speed", "--connections", "2", "--seconds", "0.1", "--rounds", "1"]
    monkeypatch.setattr("sys.argv", arguments)
    engine_speed.main()
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("NOOP, 2 connections: ")
    assert second.startswith("literals of 1 MiB, 2 connections: ")
