"""Plain English and standard terms: refused words, and refused openings of docstrings.

`WORDS_PATHS="python/imapvm/filepool tests/filepool"` limits the check to some paths.
"""

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WORDS = (
    "somebody",
    "nobody",
    "whoever",
    "whomever",
    "whatever",
    "stranger",
    "anew",
    "behind",
    "stands",
    "octet",
    "doorbell",
    "bells",
    "keeper",
    "seat",
    "spoilt",
    "ailing",
    "breathe",
    "mistake",
    "trouble",
    "farewell",
    "can be had",
    "cannot be had",
    "to be had",
    "is to be",
    "are to be",
    "is none",
    "lets go",
    "let go of",
    "stand aside",
    "stood aside",
    "goes on as",
    "no more than that",
    "has been told",
)
"""Each also with a plural s. Identifiers are split at `_` and before capital letters."""

OPENINGS = re.compile(r"(?:What|Who|Where|Whoever|Whether|Whatever|Whose)\b")

ALLOWED = re.compile(
    r"i;o(?:ctet|\*)"  # a collation of RFC 4790
    r"|octet-stream|OCTET(?:-STREAM)?\b"  # a media type, and RFC 5234's rule
    r"|user ?= ?nobody"  # the Unix account, in configurations of mail systems
    r"|\bNone\b|\bis_none(?:_or)?\b"  # or "is None" would be refused
    r"|abnf:.*"  # quoted grammar
    r"|\"memory_octets\""  # a key of published results
)
"""Cut out of each line before the words are looked for."""

SUFFIXES = {
    ".py",
    ".pyi",
    ".rs",
    ".md",
    ".toml",
    ".txt",
    ".dict",
    ".service",
    ".socket",
    ".sh",
    ".snippet",
}
NAMES = {"Makefile", ".ci/run", ".ci/ground"}
NOT_PROSE = (
    "tests/architecture/test_words.py",
    "bench/results/",
    "rust/fuzz/corpus/",
)


def tracked() -> list[str]:
    """Return the tracked texts that the words apply to, below WORDS_PATHS where it is set."""
    paths = os.environ.get("WORDS_PATHS", "").split()
    listed = subprocess.run(
        ["git", "ls-files", "--", *paths], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return [
        name
        for name in listed
        if (Path(name).suffix in SUFFIXES or name in NAMES)
        and not name.startswith(NOT_PROSE)
        and (ROOT / name).is_file()
    ]


def plain(line: str) -> str:
    """Return a line with identifiers split into words, in lower case.

    >>> plain("def ring_theBells(self):  # Rings")
    'def ring the bells(self):  # rings'
    """
    line = ALLOWED.sub(" ", line)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", line.replace("_", " ")).lower()


REFUSED = re.compile(r"\b(?:" + "|".join(WORDS) + r")s?\b")


def refused_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield line number and word for each refused word."""
    for number, line in enumerate(text.splitlines(), 1):
        for found in REFUSED.finditer(plain(line)):
            yield number, found.group()


def python_docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each docstring, also of those after an assignment."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for before, statement in zip([None, *body], body, strict=False):
            if (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
                and (before is None or isinstance(before, ast.Assign | ast.AnnAssign))
            ):
                yield statement.lineno, statement.value.value


def rust_docs(source: str) -> Iterator[tuple[int, str]]:
    """Yield line number and first line of each doc comment."""
    before = ""
    for number, line in enumerate(source.splitlines(), 1):
        text = line.strip()
        kind = text[:3]
        if kind in {"///", "//!"} and before[:3] != kind:
            yield number, text[3:]
        before = text


def refused_openings(name: str, source: str) -> Iterator[tuple[int, str]]:
    """Yield line number and first line of each docstring that opens with a question word."""
    docs = rust_docs(source) if name.endswith(".rs") else python_docstrings(source)
    for number, text in docs:
        if OPENINGS.match(text.strip()):
            yield number, text.strip().splitlines()[0]


def test_the_check_sees_words_in_prose_and_in_names():
    text = "x = 1\nthe Nobody\nlast_octets\nclass DoorBell\nclass SeatMap\nit can be had\n"
    assert list(refused_words(text)) == [
        (2, "nobody"),
        (3, "octets"),
        (5, "seat"),
        (6, "can be had"),
    ]
    assert list(refused_words("application/octet-stream; 1*OCTET; anewt; seating")) == []


def test_the_check_sees_openings():
    python = '"""What."""\nX = 1\n"""Where x."""\ndef f():\n    """Return."""\n"""no doc."""\n'
    assert list(refused_openings("a.py", python)) == [(1, "What."), (3, "Where x.")]
    rust = "//! Who.\n//! What\n\n/// Whether\n/// x\nfn f() {}\n"
    assert list(refused_openings("a.rs", rust)) == [(1, "Who."), (4, "Whether")]


def test_texts_were_found():
    names = tracked()
    assert names
    if "WORDS_PATHS" not in os.environ:
        assert len(names) > 400
        assert {"README.md", "python/imapvm/_core.pyi", "rust/src/lib.rs"} <= set(names)


def test_no_text_uses_a_refused_word():
    found = [
        f"{name}:{number}: {word}"
        for name in tracked()
        for number, word in refused_words((ROOT / name).read_text())
    ]
    if found:
        pytest.fail(f"{len(found)} refused words:\n" + "\n".join(found), pytrace=False)


def test_no_docstring_opens_with_a_question_word():
    found = [
        f"{name}:{number}: {line}"
        for name in tracked()
        if name.endswith((".py", ".pyi", ".rs"))
        for number, line in refused_openings(name, (ROOT / name).read_text())
    ]
    if found:
        pytest.fail(f"{len(found)} refused openings:\n" + "\n".join(found), pytrace=False)
