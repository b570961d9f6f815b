"""Files with one subject, nothing unfinished, no test that does not run."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES_MAX = 600
"""Upper bound; 400 is the aim. A longer file has two subjects."""

SOURCES = sorted(
    path
    for top, patterns in {
        "python": ["*.py", "*.pyi"],
        "rust/src": ["*.rs"],
        "tests": ["*.py"],
        "bench": ["*.py", "*.pyi"],
        ".ci": ["*"],
        "docs": ["*.md"],
        "config": ["*"],
    }.items()
    for pattern in patterns
    for path in (ROOT / top).rglob(pattern)
    if path.is_file() and "__pycache__" not in path.parts
)
TEXTS = [
    *SOURCES,
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile")),
]

UNFINISHED = re.compile(
    rb"\b(?:TO" rb"DO|FIX" rb"ME|XX" rb"X|HA" rb"CK)\b|to" rb"do!\(|unimpl" rb"emented!\("
)
OWN_MACHINE = re.compile(
    rb"/(?:home|Users)/[a-z]+/(?!imapvm)|/ro" rb"ot/|/wo" rb"rk/|/t" rb"mp/[a-z]+\.(?:txt|lock)"
)
KINDS = {"util", "utils", "helper", "helpers", "common", "misc", "manager"}
"""Names that do not tell the subject of a file."""


def test_sources_were_found():
    assert len(SOURCES) > 60
    assert ROOT / "python/imapvm/_core.pyi" in SOURCES
    assert ROOT / ".ci/run" in SOURCES


@pytest.mark.parametrize("top", ["python/imapvm", "rust/src"])
def test_a_source_file_has_one_subject(top):
    """Rust test modules and the stub are not counted."""
    long = {}
    for path in SOURCES:
        if path.is_relative_to(ROOT / top) and path.suffix in {".py", ".rs"}:
            code = path.read_text().split("\n#[cfg(test)]\nmod ")[0]
            if path.stem != "tests" and code.count("\n") > LINES_MAX:
                long[str(path.relative_to(ROOT))] = code.count("\n")
    assert long == {}


def names_defined_twice(definitions: list[tuple[str, Path]]) -> dict[str, list[str]]:
    files = defaultdict(list)
    for name, path in definitions:
        files[name].append(str(path.relative_to(ROOT)))
    return {name: places for name, places in files.items() if len(places) > 1}


def test_a_class_name_has_one_meaning():
    """Tests are not counted: a fake may have the name of the class that it replaces."""
    classes = [
        (node.name, path)
        for path in SOURCES
        if path.suffix in {".py", ".pyi"}
        and not path.is_relative_to(ROOT / "tests")
        and not path.is_relative_to(ROOT / "bench/tests")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    assert names_defined_twice(classes) == {}


def test_a_type_in_rust_has_one_meaning():
    definition = re.compile(
        r"^(?:pub(?:\([a-z: ]+\))? )?(?:struct|enum|trait|type|union) (\w+)", re.MULTILINE
    )
    types = [
        (name, path)
        for top in ("rust/src", "bench/rust/src")
        for path in sorted((ROOT / top).rglob("*.rs"))
        for name in definition.findall(path.read_text())
    ]
    assert len(types) > 200
    assert names_defined_twice(types) == {}


def test_no_text_has_a_note_about_unfinished_work():
    assert [str(p) for p in TEXTS if UNFINISHED.search(p.read_bytes())] == []


def test_no_text_names_a_path_of_a_developers_machine():
    assert [str(p) for p in TEXTS if OWN_MACHINE.search(p.read_bytes())] == []


def test_files_are_named_after_their_subject():
    assert [str(p) for p in SOURCES if p.stem.lower() in KINDS] == []


def test_no_test_is_skipped_or_expected_to_fail():
    skipping = re.compile(
        r"pytest\.(?:mark\.)?(?:sk" r"ip|sk" r"ipif|xf" r"ail|importor" r"skip)\b"
    )
    found = [
        str(path)
        for top in ("tests", "bench/tests")
        for path in (ROOT / top).rglob("*.py")
        if skipping.search(path.read_text())
    ]
    assert found == []
