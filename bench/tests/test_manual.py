"""The manual agrees with the tool: examples are valid, tables are complete."""

import re
from pathlib import Path

import pytest

from imapvm_bench import cli
from imapvm_bench.corpus.shapes import SHAPES
from imapvm_bench.errors import ExitStatus
from imapvm_bench.scenario import file as scenario_file
from imapvm_bench.scenario.model import METRICS
from imapvm_bench.scenario.template import PLACEHOLDERS

MANUAL = (Path(__file__).parents[2] / "bench" / "README.md").read_text()


def first_cells(title):
    """Return the first cells of the table with this head."""
    table = MANUAL[MANUAL.index(title) :].split("\n\n")[0]
    return re.findall(r"^\| `?([^|`]+?)`? \|", table, re.MULTILINE)[1:]


def test_the_example_is_a_scenario_with_every_key():
    example = re.search(r"```toml\n(.*?)```", MANUAL, re.DOTALL)[1]
    scenario = scenario_file.read(example, "README.md", "example")
    assert [entry.name for entry in scenario.mix] == ["read"]
    wrong = scenario_file.read
    with pytest.raises(scenario_file.ScenarioError) as caught:
        wrong('about = "a"\nx = 1\n[[mix]]\ncommands = ["NOOP"]\n', "x", "x")
    for key in re.findall(r"[a-z_]+", caught.value.errors[0].partition("use")[2]):
        assert re.search(rf"^(?:\[+)?{key}\b", example, re.MULTILINE), key
    assert all(f'"{metric}"' in example for metric in METRICS)


def test_the_tables_are_complete():
    assert first_cells("| placeholder |") == [f"{{{name}}}" for name in PLACEHOLDERS]
    assert sorted(first_cells("| name | what it does | changes |")) == scenario_file.names()
    assert [int(cell) for cell in first_cells("| status | means |")] == sorted(ExitStatus)
    assert sorted(first_cells("| verb | what it does |")) == [
        "compare", "fill", "idle", "run", "scenarios",
    ]  # fmt: skip
    assert all(f"`{shape}`" in MANUAL for shape in SHAPES)


def test_options_in_the_manual_exist():
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", MANUAL.split("## `make compare`")[0]))
    known = {"--no-install-recommends", "--help"}
    for verb in cli.parser()._subparsers._group_actions[0].choices.values():
        known |= set(verb._option_string_actions)
    assert named - known == set()


def test_every_verb_has_help(capsys):
    for verb in ("run", "idle", "fill", "compare", "scenarios"):
        with pytest.raises(SystemExit) as caught:
            cli.main([verb, "--help"])
        assert caught.value.code == 0
        assert f"imapvm-bench {verb}" in capsys.readouterr().out
