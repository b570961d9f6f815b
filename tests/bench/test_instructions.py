"""The hot paths in Rust take no more instructions than they did."""

import pytest
from bench.instructions import Known, regressions

from bench import instructions

KNOWN = Known("rustc 1", {"scan": 1000, "render": 2000})


@pytest.mark.slow
def test_no_hot_path_takes_more_instructions_than_it_did():
    counted = instructions.count_all(instructions.build())
    assert regressions(counted, instructions.read_known(), instructions.compiler()) == []


@pytest.mark.slow
def test_the_same_path_is_counted_the_same_twice():
    program = instructions.build()
    assert instructions.count(program, "commands") == instructions.count(program, "commands")


def test_two_percent_more_is_allowed_and_not_more():
    assert regressions({"scan": 1020, "render": 1000}, KNOWN, "rustc 1") == []
    [said] = regressions({"scan": 1021, "render": 1000}, KNOWN, "rustc 1")
    assert said.startswith("scan takes 1,021 instructions, +2.1%")


def test_another_compiler_is_compared_more_generously():
    assert regressions({"scan": 1150, "render": 2000}, KNOWN, "rustc 2") == []
    assert regressions({"scan": 1151, "render": 2000}, KNOWN, "rustc 2") != []


def test_a_path_that_is_new_or_gone_has_to_be_noted():
    said = regressions({"scan": 1000, "decode": 1}, KNOWN, "rustc 1")
    assert said == [
        "decode is not known: --update notes it",
        "render is known, and there is no such path: --update forgets it",
    ]


@pytest.mark.slow
def test_a_path_that_does_not_exist_is_no_count(tmp_path):
    program = tmp_path / "hot"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(instructions.CountError, match="nothing could not be counted"):
        instructions.count(program, "nothing")
