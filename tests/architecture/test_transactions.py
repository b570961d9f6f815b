"""Nothing awaits inside a transaction (reads are short; a writer must not wait)."""

import ast
from pathlib import Path

import pytest

import imapvm

PACKAGE = Path(imapvm.__file__).parent
OPENS_TRANSACTION = {"begin", "reading", "Reader"}
"""Methods whose `with` is a transaction: LMDB's own, and those of the filepool."""


def waits_inside_transactions(tree: ast.AST) -> list[int]:
    """Return the lines that may yield control while a transaction is open."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.With | ast.AsyncWith) and any(map(opens_transaction, node.items)):
            lines += [inner.lineno for statement in node.body for inner in waits(statement)]
    return sorted(set(lines))


def opens_transaction(item: ast.withitem) -> bool:
    if not isinstance(item.context_expr, ast.Call):
        return False
    called = item.context_expr.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
    return name in OPENS_TRANSACTION


def waits(node: ast.AST):
    """Yield the nodes of a statement that may wait, without nested function definitions."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
        yield node
    elif isinstance(node, ast.comprehension) and node.is_async:
        yield node.iter
    for child in ast.iter_child_nodes(node):
        yield from waits(child)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("async def f():\n with store.reading() as r:\n  await g()", [3]),
        ("async def f():\n with env.begin() as t, other:\n  x = [await g()]", [3]),
        ("async def f():\n with store.reading() as r:\n  async for x in r:\n   pass", [3]),
        ("async def f():\n with store.reading() as r:\n  async with x:\n   pass", [3]),
        ("async def f():\n with store.reading() as r:\n  return [x async for x in r]", [3]),
        ("async def f():\n with store.reading() as r:\n  if r:\n   while 1:\n    await g()", [5]),
        ("async def f():\n with store.reading() as r:\n  x = r.usage()\n await g(x)", []),
        ("async def f():\n with store.reading() as r:\n  async def g():\n   await h()", []),
        ("async def f():\n with Reader(group, account) as r:\n  await g()", [3]),
        ("async def f():\n with open(p) as r:\n  await g()", []),
    ],
)
def test_the_check_sees_what_waits_and_only_that(source, found):
    assert waits_inside_transactions(ast.parse(source)) == found


def test_nothing_awaits_inside_a_transaction():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 20
    found = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in files
        for line in waits_inside_transactions(ast.parse(path.read_bytes()))
    ]
    assert found == []
