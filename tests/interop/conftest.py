"""Private server for third-party programs, and lookup of these programs."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.demo import Demo, started

USER, PASSWORD = "reader", "secret"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with started(tmp_path / "demo", f"--user={USER}:{PASSWORD}") as running:
        yield running


@pytest.fixture
def program():
    """Return a function that finds a program, or fails: tests are not skipped silently."""

    def find(name: str) -> str:
        path = shutil.which(name)
        assert path is not None, f"{name} is not installed; .ci/run installs what these tests need"
        return path

    return find


def run(*command: str, home: Path, timeout: float = 60) -> str:
    """Run a program with its own home directory; return its output.

    Raises:
        AssertionError: it failed; the text has its output.
    """
    done = subprocess.run(
        command,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "TERM": "dumb", "LANG": "C.UTF-8"},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{output}"
    return output
