"""Truncated and corrupt data files: a clear error, and never a signal."""

import os
import signal
import subprocess
import sys
import textwrap

import lmdb
import pytest
from tests.filepool.direct import look, message

from imapvm.filepool.engine.data_file import check_data_file
from imapvm.filepool.engine.environment import lmdb_error
from imapvm.filepool.errors import CorruptDataError, StoreUnavailableError
from imapvm.filepool.pool import open_filepool

CORRUPT = 3
"""Exit code for corrupt data (docs/operations.md)."""


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


TRUNCATED_WHILE_OPEN = """
    import os, sys, time, trio
    from pathlib import Path
    from tests.filepool.direct import look, message
    from imapvm.filepool.errors import CorruptDataError
    from imapvm.filepool.pool import open_filepool

    async def main(path, part, size):
        async with open_filepool(path) as pool:
            store = pool.account(await pool.accounts.enroll("alice", "secret"))
            inbox = look(store).id
            await store.append(inbox, [message(1)])
            os.truncate(path / part / "data.mdb", size)
            time.sleep(0.01)  # until the next tick of the kernel's clock

            async def append():
                await store.append(inbox, [message(2)])

            async def enroll():
                await pool.accounts.enroll("bob", "secret")

            async def read():
                look(store)

            async def changes():
                pool.foreign_changes()

            async def find():
                pool.accounts.find("alice")

            group = (read, append, changes)
            for call in group if part != "accounts" else (find, enroll):
                try:
                    await call()
                except CorruptDataError as error:
                    assert "data.mdb" in str(error), error
                    assert f"found {size};" in str(error), error
                else:
                    raise AssertionError(call)
            print("done", flush=True)

    trio.run(main, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
"""


@pytest.mark.parametrize("size", [0, 4096, 8192, 20480])
@pytest.mark.parametrize("part", ["accounts", "group-000"])
def test_file_truncated_while_it_is_open_is_an_error(path, part, size):
    ended = run_script(TRUNCATED_WHILE_OPEN, path, part, size)
    if size < 8192 and "done" not in ended.stdout:  # LMDB reads the first two pages
        assert_ended_by_handler(ended, path / part / "data.mdb", size)
    else:
        assert (ended.returncode, ended.stdout) == (0, "done\n"), ended


TRUNCATED_IN_A_TRANSACTION = """
    import os, sys, trio
    from pathlib import Path
    from tests.filepool.direct import look, message
    from imapvm.filepool.pool import open_filepool

    async def main(path, part, size):
        async with open_filepool(path) as pool:
            store = pool.account(await pool.accounts.enroll("alice", "secret"))
            await store.append(look(store).id, [message(1)] * 100)
            with store.reading() as reader, pool.accounts.env.begin() as txn:
                mailbox = reader.mailbox("INBOX")
                os.truncate(path / part / "data.mdb", size)
                store.latest_txn_id()
                reader.uid_map(mailbox)
                reader.mailbox("Archive")
                txn.get(b"alice", None, pool.accounts.tables.names)
            print("not ended", flush=True)

    trio.run(main, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
"""


@pytest.mark.parametrize("size", [0, 4096, 8192])
@pytest.mark.parametrize("part", ["accounts", "group-000"])
def test_file_truncated_inside_a_transaction_ends_the_process_with_an_error(path, part, size):
    ended = run_script(TRUNCATED_IN_A_TRANSACTION, path, part, size)
    assert_ended_by_handler(ended, path / part / "data.mdb", size)


def test_other_bus_errors_keep_their_action(path):
    script = """
        import mmap, sys, tempfile
        from pathlib import Path
        from imapvm.filepool.pool import Filepool
        pool = Filepool(Path(sys.argv[1]), clock=lambda: 0, map_size=1 << 30)
        with tempfile.TemporaryFile() as file:
            file.truncate(4096)
            page = mmap.mmap(file.fileno(), 4096)
            file.truncate(0)
            page[0]
    """
    assert run_script(script, path).returncode == -signal.SIGBUS


def run_script(script, *arguments):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def assert_ended_by_handler(ended, file, size):
    assert ended.returncode == CORRUPT, ended
    begin, _, found = ended.stderr.partition("expected at least ")
    assert begin == f"imapvm: cannot use {file}: the file is truncated: ", ended
    assert found.endswith(f" bytes, found {size}; restore the filepool from a backup\n"), ended


async def test_used_bytes_end_with_the_last_page_in_use(alice, pool):
    group = pool.groups[0]
    for _ in range(3):
        await alice.append(look(alice).id, [message(1)] * 100)
        info, page = group.env.info(), group.env.stat()["psize"]
        assert group.data.used_bytes() == (info["last_pgno"] + 1) * page
