"""A missing tool is one clear sentence, said before anything is built."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tools(tmp_path):
    """A PATH with everything that is needed, where a tool can be taken away or exchanged."""
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


def test_it_says_nothing_where_nothing_is_missing(tools):
    done = ground(tools)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ("python3", "Python 3.11 or newer is needed, and there is no 'python3' here"),
        ("cargo", "a Rust toolchain, 1.88 or newer, is needed, and there is no 'cargo' here"),
        ("rustc", "Rust 1.88 or newer is needed, and 'rustc' is not here"),
        ("cc", "a C compiler is needed, to build zstd and to link, and there is no 'cc' here"),
    ],
)
def test_what_is_missing_is_named(tools, tool, says):
    (tools / tool).unlink()
    done = ground(tools)
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith(f"imapvm: {says}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("tool", "text", "says"),
    [
        (
            "python3",
            'case "$1" in -V) echo Python 3.10.9;; *) exit 1;; esac',
            "Python 3.11 or newer is needed, and 'python3' is 3.10.9",
        ),
        ("rustc", "echo rustc 1.87.1", "Rust 1.88 or newer is needed, and 'rustc' is 1.87.1"),
        (
            "python3",
            f'case "$2" in *venv*) exit 1;; *) exec {sys.executable} "$@";; esac',
            "Python's venv module is needed, and 'python3' comes without it",
        ),
    ],
)
def test_what_is_too_old_or_half_there_is_named(tools, tool, text, says):
    script(tools / tool, text)
    done = ground(tools)
    assert done.returncode != 0
    assert done.stderr.startswith(f"imapvm: {says}")
    assert done.stderr.count("\n") == 1


def test_the_oldest_rust_that_will_do(tools):
    script(tools / "rustc", "echo rustc 1.88.0-nightly")
    assert ground(tools).returncode == 0


def test_another_python_can_be_named(tools):
    os.rename(tools / "python3", tools / "python3.13")
    assert ground(tools).returncode != 0
    assert ground(tools, PYTHON="python3.13").returncode == 0
