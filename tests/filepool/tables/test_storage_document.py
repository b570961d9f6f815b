"""docs/storage.md agrees with the code."""

import re
import struct

import pytest
from tests.core.group import HEAD
from tests.filepool.tables import example

from imapvm.filepool.engine.environment import table_names
from imapvm.filepool.tables import accounts, quotas
from imapvm.filepool.tables import schema as tables
from imapvm.filepool.tables.schema import AccountTables, GroupTables

WIDTHS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i16": 2, "i64": 8}


def test_example_matches_the_store():
    assert example.documented() == example.example()


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("## Accounts", AccountTables), ("## Tables of a storage group", GroupTables)],
)
def test_each_table_is_in_the_document(heading, kind):
    section = example.DOCUMENT.read_text().split(heading)[1]
    rows = re.findall(r"^\| `(\w+)` \|", section.split("###")[0].split("\n## ")[0], re.MULTILINE)
    assert rows == table_names(kind)


def columns(heading: str) -> list[tuple[int, str]]:
    """Return offsets and types of the first table with offsets under a heading."""
    section = example.DOCUMENT.read_text().split(heading)[1]
    table = re.search(r"\| at \|.*?\n\|[-|]+\n((?:\|.*\n)+)", section)
    assert table is not None
    rows = re.findall(r"^\| (\d+) \| .* \| ([iu]\d+|\d bytes)[^|]*\|$", table[1], re.MULTILINE)
    return [(int(at), kind) for at, kind in rows]


@pytest.mark.parametrize(
    ("heading", "packed"),
    [
        ("A row of `accounts`:", accounts._ROW),
        ("### mailboxes, names", tables._MAILBOX),
        ("### usage", tables._USAGE),
        ("### quotas", quotas.ROW),
        ("### bodies, digests", HEAD),
    ],
)
def test_offsets_in_the_document_match_the_code(heading, packed):
    found = columns(heading)
    at = 0
    for offset, kind in found:
        assert offset == at
        at += WIDTHS.get(kind) or int(kind.split()[0])
    assert at == packed.size
    fields = len(struct.unpack(packed.format, bytes(packed.size)))
    assert fields == len([kind for _, kind in found]) - len(re.findall("x{2,}", packed.format))
