"""`.ci/ground`: a missing tool is reported in one line, before anything is built."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tools(tmp_path):
    """Directory for PATH with all tools that are needed; tests remove or replace some."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("cut", "sh"):
        (directory / name).symlink_to(shutil.which(name))
    script(directory / "python3", f'exec {sys.executable} "$@"')
    script(directory / "cargo", "echo cargo 1.90.0")
    script(directory / "rustc", "echo rustc 1.90.0 x")
    script(directory / "cc", "exit 0")
    return directory


def script(path, text):
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def ground(tools, **environment):
    return subprocess.run(
        [ROOT / ".ci/ground"],
        env={"PATH": str(tools), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_output_when_nothing_is_missing(tools):
    done = ground(tools)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ("python3", "cannot build: 'python3' not found; Python 3.11 or newer is required"),
        ("cargo", "cannot build: 'cargo' not found; Rust 1.88 or newer is required"),
        ("rustc", "cannot build: 'rustc' not found; Rust 1.88 or newer is required"),
        ("cc", "cannot build: 'cc' not found; a C compiler is required"),
    ],
)
def test_missing_tool_is_named(tools, tool, message):
    (tools / tool).unlink()
    done = ground(tools)
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith(f"imapvm: {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("tool", "text", "message"),
    [
        (
            "python3",
            'case "$1" in -V) echo Python 3.10.9;; *) exit 1;; esac',
            "cannot build: 'python3' is 3.10.9; Python 3.11 or newer is required",
        ),
        (
            "rustc",
            "echo rustc 1.87.1",
            "cannot build: 'rustc' is 1.87.1; Rust 1.88 or newer is required",
        ),
        (
            "python3",
            f'case "$2" in *venv*) exit 1;; *) exec {sys.executable} "$@";; esac',
            "cannot build: 'python3' has no venv module",
        ),
    ],
)
def test_old_or_incomplete_tool_is_named(tools, tool, text, message):
    script(tools / tool, text)
    done = ground(tools)
    assert done.returncode != 0
    assert done.stderr.startswith(f"imapvm: {message}")
    assert done.stderr.count("\n") == 1


def test_oldest_supported_rust(tools):
    script(tools / "rustc", "echo rustc 1.88.0-nightly")
    assert ground(tools).returncode == 0


def test_python_can_be_selected(tools):
    os.rename(tools / "python3", tools / "python3.13")
    assert ground(tools).returncode != 0
    assert ground(tools, PYTHON="python3.13").returncode == 0
