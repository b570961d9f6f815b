"""Memory of a server: its process and all descendants."""

import os
import subprocess
import sys

import pytest

from imapvm_bench.errors import BenchError
from imapvm_bench.idle.memory import Memory, descendants, memory_of, settled_memory


def make_process(proc, pid, parent, *, name="server", pss=100, anonymous=40):
    directory = proc / str(pid)
    directory.mkdir()
    (directory / "stat").write_text(f"{pid} ({name}) S {parent} 1 1 0 -1\n")
    (directory / "smaps_rollup").write_text(
        "55a0-7ffc ---p 00000000 00:00 0 [rollup]\n"
        f"Rss:      999 kB\nPss:     {pss} kB\nPss_Anon:   {anonymous} kB\nPss_File:  9 kB\n"
    )


def test_all_descendants_are_counted_and_no_other_process(tmp_path):
    make_process(tmp_path, 10, 1)
    make_process(tmp_path, 11, 10, name="a) S 99 (b")
    make_process(tmp_path, 12, 11, pss=1, anonymous=1)
    make_process(tmp_path, 20, 1, pss=9000)
    (tmp_path / "self").mkdir()
    assert descendants(10, tmp_path) == [10, 11, 12]
    assert memory_of(10, tmp_path) == Memory(201 * 1024, 81 * 1024, 3)


def test_a_process_that_has_just_ended_is_ignored(tmp_path):
    make_process(tmp_path, 10, 1)
    make_process(tmp_path, 11, 10)
    (tmp_path / "11" / "smaps_rollup").unlink()
    assert memory_of(10, tmp_path).processes == 1


def test_an_unknown_pid_is_an_error(tmp_path):
    with pytest.raises(BenchError, match="no process 10"):
        memory_of(10, tmp_path)


def test_a_real_process_has_memory_and_a_child_adds_its_own():
    alone = memory_of(os.getpid())
    assert alone.pss >= alone.anonymous > 1_000_000
    program = "import sys; x = bytearray(b'x' * 30_000_000); print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        assert settled_memory(child.pid).anonymous > 30_000_000
        with_child = memory_of(os.getpid())
        child.stdin.close()
    assert with_child.processes >= alone.processes + 1
    assert with_child.anonymous - alone.anonymous > 25_000_000
