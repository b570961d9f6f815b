"""Annotations: values of any size, limits, totals, and what DELETE, RENAME and deletion leave."""

import pytest
from tests.filepool.direct import START, Direct, dump

from imapvm._core import VALUE_BYTES
from imapvm.filepool.errors import (
    AnnotationTooLargeError,
    LimitError,
    NoSuchMailboxError,
    OverQuotaError,
    SpecialUseError,
    TooManyAnnotationsError,
)
from imapvm.filepool.operations.enroll import ClearAccount
from imapvm.filepool.operations.mailboxes.annotations import Annotation, SetAnnotations
from imapvm.filepool.operations.mailboxes.mailboxes import CreateMailbox, DeleteMailbox
from imapvm.filepool.operations.mailboxes.rename import RenameMailbox
from imapvm.filepool.operations.quota import SetLimits
from imapvm.filepool.operations.sweep import SweepStep
from imapvm.filepool.pool import open_filepool
from imapvm.filepool.tables import annotations
from imapvm.filepool.tables.annotations import FIRST_BYTES, SERVER, SHARED, Scope
from imapvm.model.limits import (
    ANNOTATION_BYTES_PER_ACCOUNT_MAX,
    ANNOTATION_MAX,
    ANNOTATION_NAME_MAX,
    ANNOTATIONS_PER_ACCOUNT_MAX,
    ANNOTATIONS_PER_COMMAND_MAX,
    ANNOTATIONS_PER_MAILBOX_MAX,
)
from imapvm.model.quota import ANNOTATION_STORAGE

INBOX, DRAFTS, SENT = 1, 2, 3
SESSION, OTHER = b"sess-1", b"sess-2"
PRIVATE = Scope(INBOX, 1)
NAMES = [b"/x/%05d" % number for number in range(ANNOTATIONS_PER_ACCOUNT_MAX)]


def put(direct, mailbox, *changes, origin=SESSION):
    """Set entries: (name, value) is private, (name, value, True) shared."""
    made = tuple(Annotation(name, value, *shared) for name, value, *shared in changes)
    return direct.apply(SetAnnotations(1, mailbox, 1, made, origin))


def fill(direct, mailbox, names, value=b""):
    for start in range(0, len(names), ANNOTATIONS_PER_COMMAND_MAX):
        some = names[start : start + ANNOTATIONS_PER_COMMAND_MAX]
        put(direct, mailbox, *((name, value) for name in some))


def value(direct, scope, name):
    with direct.reading() as reader:
        size, found = reader.annotation_size(scope, name), reader.annotation(scope, name)
    assert size == (None if found is None else len(found))
    return found


def names(direct, scope, below=b"", limit=10_000):
    with direct.reading() as reader:
        return [name for name, _ in reader.annotations_below(scope, below, b"", limit)]


def usage(direct):
    with direct.reading() as reader:
        return reader.annotation_usage()


def size(direct):
    with direct.reading() as reader:
        stored = reader._txn.get(b"annotations" + (1).to_bytes(8), None, reader._tables.counters)
    return int.from_bytes(stored or b"", "little")


@pytest.mark.parametrize(
    "length",
    [0, 1, FIRST_BYTES - 1, FIRST_BYTES, FIRST_BYTES + 1, FIRST_BYTES + VALUE_BYTES, 20_000],
)
def test_a_value_of_any_length_and_bytes_is_read_as_it_was_set(direct, length):
    data = bytes(number % 256 for number in range(length))
    for before in (b"", b"x" * 30_000, None):
        put(direct, INBOX, (b"/comment", before))
        put(direct, INBOX, (b"/comment", data))
        assert value(direct, PRIVATE, b"/comment") == data
        assert usage(direct).entries == 1
        assert size(direct) == len(b"/comment") + length
        assert direct.check() == []


def test_shared_private_and_server_entries_are_different(direct):
    put(direct, INBOX, (b"/comment", b"mine"), (b"/comment", b"ours", True))
    put(direct, SERVER, (b"/comment", b"server"))
    put(direct, DRAFTS, (b"/comment", b"draft"))
    assert value(direct, PRIVATE, b"/comment") == b"mine"
    assert value(direct, Scope(INBOX, SHARED), b"/comment") == b"ours"
    assert value(direct, Scope(SERVER, 1), b"/comment") == b"server"
    assert value(direct, Scope(INBOX, 2), b"/comment") is None
    put(direct, INBOX, (b"/comment", None))
    assert value(direct, PRIVATE, b"/comment") is None
    assert value(direct, Scope(INBOX, SHARED), b"/comment") == b"ours"
    assert direct.check() == []


def test_entries_below_one_are_listed_in_order_and_in_pieces(direct):
    listed = [b"/a", b"/a/b", b"/a/b/c", b"/a/d", b"/ab", b"/z"]
    put(direct, INBOX, *((name, b"x" * 9000 if name == b"/a/b" else b"") for name in listed))
    assert names(direct, PRIVATE) == listed
    assert names(direct, PRIVATE, b"/a") == [b"/a/b", b"/a/b/c", b"/a/d"]
    assert names(direct, PRIVATE, b"/a/b") == [b"/a/b/c"]
    assert names(direct, PRIVATE, b"/z") == []
    with direct.reading() as reader:
        found, after = [], b""
        while some := reader.annotations_below(PRIVATE, b"", after, 2):
            found += some
            after = some[-1][0]
    assert [name for name, _ in found] == listed
    assert dict(found)[b"/a/b"] == 9000


def test_of_two_values_for_one_entry_the_last_counts(direct):
    put(direct, INBOX, (b"/a", b"1"), (b"/a", b"22"))
    assert value(direct, PRIVATE, b"/a") == b"22"
    put(direct, INBOX, (b"/a", b"1"), (b"/a", None))
    assert value(direct, PRIVATE, b"/a") is None
    assert usage(direct).entries == size(direct) == 0
    assert direct.check() == []


def test_a_refused_command_changes_nothing(direct):
    put(direct, INBOX, (b"/a", b"1"))
    before = dump(direct.group.env, direct.group.tables)
    with pytest.raises(AnnotationTooLargeError):
        put(direct, INBOX, (b"/a", b"2"), (b"/b", b"x" * (ANNOTATION_MAX + 1)))
    with pytest.raises(NoSuchMailboxError):
        put(direct, 99, (b"/a", b"2"))
    with pytest.raises(SpecialUseError):
        put(direct, INBOX, (b"/a", b"2"), (b"/specialuse", rb"\All"))
    assert dump(direct.group.env, direct.group.tables) == before


# --- mailboxes ------------------------------------------------------------------------------------


def test_rename_keeps_annotations(direct):
    put(direct, DRAFTS, (b"/comment", b"x"))
    direct.apply(RenameMailbox(1, "Drafts", "a/b", START))
    assert value(direct, Scope(DRAFTS, 1), b"/comment") == b"x"
    assert direct.check() == []


def test_rename_of_inbox_copies_annotations(direct):
    put(direct, INBOX, (b"/comment", b"x" * 9000), (b"/b", b""), (b"/c", b"y", True))
    direct.apply(RenameMailbox(1, "INBOX", "old", START))
    new = direct.mailbox("old").id
    for mailbox in (INBOX, new):
        assert value(direct, Scope(mailbox, 1), b"/comment") == b"x" * 9000
        assert names(direct, Scope(mailbox, 1)) == [b"/b", b"/comment"]
        assert value(direct, Scope(mailbox, SHARED), b"/c") == b"y"
    assert usage(direct).entries == 6
    assert direct.check() == []


def test_rename_of_inbox_is_refused_if_the_copies_exceed_a_limit(direct):
    put(direct, INBOX, (b"/comment", b"x" * 600))
    direct.apply(SetLimits(1, ((ANNOTATION_STORAGE, 1),), (), replace=False))
    before = dump(direct.group.env, direct.group.tables)
    with pytest.raises(OverQuotaError):
        direct.apply(RenameMailbox(1, "INBOX", "old", START))
    assert dump(direct.group.env, direct.group.tables) == before


def test_delete_removes_annotations(direct):
    put(direct, DRAFTS, (b"/comment", b"x"), (b"/comment", b"y", True))
    put(direct, INBOX, (b"/comment", b"z"))
    direct.apply(DeleteMailbox(1, DRAFTS, START))
    assert usage(direct).entries == 1
    assert size(direct) == len(b"/commentz")
    assert direct.check() == []
    direct.apply(SweepStep(START + 1))
    assert len(dump(direct.group.env, direct.group.tables)["annotations"]) == 2
    direct.apply(CreateMailbox(1, "Drafts", (), subscribe=False, now=START))
    assert value(direct, Scope(direct.mailbox("Drafts").id, 1), b"/comment") is None
    assert direct.check() == []


def test_deletion_of_the_account_removes_all(direct):
    put(direct, INBOX, (b"/comment", b"x"))
    put(direct, SERVER, (b"/comment", b"x"))
    assert direct.apply(ClearAccount(1, START))
    direct.apply(SweepStep(START + 1))
    rows = dump(direct.group.env, direct.group.tables)
    assert rows["annotations"] == rows["annotation_usage"] == rows["annotation_changes"] == []


# --- special uses ---------------------------------------------------------------------------------


def test_a_special_use_moves_from_the_mailbox_that_had_it(direct):
    """RFC 6154 section 5.4."""
    assert put(direct, INBOX, (b"/specialuse", rb"\drafts \Flagged".split()[0])) == [(DRAFTS, ())]
    assert direct.mailbox("INBOX").special_use == (r"\Drafts",)
    assert direct.mailbox("Drafts").special_use == ()
    assert put(direct, INBOX, (b"/specialuse", None)) == []
    assert direct.mailbox("INBOX").special_use == ()
    put(direct, SENT, (b"/specialuse", rb"\Sent \Archive"))
    assert direct.mailbox("Sent").special_use == (r"\Archive", r"\Sent")
    assert names(direct, Scope(SENT, 1)) == []
    assert direct.check() == []


@pytest.mark.parametrize("uses", [rb"\Flagged", b"Sent", b"\\Sent\xff", b"\\Sent,\\Trash"])
def test_a_special_use_that_is_not_valid_is_refused(direct, uses):
    with pytest.raises(SpecialUseError):
        put(direct, INBOX, (b"/specialuse", uses))


def test_specialuse_of_the_server_and_a_shared_one_are_ordinary_entries(direct):
    put(direct, SERVER, (b"/specialuse", b"x"))
    put(direct, INBOX, (b"/specialuse", b"x", True))
    assert value(direct, Scope(SERVER, 1), b"/specialuse") == b"x"
    assert direct.mailbox("INBOX").special_use == ()


# --- the log --------------------------------------------------------------------------------------


def changes(direct, since=0):
    with direct.reading() as reader:
        found = reader.annotation_changes(since, 100)
    return [(one.scope.mailbox, one.entry, one.origin) for one in found]


def test_changes_are_logged_once_for_an_entry(direct):
    put(direct, INBOX, (b"/a", b"1"), (b"/b", b"1", True))
    put(direct, SENT, (b"/a", b"1"), origin=OTHER)
    put(direct, INBOX, (b"/a", b"2"), origin=OTHER)
    assert changes(direct) == [(INBOX, b"/b", SESSION), (SENT, b"/a", OTHER), (INBOX, b"/a", OTHER)]
    assert changes(direct, usage(direct).number - 1) == [(INBOX, b"/a", OTHER)]
    put(direct, INBOX, (b"/a", None))
    put(direct, INBOX, (b"/a", None))
    assert changes(direct)[-1] == (INBOX, b"/a", SESSION)
    assert usage(direct).changes == 3
    put(direct, INBOX, (b"/specialuse", rb"\Sent"))
    assert changes(direct)[3:] == [
        (INBOX, b"/specialuse", SESSION),
        (SENT, b"/specialuse", SESSION),
    ]
    assert direct.check() == []


def test_the_oldest_changes_are_dropped(direct, monkeypatch):
    monkeypatch.setattr(annotations, "CHANGES_KEPT", 3)
    for number in range(5):
        put(direct, INBOX, (b"/%d" % number, b""))
    assert [entry for _, entry, _ in changes(direct)] == [b"/2", b"/3", b"/4"]
    assert usage(direct).trimmed == 2
    assert direct.check() == []


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.at_limit("ANNOTATION_MAX")
@pytest.mark.past_limit("ANNOTATION_MAX")
def test_a_value_has_a_limited_size(direct):
    put(direct, INBOX, (b"/a", b"x" * ANNOTATION_MAX))
    with pytest.raises(AnnotationTooLargeError):
        put(direct, INBOX, (b"/a", b"x" * (ANNOTATION_MAX + 1)))


@pytest.mark.at_limit("ANNOTATION_NAME_MAX")
@pytest.mark.past_limit("ANNOTATION_NAME_MAX")
def test_a_name_has_a_limited_size(direct):
    name = b"/" + b"n" * (ANNOTATION_NAME_MAX - 1)
    put(direct, INBOX, (name, b"x" * ANNOTATION_MAX))
    assert value(direct, PRIVATE, name) == b"x" * ANNOTATION_MAX
    with pytest.raises(LimitError):
        put(direct, INBOX, (name + b"n", b""))


@pytest.mark.at_limit("ANNOTATIONS_PER_COMMAND_MAX")
@pytest.mark.past_limit("ANNOTATIONS_PER_COMMAND_MAX")
def test_a_command_sets_a_limited_number_of_entries(direct):
    put(direct, INBOX, *((name, b"") for name in NAMES[:ANNOTATIONS_PER_COMMAND_MAX]))
    with pytest.raises(LimitError):
        put(direct, INBOX, *((name, b"") for name in NAMES[: ANNOTATIONS_PER_COMMAND_MAX + 1]))


@pytest.mark.at_limit("ANNOTATIONS_PER_MAILBOX_MAX")
@pytest.mark.past_limit("ANNOTATIONS_PER_MAILBOX_MAX")
def test_a_mailbox_has_a_limited_number_of_entries(direct):
    fill(direct, INBOX, NAMES[:ANNOTATIONS_PER_MAILBOX_MAX])
    with pytest.raises(TooManyAnnotationsError):
        put(direct, INBOX, (b"/a", b""))
    put(direct, INBOX, (NAMES[0], b"changed"))
    put(direct, INBOX, (b"/a", b"", True))
    put(direct, INBOX, (b"/a", b""), (NAMES[0], None))
    assert direct.check() == []


@pytest.mark.at_limit("ANNOTATIONS_PER_ACCOUNT_MAX")
@pytest.mark.past_limit("ANNOTATIONS_PER_ACCOUNT_MAX")
def test_an_account_has_a_limited_number_of_entries(direct):
    for number in range(ANNOTATIONS_PER_ACCOUNT_MAX // ANNOTATIONS_PER_MAILBOX_MAX):
        mailbox = direct.apply(CreateMailbox(1, f"m{number}", (), subscribe=False, now=START)).id
        fill(direct, mailbox, NAMES[:ANNOTATIONS_PER_MAILBOX_MAX])
    with pytest.raises(TooManyAnnotationsError):
        put(direct, INBOX, (b"/a", b""))
    put(direct, mailbox, (NAMES[0], None))
    put(direct, INBOX, (b"/a", b""))
    assert direct.check() == []


@pytest.mark.at_limit("ANNOTATION_BYTES_PER_ACCOUNT_MAX")
@pytest.mark.past_limit("ANNOTATION_BYTES_PER_ACCOUNT_MAX")
def test_the_annotations_of_an_account_have_a_limited_size(direct):
    full = ANNOTATION_BYTES_PER_ACCOUNT_MAX // ANNOTATION_MAX
    for name in NAMES[:full]:
        put(direct, INBOX, (name, b"x" * (ANNOTATION_MAX - len(name))))
    assert size(direct) == ANNOTATION_BYTES_PER_ACCOUNT_MAX
    with pytest.raises(LimitError):
        put(direct, SENT, (b"/", b""))
    with pytest.raises(LimitError):
        put(direct, INBOX, (NAMES[0], b"x" * (ANNOTATION_MAX - len(name) + 1)))
    put(direct, INBOX, (NAMES[0], b""))
    put(direct, SENT, (b"/a", b""))
    assert direct.check() == []


def test_the_quota_of_the_account_counts_names_and_values(direct):
    direct.apply(SetLimits(1, ((ANNOTATION_STORAGE, 1),), (), replace=False))
    put(direct, INBOX, (b"/a", b"x" * 1022))
    with pytest.raises(OverQuotaError):
        put(direct, INBOX, (b"/b", b""))
    put(direct, INBOX, (b"/b", b""), (b"/a", b""))
    with pytest.raises(OverQuotaError):
        put(direct, SERVER, (b"/a", b"x" * 1024))


async def test_a_filepool_of_version_0_1_0_gets_the_tables(tmp_path):
    path = tmp_path / "filepool"
    with Direct(path) as direct, direct.group.env.begin(write=True) as txn:
        for table in ("annotations", "annotation_usage", "annotation_changes"):
            txn.drop(getattr(direct.group.tables, table), delete=True)
    async with open_filepool(path) as pool:
        account = pool.accounts.find("alice")
        assert account is not None
        store = pool.account(account)
        await store.set_annotations(INBOX, [Annotation(b"/comment", b"x")], origin=SESSION)
        with store.reading() as reader:
            assert reader.annotation(PRIVATE, b"/comment") == b"x"
        assert pool.check().findings == ()
