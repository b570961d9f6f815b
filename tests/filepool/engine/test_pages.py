"""Pages are read without LMDB like LMDB reads them: any rows, after any history."""

import os
import random
from pathlib import Path

import lmdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.test_index import record

from imapvm._core import CorruptError, DataFile, UidSet, segment_append, segment_uids

MAP_SIZE = 1 << 30


class File:
    """An environment with one table, and the same file mapped."""

    def __init__(self, path: Path) -> None:
        path.mkdir(exist_ok=True)
        self.path = path / "data.mdb"
        self.env = lmdb.open(str(path), map_size=MAP_SIZE, max_dbs=4, lib_version=0, sync=False)
        self.table = self.env.open_db(b"index")
        self.data = mapped(self.path)

    def write(self, changes):
        with self.env.begin(write=True, db=self.table) as txn:
            for key, value in changes:
                if value is None:
                    txn.delete(key)
                else:
                    txn.put(key, value)


def mapped(path):
    file = os.open(path, os.O_RDONLY)
    try:
        return DataFile(file, MAP_SIZE)
    finally:
        os.close(file)


@pytest.fixture
def file(tmp_path):
    file = File(tmp_path / "env")
    with file.env:
        yield file


def same(file, txn, keys):
    """Compare all rows of a table, and lookups of some keys, existing or not."""
    snapshot = file.data.snapshot(txn.id())
    assert snapshot is not None
    with txn.cursor(file.table) as cursor:
        rows = list(cursor.iternext())
        assert snapshot.items("index", b"", len(rows) + 1) == rows
        for key in keys:
            assert snapshot.get("index", key) == txn.get(key, db=file.table)
            found = cursor.set_range(key)
            assert snapshot.items("index", key, 1) == ([cursor.item()] if found else [])
            if not (found and cursor.key() == key):
                found = cursor.prev() if found else cursor.last()
            assert snapshot.item_at_or_before("index", key) == (cursor.item() if found else None)
    return snapshot


keys = st.binary(min_size=1, max_size=9)
values = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.builds(lambda byte, size: byte * size, st.binary(min_size=1, max_size=1),
              st.sampled_from([0, 1, 1000, 2000, 2030, 2040, 4080, 4081, 9000])),
)  # fmt: skip
histories = st.lists(st.lists(st.tuples(keys, values), max_size=60), min_size=1, max_size=6)


@given(histories)
def test_pages_are_read_like_lmdb_reads_them(tmp_path_factory, history):
    file = File(tmp_path_factory.mktemp("pages"))
    with file.env:
        for changes in history:
            file.write(changes)
            with file.env.begin() as txn:
                same(file, txn, [b"\0", b"\xff" * 9, *(key for key, _ in changes)])


def test_table_of_several_levels_is_read_like_lmdb_reads_it(file):
    dice = random.Random(5)
    rows = {dice.randbytes(8): dice.randbytes(dice.choice([8, 60, 1900])) for _ in range(20_000)}
    file.write(rows.items())
    file.write((key, None) for key in dice.sample(sorted(rows), 9_000))
    with file.env.begin() as txn:
        assert txn.stat(file.table)["depth"] >= 3
        same(
            file, txn, [*dice.sample(sorted(rows), 3_000), *(dice.randbytes(8) for _ in "x" * 3000)]
        )


def test_snapshot_does_not_change_during_writes(file):
    file.write((b"%d" % number, b"old") for number in range(1000))
    with file.env.begin() as txn:
        snapshot = same(file, txn, [])
        for _ in range(20):
            file.write((b"%d" % number, os.urandom(3000)) for number in range(1000))
            assert dict(snapshot.items("index", b"", 2000)) == {
                b"%d" % number: b"old" for number in range(1000)
            }


def test_snapshot_of_an_overwritten_meta_page_is_refused(file):
    with file.env.begin() as txn:
        overtaken = txn.id()
        assert file.data.snapshot(overtaken) is not None
        file.write([(b"a", b"1")])
        assert file.data.snapshot(overtaken) is not None, "the other meta page was written"
        file.write([(b"a", b"2")])
        assert file.data.snapshot(overtaken) is None


def test_missing_table_and_empty_table(file):
    with file.env.begin() as txn:
        snapshot = same(file, txn, [b"a"])
        assert snapshot.items("index", b"", 10) == []
        with pytest.raises(CorruptError):
            snapshot.get("bodies", b"a")


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\0" * 8192, b"\xff" * 8192])
def test_file_of_another_format_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises((CorruptError, OSError)):
        mapped(tmp_path / "file")


def test_corrupt_file_raises_an_error(file, tmp_path):
    file.write((b"%06d" % number, b"v" * (number % 3000)) for number in range(500))
    whole = file.path.read_bytes()
    dice = random.Random(7)
    with file.env.begin() as txn:
        number = txn.id()
    found = 0
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(dice.choice([1, 30])):
            content[dice.randrange(len(content))] = dice.randrange(256)
        (tmp_path / "corrupt").write_bytes(
            content[: dice.choice([len(content), len(content) // 2])]
        )
        try:
            snapshot = mapped(tmp_path / "corrupt").snapshot(number)
            if snapshot is not None:
                snapshot.items("index", b"", 1000)
        except CorruptError:
            found += 1
    assert found > 100


def test_segments_of_a_uid_set(file):
    """Any set of UIDs selects the segments that contain them, and few others."""
    dice = random.Random(9)
    uids = sorted(dice.sample(range(1, 2000), 700))
    segments = []
    while uids:
        count = dice.randint(1, 20)
        some, uids = uids[:count], uids[count:]
        segments.append(segment_append(b"", [record(uid) for uid in some]))
    for mailbox in (1, 2, 3):
        file.write(
            (mailbox.to_bytes(8, "big") + segment[8:12][::-1], segment)
            for segment in segments[mailbox - 1 :: mailbox]
        )
    with file.env.begin() as txn:
        snapshot = file.data.snapshot(txn.id())
        assert snapshot.segments(2) == segments[1::2]
        assert snapshot.segments(4) == []
        for _ in range(300):
            wanted = UidSet.of(dice.sample(range(1, 2100), dice.choice([1, 5, 100])))
            given = snapshot.segments(2, wanted)
            needed = [one for one in segments[1::2] if segment_uids(one) & wanted]
            assert [one for one in given if one in needed] == needed
            assert given == sorted(given, key=lambda one: segment_uids(one).first)
            first_to_last = [UidSet([(s.first, s.last)]) for s in map(segment_uids, given)]
            assert all(reach & wanted for reach in first_to_last)
