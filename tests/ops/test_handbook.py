"""docs/operations.md and config/: files that they name exist, and the backup block works."""

import configparser
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.ops.handbook import ROOT, blocks

from imapvm.ops import cli
from imapvm.ops.config.file import Config
from imapvm.ops.errors import CONFIGURATION, CORRUPT


def unit(name):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string((ROOT / "config/systemd" / name).read_text())
    return parser


def test_errors_that_need_an_operator_are_not_restarted():
    codes = unit("imapvm.service")["Service"]["RestartPreventExitStatus"]
    assert codes == f"{CORRUPT} {CONFIGURATION}"


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


def test_shipped_files_create_the_user_and_the_directories_of_the_default_configuration():
    (sysusers,) = (ROOT / "config/sysusers.d").iterdir()
    (user,) = entries(sysusers)
    assert user[:3] == ["u", "imapvm", "-"]
    assert user[-1] == "/var/lib/imapvm"
    (tmpfiles,) = (ROOT / "config/tmpfiles.d").iterdir()
    assert entries(tmpfiles) == [
        ["d", str(Path(Config().filepool).parent), "0700", "imapvm", "imapvm", "-"],
        ["d", Config().spool, "0700", "imapvm", "imapvm", "-"],
    ]


def entries(path):
    lines = path.read_text().splitlines()
    return [shlex.split(line) for line in lines if line and not line.startswith("#")]


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
