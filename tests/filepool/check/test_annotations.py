"""The check finds each kind of corruption of annotations, and repairs totals."""

import re

import pytest
from tests.filepool.check.test_check import Surgery
from tests.filepool.direct import START, Direct

from imapvm.filepool.operations.mailboxes.annotations import Annotation, SetAnnotations
from imapvm.filepool.operations.mailboxes.mailboxes import DeleteMailbox
from imapvm.filepool.operations.sweep import SweepStep
from imapvm.filepool.tables.annotations import SCOPE_ROW, AnnotationUsage, Scope
from imapvm.filepool.tables.schema import COUNTER, ID_KEY, PAIR_KEY

PRIVATE = Scope(1, 1)
COUNTED = b"annotations" + ID_KEY.pack(1)


@pytest.fixture
def annotated(tmp_path):
    """A filepool in which INBOX, Drafts, a deleted mailbox and the server have annotations."""
    with Direct(tmp_path / "filepool") as direct:
        for mailbox in (1, 2, 6, 0):
            changes = (Annotation(b"/comment", b"x" * 9000), Annotation(b"/b", b""))
            direct.apply(SetAnnotations(1, mailbox, 1, changes, b"sess-1"))
        direct.apply(
            SetAnnotations(1, 1, 1, (Annotation(b"/comment", b"y", shared=True),), b"sess-1")
        )
        direct.apply(SetAnnotations(0, 0, 0, (Annotation(b"/note", b"y", shared=True),), b"sess-1"))
        direct.apply(DeleteMailbox(1, 6, START))
        assert direct.check() == []
        yield direct


def usage(surgery, **changes):
    key = ID_KEY.pack(1)
    row = AnnotationUsage.from_bytes(surgery.get("annotation_usage", key))
    for name, value in changes.items():
        setattr(row, name, value)
    surgery.put("annotation_usage", key, bytes(row))


REPAIRED = [
    (
        lambda s: s.put("annotations", PRIVATE.key, SCOPE_ROW.pack(7, 9)),
        "mailbox 1 has 2 annotations of user 1 with 9010 bytes; its totals are 7 and 9",
    ),
    (lambda s: s.delete("annotations", PRIVATE.key), "its totals are 0 and 0"),
    (lambda s: s.put("annotations", PRIVATE.key, b"?"), "its totals are -1 and -1"),
    (
        lambda s: s.put("annotations", Scope(2, 0).key, SCOPE_ROW.pack(1, 1)),
        "mailbox 2 has 0 annotations of user 0",
    ),
    (
        lambda s: s.put("annotations", Scope(2, 9).key, SCOPE_ROW.pack(1, 1)),
        "annotations exist of user 9, who does not exist",
    ),
    (lambda s: usage(s, entries=1), "account 1 has 7 annotations and 9 logged changes up to 9"),
    (lambda s: usage(s, changes=1), "its row has 7, 1 and 9"),
    (lambda s: usage(s, number=5), "its row has 7, 9 and 5"),
    (lambda s: s.delete("annotation_usage", ID_KEY.pack(1)), "its row has 0, 0 and 0"),
    (lambda s: s.put("annotation_usage", ID_KEY.pack(1), b"?"), "its row has -1, 0 and 0"),
    (lambda s: s.put("counters", COUNTED, COUNTER.pack(1)), "27039 bytes; its counter has 1"),
    (lambda s: s.delete("counters", COUNTED), "27039 bytes; its counter has 0"),
    (lambda s: s.put("annotations", b"short", b""), "an annotation cannot be read"),
    (lambda s: s.put("annotation_changes", b"x", b""), "a change of annotations cannot be read"),
    (
        lambda s: s.put("annotations", Scope(77, 1).part_key(b"/x", 0), bytes(12)),
        "annotations exist of mailbox 77, which does not exist",
    ),
    (
        lambda s: s.put("annotations", Scope(0, 9).part_key(b"/x", 0), bytes(12)),
        "annotations exist of account 9, which does not exist",
    ),
    (
        lambda s: s.put("annotation_usage", ID_KEY.pack(9), bytes(AnnotationUsage())),
        "annotations exist of account 9, which does not exist",
    ),
    (
        lambda s: s.put("annotation_changes", PAIR_KEY.pack(9, 1), bytes(22) + b"/x"),
        "annotations exist of account 9, which does not exist",
    ),
]

NOT_REPAIRED = [
    (
        lambda s: s.delete("annotations", PRIVATE.part_key(b"/comment", 1)),
        "annotation /comment of mailbox 1 cannot be read",
    ),
    (
        lambda s: s.change("annotations", PRIVATE.part_key(b"/b", 0), lambda stored: stored + b"x"),
        "annotation /b of mailbox 1 cannot be read",
    ),
    (
        lambda s: s.put("annotations", PRIVATE.part_key(b"/C", 0), bytes(12)),
        "annotation /C of mailbox 1 has a name that is not valid",
    ),
    (
        lambda s: s.put("annotation_changes", PAIR_KEY.pack(1, 1), b"?"),
        "change 1 of annotations of account 1 cannot be read",
    ),
]


@pytest.mark.parametrize(("change", "finding"), REPAIRED, ids=[text for _, text in REPAIRED])
def test_check_finds_and_repairs(annotated, change, finding):
    change(Surgery(annotated.group.env, annotated.group.tables))
    found = annotated.check()
    assert any(re.search(finding, text) for text in found), found
    assert all(finding.repaired for finding in annotated.pool.check(repair=True).findings)
    annotated.apply(SweepStep(START + 1))
    assert annotated.check() == []


@pytest.mark.parametrize(
    ("change", "finding"), NOT_REPAIRED, ids=[text for _, text in NOT_REPAIRED]
)
def test_check_finds(annotated, change, finding):
    change(Surgery(annotated.group.env, annotated.group.tables))
    found = annotated.check()
    assert any(re.search(finding, text) for text in found), found
