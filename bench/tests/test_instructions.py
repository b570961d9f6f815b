"""Instruction counts of the hot paths in Rust."""

import pytest
from bench import instructions
from bench.instructions import Recorded, regressions

RECORDED = Recorded("rustc 1", {"scan": 1000, "render": 2000})


@pytest.mark.slow
def test_no_hot_path_takes_more_instructions_than_recorded():
    counted = instructions.count_all(instructions.build())
    assert regressions(counted, instructions.read_recorded(), instructions.compiler()) == []


@pytest.mark.slow
def test_counts_are_reproducible():
    program = instructions.build()
    assert instructions.count(program, "commands") == instructions.count(program, "commands")


def test_the_tolerance_is_two_percent():
    assert regressions({"scan": 1020, "render": 1000}, RECORDED, "rustc 1") == []
    [message] = regressions({"scan": 1021, "render": 1000}, RECORDED, "rustc 1")
    assert message.startswith("scan takes 1,021 instructions, +2.1%")


def test_the_tolerance_is_larger_for_another_compiler():
    assert regressions({"scan": 1150, "render": 2000}, RECORDED, "rustc 2") == []
    assert regressions({"scan": 1151, "render": 2000}, RECORDED, "rustc 2") != []


def test_a_new_or_missing_path_is_a_regression():
    messages = regressions({"scan": 1000, "decode": 1}, RECORDED, "rustc 1")
    assert messages == [
        "decode is not recorded: use --update",
        "render is recorded but does not exist: use --update",
    ]


@pytest.mark.slow
def test_an_unknown_path_is_an_error(tmp_path):
    program = tmp_path / "hot"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(instructions.CountError, match="cannot count nothing"):
        instructions.count(program, "nothing")
