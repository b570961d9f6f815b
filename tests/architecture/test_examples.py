"""Each example of the RFCs of the extensions has a dialogue, or a reason for having none.

A dialogue names an example in a comment, as `[7162/3.1.3/4]`: the RFC, the section, and the number
of the example, as printed or else counted in the section.
"""

import re
from pathlib import Path
from typing import Final

from tests.dialogues import script

EXAMPLES: Final = {
    "3502": "6.3.11/1",
    "4314": "2.1.1/1-6 3.1/1 3.2/1 3.3/1 3.4/1-2 3.5/1 4/1-2 5.1.1/1-2 5.2/1-3",
    "4315": "2.1/1 3/1",
    "4469": "A/1-4",
    "4731": "3.1/1-5 3.2/1",
    "4978": "3/1-2",
    "5032": "4/1",
    "5182": "2.2/1-6 2.3/7-9 2.4/10",
    "5255": "3.2/1-8 3.4/1 4.6/1 4.7/1",
    "5256": "BASE.6.4.SORT/1 BASE.6.4.THREAD/1 BASE.7.2.SORT/1 BASE.7.2.THREAD/1-2",
    "5258": "3.3/1 5/1-11",
    "5267": "3.3/1 4.2/1 4.3/1 4.3.1/1 4.3.3/1-2 4.3.4/1 4.3.5/1 4.4/1",
    "5464": "4.2/1-3 4.2.1/1 4.2.2/1 4.3/1-4 4.4.1/1-3 4.4.2/1-2",
    "5465": "3.1/1 5.1/1-2 5.2/1-2 5.3/1-3 5.4/1-3 5.5/1 5.6/1 5.7/1 5.8/1 6/1-2 7/1",
    "5466": "3.1/1 3.2/1",
    "5530": "3/1-17",
    "5550": "8.4.1/1",
    "5819": "3/1-2",
    "6154": "5.1/1 5.2/1 5.3/1 5.4/1",
    "6203": "3/1-2 4/1 6/1-3",
    "6851": "3.3/1",
    "7162": "3.1.2.1/1 3.1.2.2/2 3.1.3/3-11 3.1.4.1/12 3.1.4.2/13-14 3.1.5/15-16 3.1.7/17 3.1.8/18"
    " 3.1.10/19-20 3.1.12/1 3.2.5/1 3.2.5.1/1 3.2.5.2/1-2 3.2.6/1 3.2.7/1-2 3.2.8/1 3.2.9/1"
    " 3.2.10.2/1-3 6/1-2",
    "7377": "2/1 3/1",
    "7888": "3/1",
    "7889": "2/1-2 3.1/1 3.2/1",
    "8438": "3/1-2",
    "8440": "4/1-2",
    "8474": "4.1/1 4.2/1 4.3/1-2 5.3/1-2 6/1",
    "8508": "3.2/1 3.3/1 4.2/1",
    "8514": "4.2/1 4.3/1",
    "8970": "3.2/1 5/1-3",
    "9208": "4.1.1/1 4.1.2/1 4.1.3/1 4.1.4/1 4.2.1/1 4.2.2/1-2 4.3.1/1-3",
}
"""RFC → sections with examples. 3516, 5957, 6855 and 8437 have none."""

NOT_PLAYED: Final = {
    "4314/2.1.1/4": "another server, which ties rights; here none are tied",
    "4314/2.1.1/5": "another server, which ties rights; here none are tied",
    "4314/2.1.1/6": "another server, which ties rights; here none are tied",
    "5255/3.2/3": "another server, which cannot list its languages",
    "5464/4.3/4": "1,000 annotations: tests/commands/handlers/mailboxes/test_metadata.py",
    "5464/4.4.1/3": "the same entries in two responses; this server sends one",
    "5465/5.8/1": "too many changes: tests/commands/handlers/test_notify.py",
    "5530/3/1": "the disk is full: tests/commands/test_dispatch.py",
    "5530/3/4": "passwords do not expire",
    "5530/3/6": "of accounts that are deleted during a session; LOGIN does not know them",
    "5530/3/8": "no command locks others out",
    "5530/3/10": "corrupt data: tests/commands/test_dispatch.py",
    "5530/3/11": "an error of the server: tests/commands/test_dispatch.py",
    "5550/8.4.1/1": "4469/A/2 with URLAUTH, which is not offered",
    "7162/3.1.2.2/2": "each mailbox has MODSEQs; NOMODSEQ is never sent",
    "7889/2/2": "another server, with a limit for each mailbox",
    "8474/5.3/2": "another server, without THREADID",
    "9208/4.2.2/2": "another server: a mailbox has no quota root; here each has one",
    "9208/4.3.1/2": "a soft quota; here all limits are enforced",
    "9208/4.3.1/3": "a soft quota; here all limits are enforced",
}


def listed(examples: dict[str, str]) -> set[str]:
    """Return the names of all examples in a table."""
    names = set()
    for rfc, sections in examples.items():
        for entry in sections.split():
            section, numbers = entry.split("/")
            first, _, last = numbers.partition("-")
            names |= {
                f"{rfc}/{section}/{number}" for number in range(int(first), int(last or first) + 1)
            }
    return names


def named(text: str) -> set[str]:
    """Return the names of examples in the comments of a dialogue."""
    comments = re.findall(r"(?:^|\s\s)# .*$", text, re.MULTILINE)
    return set(re.findall(r"\[(\d+/[\w.]+/\d+)\]", " ".join(comments)))


def test_reasons_name_tests_that_exist():
    root = Path(__file__).parents[2]
    paths = re.findall(r"tests/\S+\.py", " ".join(NOT_PLAYED.values()))
    assert paths
    assert [path for path in paths if not (root / path).exists()] == []


def test_the_check_sees_examples():
    assert listed({"1": "2/3-5 A.1/2"}) == {"1/2/3", "1/2/4", "1/2/5", "1/A.1/2"}
    assert named("# x [1/2.1/3] [4/A/5]\nC: a [6/7/8]\nC: b  # [9/1/2]\n") == {
        "1/2.1/3", "4/A/5", "9/1/2"
    }  # fmt: skip


def test_each_example_has_a_dialogue_or_a_reason():
    played = set().union(*(named(path.read_text()) for path in script.files()))
    assert listed(EXAMPLES) - played - NOT_PLAYED.keys() == set()
    assert played | NOT_PLAYED.keys() <= listed(EXAMPLES)
    assert played & NOT_PLAYED.keys() == set()
