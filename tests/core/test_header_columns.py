"""Header columns as Python fills them: from a mailbox, within a bound, by several at once."""

from struct import Struct

import pytest
from tests.core.group import StoredGroup
from tests.core.test_search import MAILBOX, Mailbox, metadata_of

from imapvm._core import CorruptError, HeaderColumns, Record, UidMap, UidSet, segment_append
from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.model.limits import HEADER_COLUMNS_BYTES_MAX

PLENTY = 1 << 20


def mail(number):
    return b"From: a%d@example.org\r\nSubject: letter %d\r\n\r\n" % (number % 3, number)


@pytest.fixture
def group(tmp_path):
    group = StoredGroup(tmp_path)
    with group.env:
        yield group


@pytest.fixture
def mailbox(group):
    return Mailbox(group, [mail(number) for number in range(20)])


def scan(mailbox, text, columns, uids=None):
    bound = mailbox.bind(text)
    with mailbox.group.snapshot() as snapshot:
        return bound.scan(snapshot, MAILBOX, uids or bound.candidates, columns)


def gathered(mailbox, undecided, *, parts=3, max_bytes=500):
    """Build the missing columns to the end."""
    with mailbox.group.snapshot() as snapshot:
        gathering = undecided.column_builders(snapshot, parts)
    for part in gathering:
        decided = False
        while not decided:
            with mailbox.group.snapshot() as snapshot:
                decided = part.step(snapshot, max_bytes)
    return gathering


def fill(mailbox, text, columns, **also):
    _, undecided = scan(mailbox, text, columns)
    parts = gathered(mailbox, undecided, **also)
    undecided.store_columns(parts)
    return parts


def drop_digest(group, body):
    group.drop("digests", Struct(">QI").pack(body, 0))


@pytest.mark.parametrize("max_bytes", [1, 500, PLENTY])
@pytest.mark.parametrize("parts", [1, 3, 40])
def test_columns_decide_without_metadata(group, mailbox, parts, max_bytes):
    columns = HeaderColumns(PLENTY)
    gathering = fill(mailbox, b"SUBJECT x FROM y", columns, parts=parts, max_bytes=max_bytes)
    assert sum(map(len, gathering)) == 20
    assert len(gathering) == min(parts, 20)
    for uid in mailbox.messages:
        drop_digest(group, uid + 1000)
    for text, expected in {
        b"SUBJECT letter": list(mailbox.messages),
        b"SUBJECT LETTER FROM a2@": list(mailbox.messages)[2::3],
        b"NOT SUBJECT 1": [uid for n, uid in enumerate(mailbox.messages) if "1" not in str(n)],
        b"OR SUBJECT none FROM A0": list(mailbox.messages)[::3],
        b'HEADER subject "r 7"': [80],
    }.items():
        found, undecided = scan(mailbox, text, columns)
        assert (list(found), len(undecided)) == (expected, 0), text


def test_only_new_messages_are_read(group, mailbox):
    columns = HeaderColumns(PLENTY)
    known = mailbox.numbers
    mailbox.numbers = UidMap(UidSet([(10, 100)]))
    assert sum(map(len, fill(mailbox, b"SUBJECT x", columns))) == 10
    mailbox.numbers = known
    _, undecided = scan(mailbox, b"SUBJECT x", columns)
    assert len(undecided) == 10
    assert sum(map(len, fill(mailbox, b"SUBJECT x", columns))) == 10
    assert fill(mailbox, b"SUBJECT x", columns) == []


def test_search_that_needs_few_metadata_builds_no_column(group, mailbox):
    columns = HeaderColumns(PLENTY)
    assert fill(mailbox, b"UID 170:200 SUBJECT x", columns) == []
    assert fill(mailbox, b"UID 160:200 SUBJECT x", columns) != []  # a quarter of all


def test_other_keys_build_no_columns(group, mailbox):
    columns = HeaderColumns(PLENTY)
    for text in (b"BODY x", b"TEXT x", b"HEADER X-Spam x", b"SENTON 1-Feb-1994"):
        assert fill(mailbox, text, columns) == []
    assert columns.memory_bytes == 0


def test_corrupt_metadata_is_an_error_only_if_it_decides(group, mailbox):
    columns = HeaderColumns(PLENTY)
    group.put_metadata(1050, b"damage")
    drop_digest(group, 1060)
    fill(mailbox, b"SUBJECT x", columns)
    _, undecided = scan(mailbox, b"NOT SUBJECT x", columns)
    assert len(undecided) == 2
    with pytest.raises(CorruptError), group.snapshot() as snapshot:
        undecided.search_tasks(1)[0].step(snapshot, PLENTY)
    found, undecided = scan(mailbox, b"NOT SUBJECT x NOT UID 50:60", columns)
    assert (len(found), len(undecided)) == (18, 0)


def test_corrupt_segment_is_an_error(group, mailbox):
    columns = HeaderColumns(PLENTY)
    _, undecided = scan(mailbox, b"SUBJECT x", columns)
    group.put("index", Struct(">QI").pack(MAILBOX, 20), b"damage")
    with group.snapshot() as snapshot, pytest.raises(CorruptError):
        undecided.column_builders(snapshot, 1)


def test_second_search_stores_no_duplicates(group, mailbox):
    columns = HeaderColumns(PLENTY)
    _, one = scan(mailbox, b"SUBJECT 7", columns)
    _, other = scan(mailbox, b"SUBJECT 8", columns)
    parts = gathered(mailbox, one), gathered(mailbox, other)
    one.store_columns(parts[0])
    size = columns.memory_bytes
    other.store_columns(parts[1])
    assert columns.memory_bytes == size
    assert list(scan(mailbox, b"SUBJECT 8", columns)[0]) == [90, 190]


def test_an_expunged_message_is_not_found(group, mailbox):
    columns = HeaderColumns(PLENTY)
    fill(mailbox, b"SUBJECT x", columns)
    group.drop("index", Struct(">QI").pack(MAILBOX, 80))
    assert list(scan(mailbox, b"SUBJECT 7", columns)[0]) == [180]


def test_groups_share_only_the_bound(group, mailbox):
    columns = HeaderColumns(PLENTY)
    fill(mailbox, b"SUBJECT x", columns)
    other = columns.of_group(1)
    assert other.memory_bytes == columns.memory_bytes
    _, undecided = scan(mailbox, b"SUBJECT letter", other)
    assert len(undecided) == 20
    fill(mailbox, b"SUBJECT x", other)
    assert other.memory_bytes == columns.memory_bytes
    assert len(scan(mailbox, b"SUBJECT letter", other)[0]) == 20


def test_without_memory_for_columns_metadata_decides(group, mailbox):
    large = HeaderColumns(PLENTY)
    fill(mailbox, b"SUBJECT x", large)
    columns = HeaderColumns(large.memory_bytes - 1)
    fill(mailbox, b"SUBJECT x", columns)
    assert 0 < columns.memory_bytes < large.memory_bytes
    found, undecided = scan(mailbox, b"SUBJECT letter", columns)
    assert (len(found), len(undecided)) == (19, 1)
    assert fill(mailbox, b"SUBJECT x", columns) == []
    with group.snapshot() as snapshot:
        (part,) = undecided.search_tasks(1)
        assert part.step(snapshot, PLENTY)
    assert list(part.found) == [200]


SUBJECT_BYTES = 16 * 1024
"""Bytes of a header field that metadata keeps for SEARCH."""
COLUMN_BYTES = 256
MESSAGES = (HEADER_COLUMNS_BYTES_MAX - COLUMN_BYTES) // (SUBJECT_BYTES + 1 + 8)
"""Number of messages whose subjects fit: each takes a delimiter, a UID and an end besides."""


async def undecided_of(group, path, count):
    """Return how many of `count` messages with a long subject the columns do not decide."""
    mailbox = Mailbox(group, [])
    stored = metadata_of(b"Subject: " + b"x" * SUBJECT_BYTES + b"\r\n\r\n")
    for at in range(0, len(stored) + 1, 4080):
        group.put("digests", Struct(">QI").pack(1, at // 4080), stored[at : at + 4080])
    records = [
        Record(
            uid=uid, size=1, flags=0, keyword_set=0, modseq=1, date=0, zone=0, saved=0, body=1,
            thread=1,
        )
        for uid in range(1, count + 1)
    ]  # fmt: skip
    for at in range(0, count, 32):
        group.put_segment(MAILBOX, segment_append(b"", records[at : at + 32]))
    mailbox.numbers = UidMap(UidSet([(1, count)]))
    create_filepool(path / "filepool")
    async with open_filepool(path / "filepool") as pool:
        fill(mailbox, b"SUBJECT y", pool.columns, parts=1, max_bytes=PLENTY)
        assert pool.columns.memory_bytes <= HEADER_COLUMNS_BYTES_MAX
        found, undecided = scan(mailbox, b"SUBJECT y", pool.columns)
    assert len(found) == 0
    return len(undecided)


@pytest.mark.at_limit("HEADER_COLUMNS_BYTES_MAX")
async def test_header_fields_are_kept_up_to_the_bound(group, tmp_path):
    assert await undecided_of(group, tmp_path, MESSAGES) == 0


@pytest.mark.past_limit("HEADER_COLUMNS_BYTES_MAX")
async def test_one_message_past_the_bound_is_decided_by_metadata(group, tmp_path):
    assert await undecided_of(group, tmp_path, MESSAGES + 1) == 1
