"""References in code and documents: what they name exists."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOPS = ("", "python/imapvm", "python", "rust", "rust/src", "bench", "bench/python/imapvm_bench")
"""Directories that a path in a text may be relative to, beside the text's own."""
SUFFIXES = {".py", ".pyi", ".rs", ".md", ".toml", ".yml"}
NAMES = {"Makefile", ".ci/run", ".ci/ground"}
NOT_TEXT = ("bench/results/", "rust/fuzz/corpus/", "tests/architecture/test_references.py")

OUTSIDE = re.compile(r"\b(?:FOUNDATIONS|DESIGN|STYLE\.md|PROTOCOL\.md|LOG\.md)\b")
DECISION = re.compile(r"\b[Dd]ecision (\d{4})|decisions/(\d{4})(?=[^-\w]|$)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(
    r"(?<![\w/.\-*…{~$])((?:[a-zA-Z_][\w\-]*/)+[\w\-]+\.(?:py|pyi|rs|md|toml|html|json|txt))\b(?!/)"
)
DOTTED = re.compile(r"(?<![\w./])(imapvm(?:_bench)?(?:\.\w+)+)")
FILE = re.compile(r"\.(?:toml|service|socket|snippet)$")
DIALOGUE = re.compile(r"(?:tests/)?dialogues/([\w.\-]+\.txt)")
MADE = re.compile(r"`(?:\$ )?make ([a-z-]+)\b|^ {4}make ([a-z-]+)", re.MULTILINE)
NOT_NAMES = re.compile(r"^imapvm\.(?:example|x|running|missing)\b|__file__$")
"""Domain names of sample mail, and attributes of local variables."""
MADE_BY_USERS = ("var/", "etc/", "lib/", "run/", "dev/", "proc/", "usr/", "tmp/", "new/", "cur/")


@cache
def tracked() -> frozenset[str]:
    """Return every tracked path, and every directory of one."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    there = [name for name in listed if (ROOT / name).exists()]
    return frozenset(there) | {str(parent) for name in there for parent in Path(name).parents}


def texts() -> list[str]:
    return sorted(
        name
        for name in tracked()
        if (Path(name).suffix in SUFFIXES or name in NAMES)
        and not name.startswith(NOT_TEXT)
        and (ROOT / name).is_file()
    )


def exists(name: str, path: str) -> bool:
    """Tell whether a path named in the text `name` is in the repository."""
    own = Path(name).parent
    return any(
        str((ROOT / top / path).resolve().relative_to(ROOT)) in tracked()
        for top in (*TOPS, str(own), *(str(p) for p in own.parents))
        if (ROOT / top / path).resolve().is_relative_to(ROOT)
    )


def anchors(markdown: str) -> set[str]:
    """Return the anchors that headings of a document get."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", markdown, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading))
        found.add(plain.strip().lower().replace(" ", "-"))
    return found


@cache
def defined(module: Path) -> frozenset[str]:
    """Return the names that a module or stub defines or imports at its top."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
    return frozenset(names)


def resolves(dotted: str) -> bool:
    """Tell whether a dotted name is a module, or a module and names that occur in it."""
    first, *rest = dotted.split(".")
    at = ROOT / {"imapvm": "python/imapvm", "imapvm_bench": "bench/python/imapvm_bench"}[first]
    while rest and (at / rest[0]).is_dir():
        at /= rest.pop(0)
    if not rest:
        return True
    for suffix in (".py", ".pyi"):
        module = at / (rest[0] + suffix)
        if module.is_file():
            return all(name in defined(module) for name in rest[1:2])
    init = at / "__init__.py"
    return rest[0] in defined(init) if init.is_file() else False


def missing(name: str, text: str) -> Iterator[str]:
    """Yield what a text refers to and the repository does not have."""
    yield from (f"outside the repository: {found}" for found in OUTSIDE.findall(text))
    for numbers in DECISION.findall(text):
        number = "".join(numbers)
        if not list((ROOT / "docs/decisions").glob(f"{number}-*.md")):
            yield f"no decision {number}"
    if name.endswith(".md"):
        for link in LINK.findall(text):
            path, _, anchor = link.partition("#")
            if path.startswith(("http:", "https:", "mailto:")):
                continue
            target = (ROOT / name).parent / path if path else ROOT / name
            if not target.exists():
                yield f"no file {link}"
            elif anchor and anchor not in anchors(target.read_text()):
                yield f"no section {link}"
    for path in PATH.findall(text):
        placeholder = Path(path).stem.isupper()
        if not (path.startswith(MADE_BY_USERS) or placeholder or exists(name, path)):
            yield f"no file {path}"
    for dialogue in DIALOGUE.findall(text):
        if f"tests/dialogues/{dialogue}" not in tracked():
            yield f"no dialogue {dialogue}"
    for dotted in DOTTED.findall(text):
        if not (NOT_NAMES.search(dotted) or FILE.search(dotted) or resolves(dotted)):
            yield f"no module or name {dotted}"


def test_the_check_sees_what_is_missing():
    text = (
        "See docs/gone.md, docs/storage.md, decision 9999, [x](gone.md), [y](protocol.md#gone),\n"
        "`imapvm.model.ids.Uid`, `imapvm.model.gone`, `imapvm.model.ids.Gone`, FOUNDATIONS.\n"
    )
    assert list(missing("docs/a.md", text)) == [
        "outside the repository: FOUNDATIONS",
        "no decision 9999",
        "no file gone.md",
        "no section protocol.md#gone",
        "no file docs/gone.md",
        "no module or name imapvm.model.gone",
        "no module or name imapvm.model.ids.Gone",
    ]


def test_everything_that_a_text_refers_to_exists():
    found = [
        f"{name}: {what}" for name in texts() for what in missing(name, (ROOT / name).read_text())
    ]
    if found:
        pytest.fail(f"{len(found)} broken references:\n" + "\n".join(found), pytrace=False)


def test_targets_that_documents_name_are_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in texts():
        if name.endswith(".md") and not name.startswith("bench/RESULTS"):
            named = {a or b for a, b in MADE.findall((ROOT / name).read_text())}
            assert named - targets == set(), name
    first = re.findall(r"^ {4}make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert first[:2] == ["run", "test"], "the two commands of the README"
