"""Spawn config, and the start of a process with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.server.role import Role
from imapvm.server.settings import Settings
from imapvm.server.supervisor.role_process import title_of
from imapvm.server.supervisor.spawn_config import SpawnConfig, read, write


def test_spawn_config_round_trip():
    settings = Settings(
        filepool=Path("/p"),
        certificate=Path("/c"),
        imap=("127.0.0.1:143",),
        workers=3,
        plaintext="never",
        delivery=DeliverySettings(hostname="h", domains=("example.org",)),
        log_format="json",
        log_level="debug",
    )
    spawn_config = SpawnConfig(
        role=Role.WORKER,
        name="worker-2",
        master=os.getpid(),
        report=3,
        memory=4,
        eventfds=(5, 6),
        index=1,
        imap=(7,),
        lmtp=(8,),
        settings=settings,
    )
    fd = write(spawn_config)
    assert not os.get_inheritable(fd)
    assert read(fd) == spawn_config
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    assert spawn_config.descriptors() == (3, 4, 5, 6, 7, 8)


def test_master_imports_neither_trio_nor_lmdb():
    code = (
        "import sys, imapvm.ops.cli, imapvm.ops.serving.run, imapvm.ops.serving.workers;"
        "import imapvm.ops.config.file, imapvm.ops.config.load, imapvm.ops.logs;"
        "print({'trio', 'lmdb', 'imapvm._core'} & set(sys.modules))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert output == "set()\n"


def test_process_without_its_master_does_not_start(tmp_path):
    code = (
        "import os, sys; from imapvm.server.supervisor.role_process import _die_with;"
        f"_die_with({os.getpid() + 1}); print('continues')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == -9
    assert done.stdout == b""


def test_titles_of_processes_differ_in_fifteen_bytes():
    names = [f"worker-{number}" for number in range(1, 1000)]
    titles = [title_of(Role.WORKER, name) for name in names]
    titles += [title_of(Role.MAINTENANCE, "maintenance"), title_of(Role.INTAKE, "intake")]
    assert titles[1] == "imapvm-worker-2"
    assert titles[9] == "imapvm-work-10"
    assert len({title.encode()[:15] for title in titles}) == len(titles)
