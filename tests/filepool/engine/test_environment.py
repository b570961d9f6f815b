"""Creating and opening a filepool, and the errors of both."""

import gc
import os
import re
import shutil
from pathlib import Path
from unittest.mock import Mock

import lmdb
import pytest
from tests.filepool.direct import Direct
from tests.owners import set_owner

from imapvm.filepool.engine import environment
from imapvm.filepool.errors import (
    CorruptDataError,
    FilepoolError,
    FilepoolMissingError,
    NotAFilepoolError,
    StoreUnavailableError,
    WrongFormatError,
)
from imapvm.filepool.format import Format, read_format
from imapvm.filepool.ownership import user_name
from imapvm.filepool.pool import create_filepool, open_filepool


async def refuses(path) -> FilepoolError:
    with pytest.raises(FilepoolError) as caught:
        async with open_filepool(path):
            pytest.fail("it was opened")
    text = str(caught.value)
    assert re.fullmatch(r"[a-z/][^\n]*[^.\n]", text), text
    return caught.value


def test_new_filepool_has_a_format_file_and_private_modes(tmp_path):
    create_filepool(tmp_path / "a" / "pool", groups=2, now=1_800_000_000)
    path = tmp_path / "a" / "pool"
    assert path.stat().st_mode & 0o777 == 0o700
    text = (path / "FORMAT").read_text()
    assert text == "imapvm filepool\nformat 1\ngroups 2\ncreated 2027-01-15T08:00:00Z\n"
    assert read_format(path) == Format(2, 1_800_000_000)
    assert {entry.name for entry in path.iterdir()} == {
        "FORMAT",
        "accounts",
        "group-000",
        "group-001",
    }
    for file in path.glob("*/*.mdb"):
        assert file.stat().st_mode & 0o077 == 0


async def test_missing_directory(tmp_path):
    assert isinstance(await refuses(tmp_path / "none"), FilepoolMissingError)


async def test_file_or_another_directory_is_not_a_filepool(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "directory").mkdir()
    for name in ("file", "directory"):
        assert isinstance(await refuses(tmp_path / name), NotAFilepoolError)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"", CorruptDataError),
        (b"something else\n", CorruptDataError),
        (b"\xff\xfe\x00", CorruptDataError),
        (b"imapvm filepool\n", CorruptDataError),
        (b"imapvm filepool\nformat 2\ngroups 1\n", WrongFormatError),
        (b"imapvm filepool\nformat x\ngroups 1\n", WrongFormatError),
        (b"imapvm filepool\nformat 1\n", CorruptDataError),
        (b"imapvm filepool\nformat 1\ngroups 0\ncreated 2027-01-15T08:00:00Z\n", CorruptDataError),
        (b"imapvm filepool\nformat 1\ngroups 1\ncreated yesterday\n", CorruptDataError),
        (b"imapvm filepool\nformat 1\ngroups 2\ncreated 2027-01-15T08:00:00Z\n", CorruptDataError),
    ],
)
async def test_format_file_that_cannot_be_parsed(path, text, error):
    (path / "FORMAT").write_bytes(text)
    assert isinstance(await refuses(path), error)


async def test_message_contains_the_other_format(path):
    text = (path / "FORMAT").read_text()
    (path / "FORMAT").write_text(text.replace("format 1", "format 7"))
    assert "format 7; this version reads format 1" in str(await refuses(path))


async def test_missing_part_is_damage(path):
    (path / "group-000" / "data.mdb").unlink()
    error = await refuses(path)
    assert isinstance(error, CorruptDataError)
    assert "group-000/data.mdb is missing" in str(error)


async def test_missing_format_file_is_damage(path):
    (path / "FORMAT").unlink()
    error = await refuses(path)
    assert isinstance(error, CorruptDataError)
    assert "FORMAT is missing; restore the filepool from a backup" in str(error)


async def test_missing_table_is_damage(path):
    shutil.copy(path / "accounts" / "data.mdb", path / "group-000" / "data.mdb")
    error = await refuses(path)
    assert isinstance(error, CorruptDataError)
    assert "a table is missing" in str(error)


@pytest.mark.parametrize("content", [b"", b"something else\n"])
async def test_format_file_of_something_else_is_not_damage(tmp_path, content):
    (tmp_path / "FORMAT").write_bytes(content)
    assert isinstance(await refuses(tmp_path), NotAFilepoolError)


async def test_message_contains_the_file_that_is_not_an_environment(path):
    (path / "accounts" / "data.mdb").write_bytes(b"not lmdb" * 4096)
    assert "accounts" in str(await refuses(path))


async def test_directory_open_to_others_is_closed(path):
    path.chmod(0o755)
    async with open_filepool(path):
        assert path.stat().st_mode & 0o777 == 0o700


async def test_directory_that_cannot_be_closed_is_refused(path, monkeypatch):
    path.chmod(0o750)

    def refuse(self, mode):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(type(path), "chmod", refuse)
    assert "to other users" in str(await refuses(path))


async def test_user_who_is_not_the_owner_gets_the_command_that_changes_it(path, monkeypatch):
    owner = user_name(path.stat().st_uid)
    monkeypatch.setattr(os, "geteuid", lambda: 65432)
    assert str(await refuses(path)) == (
        f"cannot open {path} as user 65432: it belongs to user {owner};"
        f" to change the owner, as root: chown -R 65432: {path}"
    )


async def test_root_gets_the_command_that_runs_imapvm_as_the_owner(path, monkeypatch):
    set_owner(monkeypatch, path, 65432)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert str(await refuses(path)) == (
        f"cannot open {path} as user root: it belongs to user 65432;"
        " run imapvm as that user: runuser -u 65432 -- imapvm"
    )


@pytest.mark.parametrize("part", ["FORMAT", "accounts", "group-000/data.mdb", "accounts/lock.mdb"])
async def test_part_that_belongs_to_another_user_is_named(path, monkeypatch, part):
    user = user_name(os.geteuid())
    set_owner(monkeypatch, path / part, 65432)
    assert str(await refuses(path)) == (
        f"cannot open {path} as user {user}: {path / part} belongs to user 65432;"
        f" to change the owner, as root: chown -R {user}: {path}"
    )


async def test_filepool_is_opened_once_in_a_process(path):
    async with open_filepool(path):
        assert "already open" in str(await refuses(path))
    async with open_filepool(path):
        pass


async def test_refused_second_opening_keeps_the_locks_of_the_first(path):
    """LMDB has POSIX locks on lock.mdb, which closing any descriptor of the file releases."""

    def locks() -> list[str]:
        inode = str((path / "group-000" / "lock.mdb").stat().st_ino)
        found = Path("/proc/locks").read_text().splitlines()
        lines = [line.split(":", 1)[1] for line in found]  # without the number of the lock
        return sorted(line for line in lines if f":{inode} " in line and "POSIX" in line)

    async with open_filepool(path):
        held = locks()
        assert held
        await refuses(path)
        assert locks() == held
    assert locks() == []


async def test_full_disk_at_opening(path, monkeypatch):
    def full(*_, **__):
        raise environment.lmdb.DiskError("/pool", 28)

    monkeypatch.setattr(environment.lmdb, "open", full)
    assert isinstance(await refuses(path), StoreUnavailableError)


def test_creation_does_not_overwrite_existing_files(path, tmp_path):
    with pytest.raises(FilepoolError, match="already"):
        create_filepool(path)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("x")
    with pytest.raises(NotAFilepoolError, match="not empty"):
        create_filepool(tmp_path / "home")
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotAFilepoolError, match="not a directory"):
        create_filepool(tmp_path / "file")


@pytest.mark.parametrize("groups", [0, -1, 1001])
def test_number_of_groups_is_limited(tmp_path, groups):
    with pytest.raises(FilepoolError, match="1 to 1000"):
        create_filepool(tmp_path / "x", groups=groups)
    assert not (tmp_path / "x").exists()


async def test_interrupted_creation_can_be_repeated_unless_there_is_mail(path):
    (path / "FORMAT").unlink()
    create_filepool(path)
    async with open_filepool(path) as pool:
        await pool.accounts.enroll("alice", "x")
    (path / "FORMAT").unlink()
    with pytest.raises(NotAFilepoolError, match="has mail"):
        create_filepool(path)


def test_full_disk_at_creation(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailableError, match="no space left"):
        create_filepool(tmp_path / "x")
    assert not (tmp_path / "x" / "FORMAT").exists()


def test_lock_file_is_not_sparse(path):
    """LMDB writes to it as memory: on a full disk the process would be killed by SIGBUS."""
    lock = (path / "accounts" / "lock.mdb").stat()
    assert lock.st_size >= environment.READERS_MAX * environment.READER_BYTES
    assert lock.st_blocks * 512 >= lock.st_size


async def test_full_disk_when_the_lock_file_is_reserved(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    (path / "accounts" / "lock.mdb").unlink()
    monkeypatch.setattr(os, "posix_fallocate", full)
    error = await refuses(path)
    assert isinstance(error, StoreUnavailableError)
    assert "no space left" in str(error)


async def test_address_space_is_free_again_when_a_filepool_is_closed(path):
    """Each of the two data files is mapped twice, with 1 TiB; a process has 128 TiB."""
    gc.disable()
    try:
        for _ in range(40):
            async with open_filepool(path) as pool:
                pool.account(await pool.accounts.enroll("alice", "x"))
                await pool.accounts.delete(pool.accounts.find("alice").id)
    finally:
        gc.enable()


async def test_environment_is_closed_if_its_data_file_cannot_be_mapped(path, monkeypatch):
    for place in ("accounts", "group"):
        name = f"imapvm.filepool.{place}.map_data_file"
        with monkeypatch.context() as patched:
            patched.setattr(name, Mock(side_effect=StoreUnavailableError("no address space")))
            assert "no address space" in str(await refuses(path))
    async with open_filepool(path):
        pass


@pytest.mark.parametrize("error", [lmdb.BadDbiError, lmdb.CorruptedError, lmdb.Error])
def test_error_of_lmdb_in_a_read_is_an_error_of_the_data(tmp_path, error):
    with Direct(tmp_path / "filepool") as direct:
        with pytest.raises(CorruptDataError) as raised, direct.reading():
            raise error("MDB_X: words of LMDB")
        assert str(raised.value) == "cannot read the filepool: stored data is corrupt"
        with pytest.raises(KeyError), direct.reading():
            raise KeyError
        with direct.reading() as reader:
            assert reader.mailbox("INBOX") is not None
