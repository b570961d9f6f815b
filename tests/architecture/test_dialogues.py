"""Dialogues cover the RFC and the commands, and every command has its row."""

import re
from pathlib import Path

from tests.dialogues import script

from imapvm import _core
from imapvm._core import Malformed
from imapvm.commands.table import TABLE

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"

SECTIONS = [
    "6.1.1",
    "6.1.2",
    "6.1.3",
    "6.2.1",
    "6.2.2",
    "6.2.3",
    "6.3.1",
    "6.3.1.1",
    "6.3.2",
    "6.3.3",
    "6.3.4",
    "6.3.5",
    "6.3.6",
    "6.3.7",
    "6.3.8",
    "6.3.9",
    "6.3.9.1",
    "6.3.9.2",
    "6.3.9.3",
    "6.3.9.4",
    "6.3.9.5",
    "6.3.9.6",
    "6.3.9.7",
    "6.3.9.8",
    "6.3.10",
    "6.3.11",
    "6.3.12",
    "6.3.13",
    "6.4.1",
    "6.4.2",
    "6.4.3",
    "6.4.4",
    "6.4.4.1",
    "6.4.4.2",
    "6.4.4.3",
    "6.4.4.4",
    "6.4.5",
    "6.4.5.1",
    "6.4.6",
    "6.4.7",
    "6.4.8",
    "6.4.9",
    "6.5",
    "7.1.1",
    "7.1.2",
    "7.1.3",
    "7.1.4",
    "7.1.5",
    "7.2.1",
    "7.2.2",
    "7.3.1",
    "7.3.2",
    "7.3.3",
    "7.3.4",
    "7.3.5",
    "7.4.1",
    "7.5.1",
    "7.5.2",
    "7.6",
]
"""Sections of RFC 9051, chapters 6 and 7, that define what is sent."""


def covered(names: list[str]) -> set[str]:
    """Return the sections that files are named after: `9051-6.3.2-select.txt`."""
    found = (re.match(r"9051-(\d+(?:\.\d+)+)-", name) for name in names)
    return {match[1] for match in found if match}


def excused(document: str) -> set[str]:
    """Return the sections for which the document gives the reason for no dialogue: `* 6.5: …`."""
    return set(re.findall(r"^\* (\d+(?:\.\d+)+): \S", document, re.MULTILINE))


def test_the_check_sees_sections():
    assert covered(["9051-6.3.2-select.txt", "quirk-x.txt"]) == {"6.3.2"}
    assert excused("* 6.5: for extensions\n* 6.6:\n6.7: no") == {"6.5"}
    assert len(SECTIONS) == len(set(SECTIONS)) == 59


def test_each_section_has_a_dialogue_or_a_reason():
    names = [path.name for path in script.files()]
    assert set(SECTIONS) - covered(names) - excused(DOCUMENT.read_text()) == set()


def test_no_section_has_both():
    names = [path.name for path in script.files()]
    assert covered(names) & excused(DOCUMENT.read_text()) == set()


def test_dialogues_name_sections_that_exist():
    assert covered([path.name for path in script.files()]) <= set(SECTIONS)


def test_each_command_has_a_row():
    tagged = {kind for kind in vars(_core).values() if hasattr(kind, "tag")}
    assert {row.command for row in TABLE} == tagged - {Malformed}


def test_each_row_has_a_dialogue():
    written = {name for path in script.files() for name in script.commands(script.read(path))}
    assert {row.name for row in TABLE} - written == set()


def test_no_row_appears_twice():
    assert len({row.name for row in TABLE}) == len(TABLE)
