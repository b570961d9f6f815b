"""The tree: files with one subject, no notes to self, no test that does not run."""

import re
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
        "bench": ["*.py"],
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
SOMEBODYS_MACHINE = re.compile(
    rb"/(?:home|Users)/[a-z]+/(?!imapvm)|/ro" rb"ot/|/wo" rb"rk/|/t" rb"mp/[a-z]+\.(?:txt|lock)"
)
KINDS = {"util", "utils", "helper", "helpers", "common", "misc", "manager"}
"""A name says the subject of a file, not that it is a file."""


def test_sources_were_found():
    assert len(SOURCES) > 60
    assert ROOT / "python/imapvm/_core.pyi" in SOURCES
    assert ROOT / ".ci/run" in SOURCES


@pytest.mark.parametrize("top", ["python/imapvm", "rust/src"])
def test_a_source_file_has_one_subject(top):
    """Rust's own test modules and the stub, which is a reference book, are not counted."""
    long = {}
    for path in SOURCES:
        if path.is_relative_to(ROOT / top) and path.suffix in {".py", ".rs"}:
            code = path.read_text().split("\n#[cfg(test)]\nmod ")[0]
            if path.stem != "tests" and code.count("\n") > LINES_MAX:
                long[str(path.relative_to(ROOT))] = code.count("\n")
    assert long == {}


def test_nothing_is_left_to_be_done_later():
    assert [str(p) for p in TEXTS if UNFINISHED.search(p.read_bytes())] == []


def test_nothing_speaks_of_the_machine_it_was_written_on():
    assert [str(p) for p in TEXTS if SOMEBODYS_MACHINE.search(p.read_bytes())] == []


def test_files_are_named_after_their_subject():
    assert [str(p) for p in SOURCES if p.stem.lower() in KINDS] == []


def test_no_test_is_skipped_or_expected_to_fail():
    skipping = re.compile(
        r"pytest\.(?:mark\.)?(?:sk" r"ip|sk" r"ipif|xf" r"ail|importor" r"skip)\b"
    )
    found = [
        str(path) for path in (ROOT / "tests").rglob("*.py") if skipping.search(path.read_text())
    ]
    assert found == []
