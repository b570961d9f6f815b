"""Audit lines: one for each change by a verb, in the system log."""

import io
import os
import re
import sys

import pytest

from imapvm.auth import passwords
from imapvm.ops import audit, cli


@pytest.fixture
def run(tmp_path, monkeypatch):
    quick = passwords.argon2.Parameters(
        passwords.argon2.Type.ID, 19, 16, 32, time_cost=1, memory_cost=8, parallelism=1
    )
    monkeypatch.setattr(passwords.hash_password, "__kwdefaults__", {"parameters": quick})

    def run(*words):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hunter2\n")))
        return cli.main([*words, "--filepool", str(tmp_path / "pool")])

    return run


def received(syslog):
    lines = []
    while True:
        try:
            lines.append(syslog.recv(4096).decode())
        except BlockingIOError:
            return lines


def test_each_change_leaves_one_line(run, syslog, tmp_path):
    for words, event in (
        (("filepool", "create"), 'event="filepool created" logger=ops.audit groups=1'),
        (
            ("user", "enroll", "ada", "--password-stdin"),
            'event="user enrolled" logger=ops.audit user=ada',
        ),
        (
            ("user", "password", "ada", "--password-stdin"),
            'event="password changed" logger=ops.audit user=ada',
        ),
        (
            ("user", "alias", "add", "ada", "info"),
            'event="alias added" logger=ops.audit user=ada alias=info',
        ),
        (
            ("user", "alias", "remove", "info"),
            'event="alias removed" logger=ops.audit user=ada alias=info',
        ),
        (
            ("user", "rename", "ada", "grace"),
            'event="user renamed" logger=ops.audit user=ada to=grace',
        ),
        (("user", "delete", "grace", "--yes"), 'event="user deleted" logger=ops.audit user=grace'),
        (
            ("filepool", "check", "--repair"),
            'event="filepool repaired" logger=ops.audit errors=0',
        ),
    ):
        assert run(*words) == 0
        (line,) = received(syslog)
        assert re.match(rf"<86>imapvm\[{os.getpid()}\]: 20\S+Z info ", line)
        assert f"{event} filepool={tmp_path}/pool uid={os.getuid()}" in line
        assert "hunter2" not in line


@pytest.mark.parametrize(
    "words",
    [
        ("user", "list"),
        ("user", "alias", "list"),
        ("filepool", "check"),
        ("filepool", "sweep"),
        ("user", "delete", "eve", "--yes"),
        ("filepool", "create"),
    ],
)
def test_without_a_change_there_is_no_line(run, syslog, words):
    run("filepool", "create")
    received(syslog)
    run(*words)
    assert received(syslog) == []


def test_alias_that_exists_is_not_added_again(run, syslog, capsys):
    run("filepool", "create")
    run("user", "enroll", "ada", "--password-stdin")
    assert run("user", "alias", "add", "ada", "info") == 0
    received(syslog)
    assert run("user", "alias", "add", "ada", "INFO") == 0
    assert received(syslog) == []
    assert "INFO is an alias of ada already" in capsys.readouterr().out


def test_without_a_system_log_the_line_is_on_standard_error(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(audit, "SYSLOG", str(tmp_path / "none"))
    assert run("filepool", "create") == 0
    written = capsys.readouterr().err
    assert 'info event="filepool created"' in written
    assert written.count("\n") == 1


def test_line_ends_in_a_name_do_not_start_a_line(tmp_path, syslog):
    audit.record("user enrolled", tmp_path, user="x\ny")
    (line,) = received(syslog)
    assert line.count("\n") == 0
