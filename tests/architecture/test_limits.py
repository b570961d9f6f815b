"""Limits: each limit of model/limits.py has a test at the limit and one past it.

Constants elsewhere that look like limits are listed in its docstring, by file.
"""

import ast
import math
import re
from pathlib import Path

import pytest

import imapvm.model.limits

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
LIMITS = Path(imapvm.model.limits.__file__)


def limits(source: bytes) -> set[str]:
    """Return the names in capital letters that a module defines."""
    targets = [
        target
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return {t.id for t in targets if isinstance(t, ast.Name) and t.id.isupper()}


def marked(source: bytes, marker: str) -> set[str]:
    """Return the limits for which a test function of this file has a marker."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for call in node.decorator_list:
                if (
                    isinstance(call, ast.Call)
                    and ast.unparse(call.func) == f"pytest.mark.{marker}"
                    and node.name.startswith("test_")
                ):
                    names |= {a.value for a in call.args if isinstance(a, ast.Constant)}
    return names


def marked_anywhere(marker: str) -> set[str]:
    return set().union(*(marked(path.read_bytes(), marker) for path in TESTS.rglob("test_*.py")))


def test_the_check_sees_limits_and_markers():
    assert limits(b"A_MAX: Final = 1\nB_MAX = 2\nfrom x import C_MAX\nlower = 3") == {
        "A_MAX",
        "B_MAX",
    }
    source = b"@pytest.mark.at_limit('A_MAX')\n@other\ndef test_x(): ...\n"
    assert marked(source, "at_limit") == {"A_MAX"}
    assert marked(source, "past_limit") == set()
    assert marked(source.replace(b"test_x", b"not_a_test"), "at_limit") == set()


def test_each_limit_has_a_test_at_the_limit():
    assert limits(LIMITS.read_bytes()) - marked_anywhere("at_limit") == set()


def test_each_limit_has_a_test_past_the_limit():
    assert limits(LIMITS.read_bytes()) - marked_anywhere("past_limit") == set()


def test_each_marker_names_a_limit():
    named = marked_anywhere("at_limit") | marked_anywhere("past_limit")
    assert named - limits(LIMITS.read_bytes()) == set()


# --- limits in other files -----------------------------------------------------------------------

MAX_NAME = re.compile(r"(?!\w*_SECONDS_MAX)[A-Z0-9_]*_MAX")
LISTED = re.compile(
    r"^    (?P<place>(?:python/imapvm|rust/src)/\S+) +(?P<text>.+(?:\n {10,}.+)*)$", re.MULTILINE
)
RUST_CONSTANT = re.compile(r"^\s*(?:pub(?:\([a-z]+\))? )?const ([A-Z0-9_]+):", re.MULTILINE)


def listed() -> dict[str, str]:
    """Return the packages and files that the docstring of limits.py lists, with the text after."""
    docstring = ast.get_docstring(ast.parse(LIMITS.read_bytes()), clean=False)
    assert docstring is not None
    return {found["place"]: found["text"] for found in LISTED.finditer(docstring)}


def max_names(path: Path) -> set[str]:
    """Return the constants of a source file whose names end in MAX."""
    if path.suffix == ".py":
        names = limits(path.read_bytes())
    else:
        names = set(RUST_CONSTANT.findall(path.read_text()))
    return {name for name in names if MAX_NAME.fullmatch(name)}


def test_the_check_sees_constants_and_the_list(tmp_path):
    source = tmp_path / "a.rs"
    source.write_text(
        "pub const A_MAX: u8 = 1;\n    pub(crate) const B_MAX: u8 = 2;\nconst C: u8 = 3;"
    )
    assert max_names(source) == {"A_MAX", "B_MAX"}
    assert len(listed()) > 8


def test_constants_named_max_in_other_files_are_listed():
    found: dict[str, set[str]] = {}
    for top, suffix in (("python/imapvm", "py"), ("rust/src", "rs")):
        for path in (ROOT / top).rglob(f"*.{suffix}"):
            if path != LIMITS and path.name != "limits.rs" and (names := max_names(path)):
                package = path.relative_to(ROOT / top).parts[0]
                found.setdefault(f"{top}/{package}", set()).update(names)
    named = {
        place: set(MAX_NAME.findall(text))
        for place, text in listed().items()
        if not place.endswith("limits.rs")
    }
    assert found == named


def test_files_of_limits_in_rust_are_listed():
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "rust/src").rglob("limits.rs")}
    assert found == {place for place in listed() if place.endswith("limits.rs")}


# --- docs/protocol.md ----------------------------------------------------------------------------

PROTOCOL = ROOT / "docs" / "protocol.md"
LIMIT_ROW = re.compile(r"^\| [^|]+ \| (?P<limits>[^|]+) \| (?P<names>`[^|]+`) \|$", re.MULTILINE)
UNITS = {"KiB": 1024, "MiB": 1024 * 1024, "s": 1, "": 1}
RUST_LIMIT = re.compile(r"^(?:pub const|            )\s?(\w+):(?: usize =)? ([\d_ *]+)[;,]$", re.M)
SECONDS = {
    "HANDSHAKE_SECONDS": "server/net/tls.py",
    "LOGIN_SECONDS": "server/imap/connections.py",
    "AUTOLOGOUT_SECONDS": "server/imap/connections.py",
    "STALL_SECONDS": "server/imap/connections.py",
}
NOT_MET = {
    "message": {
        "SEARCH_TEXT_BYTES",  # SEARCH reads the message for more
        "CACHED_FIELD_BYTES",  # FETCH reads the message for more
        "HEADER_CACHE_BYTES",
    },
    "wire": {"append"},  # MESSAGE_MAX
}
"""Limits in Rust whose excess no client notices."""


def product(text: str) -> float:
    return math.prod(float(factor) for factor in text.replace("_", "").split("*"))


def rust_limits(area: str) -> dict[str, float]:
    """Return the limits of a Rust area by name."""
    source = (ROOT / "rust/src" / area / "limits.rs").read_text()
    return {name: product(value) for name, value in RUST_LIMIT.findall(source)}


def limit_of(name: str) -> float:
    """Return the value of a limit as docs/protocol.md names it."""
    area, _, rest = name.rpartition("::")
    if area:
        return rust_limits(area)[rest]
    if name in SECONDS:
        source = (ROOT / "python/imapvm" / SECONDS[name]).read_text()
        found = re.search(rf"^{name}: Final = ([\d. *]+)$", source, re.MULTILINE)
        assert found is not None, name
        return product(found[1])
    return float(getattr(imapvm.model.limits, name))


def documented() -> list[tuple[list[str], list[float]]]:
    """Return names and values of the rows in the tables of limits."""
    rows = []
    for row in LIMIT_ROW.finditer(PROTOCOL.read_text()):
        values = []
        for text in row["limits"].split("; "):
            number, _, unit = text.partition(" ")
            values.append(float(number.replace(",", "")) * UNITS[unit])
        rows.append((re.findall(r"`([\w:]+)`", row["names"]), values))
    return rows


def test_the_check_sees_limits_in_rust_and_in_the_tables():
    assert rust_limits("wire")["items"] == 8192
    assert rust_limits("message")["FIELD_BYTES"] == 1024 * 1024
    assert (["wire::nesting", "wire::items"], [64, 8192]) in documented()
    assert len(documented()) > 30


def test_the_tables_of_limits_have_the_values_of_the_sources():
    for names, values in documented():
        assert [limit_of(name) for name in names] == values, names


@pytest.mark.parametrize("area", ["message", "wire"])
def test_each_limit_in_rust_is_in_the_tables(area):
    named = {name for names, _ in documented() for name in names}
    expected = {f"{area}::{name}" for name in rust_limits(area).keys() - NOT_MET[area]}
    assert {name for name in named if name.startswith(f"{area}::")} == expected
