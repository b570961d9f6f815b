"""Every bound of model/limits.py has a test that stands on it, and one that is one past it."""

import ast
from pathlib import Path

import imapvm.model.limits

TESTS = Path(__file__).parents[1]
LIMITS = Path(imapvm.model.limits.__file__)


def bounds(source: bytes) -> set[str]:
    """Names that a module defines in capital letters."""
    targets = [
        target
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return {t.id for t in targets if isinstance(t, ast.Name) and t.id.isupper()}


def marked(source: bytes, marker: str) -> set[str]:
    """Bounds for which a test function of this file bears a marker."""
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


def test_the_check_sees_bounds_and_markers():
    assert bounds(b"A_MAX: Final = 1\nB_MAX = 2\nfrom x import C_MAX\nlower = 3") == {
        "A_MAX",
        "B_MAX",
    }
    source = b"@pytest.mark.at_limit('A_MAX')\n@other\ndef test_x(): ...\n"
    assert marked(source, "at_limit") == {"A_MAX"}
    assert marked(source, "past_limit") == set()
    assert marked(source.replace(b"test_x", b"not_a_test"), "at_limit") == set()


def test_each_bound_is_tested_where_it_is_reached():
    assert bounds(LIMITS.read_bytes()) - marked_anywhere("at_limit") == set()


def test_each_bound_is_tested_one_past_it():
    assert bounds(LIMITS.read_bytes()) - marked_anywhere("past_limit") == set()


def test_no_marker_names_a_bound_that_is_gone():
    named = marked_anywhere("at_limit") | marked_anywhere("past_limit")
    assert named - bounds(LIMITS.read_bytes()) == set()
