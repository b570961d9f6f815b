import pytest

from imapvm_bench import engine_speed

# A fraction of the rates on an idle machine with two cores: a busy machine passes, and a much
# slower engine fails.
COMMANDS_PER_SECOND = 12_000
BYTES_PER_SECOND = 200_000_000


@pytest.mark.slow
def test_the_engine_is_faster_than_servers():
    assert max(engine_speed.commands_per_second(64, 1.0) for _ in range(3)) > COMMANDS_PER_SECOND
    assert max(engine_speed.bytes_per_second(64, 1.0) for _ in range(3)) > BYTES_PER_SECOND


def test_the_speed_is_printed(monkeypatch, capsys):
    arguments = ["engine_speed", "--connections", "2", "--seconds", "0.1", "--rounds", "1"]
    monkeypatch.setattr("sys.argv", arguments)
    engine_speed.main()
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("NOOP, 2 connections: ")
    assert second.startswith("literals of 1 MiB, 2 connections: ")
