"""Truncated and corrupt data files: a clear error, and never a signal."""

import os
import subprocess
import sys

import lmdb
import pytest

from imapvm.filepool.engine.data_file import check_data_file
from imapvm.filepool.engine.environment import lmdb_error
from imapvm.filepool.errors import CorruptDataError, StoreUnavailableError
from imapvm.filepool.pool import open_filepool
from imapvm.ops.errors import CORRUPT

VERBS = (
    ("filepool", "check"),
    ("filepool", "check", "--repair"),
    ("filepool", "sweep"),
    ("user", "list"),
    ("user", "delete", "alice", "--yes"),
)


def used(path):
    """Return the bytes of a data file up to its last page."""
    with path.open("rb") as file:
        start = file.read(8192)
    last = max(
        (int.from_bytes(start[at + 144 : at + 152], "little"), start[at + 136 : at + 144])
        for at in (0, 4096)
    )[1]
    return 4096 * (int.from_bytes(last, "little") + 1)


def sizes(path):
    """Return sizes to which a data file is truncated, each with pages missing."""
    last = used(path)
    return sorted({0, 1, 151, 4095, 4096, 8191, 8192, last // 2, last - 4096, last - 1})


@pytest.mark.parametrize("part", ["accounts", "group-000"])
async def test_truncated_data_file_is_named_with_both_sizes(path, part):
    async with open_filepool(path) as pool:
        await pool.accounts.enroll("alice", "secret")
    file = path / part / "data.mdb"
    whole, last = file.read_bytes(), used(file)
    for size in sizes(file):
        file.write_bytes(whole[:size])
        with pytest.raises(CorruptDataError) as caught:
            async with open_filepool(path):
                pytest.fail("it was opened")
        text = str(caught.value)
        assert str(file) in text
        assert f"found {size};" in text
        if size >= 8192:
            assert f"at least {last} bytes" in text
    file.write_bytes(whole[:last])
    async with open_filepool(path) as pool:
        assert pool.check().findings == ()


def test_file_that_ends_before_free_pages_is_complete(path):
    """LMDB does not write pages that a transaction has allocated and freed."""
    file = path / "group-000" / "data.mdb"
    with lmdb.open(str(file.parent), max_dbs=32, map_size=1 << 24) as env:
        table = env.open_db(b"bodies")
        small = [(b"key", b"value")] * 4
        for key, value in [*small, (b"large", bytes(100_000)), (b"large", b""), *small]:
            with env.begin(write=True) as txn:
                txn.put(key, value, db=table)
                if not value:
                    txn.delete(key, db=table)
    check_data_file(file.parent)
    last = used(file)
    free = last
    while free > 8192:
        os.truncate(file, free - 4096)
        try:
            check_data_file(file.parent)
        except CorruptDataError:
            break
        free -= 4096
        assert file.stat().st_size == last
    assert free < last, "no free page at the end of the file"


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("part", ["accounts", "group-000"])
def test_every_verb_ends_with_the_exit_code_for_corrupt_data(path, verb, part):
    file = path / part / "data.mdb"
    os.truncate(file, used(file) - 4096)
    ended = subprocess.run(
        [sys.executable, "-m", "imapvm", *verb[:2], "--filepool", str(path), *verb[2:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == CORRUPT, ended
    assert str(file) in ended.stderr
    assert ended.stderr.count("\n") == 1


async def test_overwritten_data_file_is_corrupt(path):
    (path / "accounts" / "data.mdb").write_bytes(b"not lmdb" * 4096)
    with pytest.raises(CorruptDataError, match=r"accounts/data\.mdb: it is not a data file"):
        async with open_filepool(path):
            pytest.fail("it was opened")


def test_full_disk_is_called_by_its_name(tmp_path, monkeypatch):
    full = lmdb.Error("mdb_txn_commit: No space left on device")
    short = lmdb.Error("mdb_txn_commit: Input/output error")
    for error in (full, OSError(28, "No space left on device")):
        found = lmdb_error("write to the filepool", error, directory=tmp_path)
        assert str(found) == "cannot write to the filepool: no space left on device"
        assert isinstance(found, StoreUnavailableError)
    found = lmdb_error("write to the filepool", short, directory=tmp_path)
    assert str(found).endswith(": input/output error")
    disk = os.statvfs(tmp_path)
    values = list(disk)
    values[4] = 0
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(values))
    found = lmdb_error("write to the filepool", short, directory=tmp_path)
    assert str(found).endswith(": no space left on device")


@pytest.mark.parametrize("name", ["PageNotFoundError", "CorruptedError", "InvalidError"])
def test_errors_about_pages_are_corruption_without_words_of_the_engine(name):
    found = lmdb_error("read the filepool", getattr(lmdb, name)("mdb_get: MDB_CORRUPTED: page"))
    assert isinstance(found, CorruptDataError)
    assert str(found) == "cannot read the filepool: stored data is corrupt"
