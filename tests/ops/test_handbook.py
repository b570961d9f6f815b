"""docs/operations.md and config/: files that they name exist, and the backup block works."""

import configparser
import os
import shutil
import subprocess
import sys
import time

import pytest
from tests.ops.handbook import ROOT, blocks

from imapvm.ops import cli
from imapvm.ops.errors import CONFIGURATION


def unit(name):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string((ROOT / "config/systemd" / name).read_text())
    return parser


def test_error_in_the_configuration_is_not_restarted():
    assert unit("imapvm.service")["Service"]["RestartPreventExitStatus"] == str(CONFIGURATION)


@pytest.mark.parametrize("name", ["imapvm.service", "imapvm.socket"])
def test_documentation_of_a_unit_is_installed_by_the_handbook(name):
    written = unit(name)["Unit"]["Documentation"]
    directory, _, file = written.removeprefix("file:").rpartition("/")
    assert f"install -D -m 0644 -t {directory} docs/*.md" in blocks("Installation")[1]
    assert (ROOT / "docs" / file).is_file()


def test_handbook_installs_files_that_exist():
    installed = [
        word
        for block in blocks("Installation") + blocks("**Socket activation.**")
        for line in block.splitlines()
        if line.startswith("install ")
        for word in line.split()
        if word.startswith(("config/", "docs/"))
    ]
    assert len(installed) == 6
    for pattern in installed:
        assert list(ROOT.glob(pattern)), pattern


@pytest.mark.slow
def test_shipped_files_create_user_and_directories(tmp_path):
    """Needs systemd-sysusers and systemd-tmpfiles."""
    for kind in ("sysusers.d", "tmpfiles.d"):
        directory = tmp_path / "etc" / kind
        directory.mkdir(parents=True)
        (file,) = (ROOT / "config" / kind).iterdir()
        shutil.copy(file, directory)
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], check=True, capture_output=True)
    user = next(
        line.split(":")
        for line in (tmp_path / "etc/passwd").read_text().splitlines()
        if line.startswith("imapvm:")
    )
    assert user[5] == "/var/lib/imapvm"
    assert user[6].endswith("nologin")
    assert "\nimapvm:" in "\n" + (tmp_path / "etc/group").read_text()
    done = subprocess.run(
        ["systemd-tmpfiles", "--create", f"--root={tmp_path}"],
        check=False,
        capture_output=True,
        text=True,
    )
    if os.geteuid() == 0:  # others cannot set the owner
        assert done.returncode == 0, done.stderr
        for directory in ("var/lib/imapvm", "var/spool/imapvm"):
            found = (tmp_path / directory).stat()
            assert found.st_mode & 0o777 == 0o700
            assert found.st_uid == int(user[2])
    assert ".conf:" not in done.stderr  # no syntax error


@pytest.fixture
def backup(tmp_path):
    """Run the backup block of the handbook, with directories of the test."""
    (block,) = blocks("**Backup.**")
    for theirs, ours in {
        "/var/lib/imapvm/filepool": str(tmp_path / "pool"),
        "/backup/": f"{tmp_path}/backup/",
        "/opt/imapvm/.venv/bin/python": sys.executable,
        "imapvm filepool check": f"{sys.executable} -m imapvm filepool check",
    }.items():
        assert theirs in block
        block = block.replace(theirs, ours)
    assert cli.main(["filepool", "create", "--filepool", str(tmp_path / "pool")]) == 0

    def run():
        return subprocess.run(["sh", "-c", block], check=False, capture_output=True, text=True)

    return run


@pytest.mark.slow
def test_each_run_of_the_backup_block_makes_a_verified_copy(backup, tmp_path):
    first = backup()
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("0 errors in 0 accounts")
    (old,) = (tmp_path / "backup").iterdir()
    subprocess.run(
        [sys.executable, "-m", "imapvm", "user", "enroll", "ada", "--password-stdin",
         "--filepool", tmp_path / "pool"],
        input=b"secret",
        check=True,
    )  # fmt: skip
    time.sleep(1.1)  # the name has the second
    second = backup()
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout.startswith("0 errors in 1 accounts")
    (new,) = set((tmp_path / "backup").iterdir()) - {old}
    assert new.stat().st_mode & 0o777 == 0o700
    assert ".incomplete" not in new.name


def test_backup_block_reports_a_failure(backup, tmp_path):
    (tmp_path / "pool/accounts/data.mdb").write_bytes(b"not LMDB")
    done = backup()
    assert done.returncode != 0
    assert all(path.name.endswith(".incomplete") for path in (tmp_path / "backup").iterdir())
