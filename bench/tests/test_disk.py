"""Calls that wait for the disk take the fixed time, are counted, and write what they would."""

import errno
import os
import subprocess
import sys

import pytest
from bench.disk import fixed_latency
from bench.disk.fixed_latency import Syncs

CALLS = """
import fcntl, mmap, os, sys, time
path = sys.argv[1]
plain = os.open(path, os.O_RDWR | os.O_CREAT)
synced = os.open(path, os.O_RDWR | os.O_DSYNC)
copy = fcntl.fcntl(synced, fcntl.F_DUPFD, 50)
closed = os.dup2(synced, 70)
os.close(closed)
reused = os.dup2(plain, 70)
os.write(plain, bytes(4096))
page = mmap.mmap(plain, 4096)
calls = {
    "fsync": lambda: os.fsync(plain),
    "fdatasync": lambda: os.fdatasync(plain),
    "msync": page.flush,
    "write": lambda: os.write(plain, b"a"),
    "reused": lambda: os.write(reused, b"b"),
    "synced": lambda: os.write(synced, b"c"),
    "pwrite": lambda: os.pwrite(synced, b"d", 2),
    "writev": lambda: os.writev(copy, [b"e"]),
    "dsync": lambda: os.pwritev(plain, [b"f"], 3, os.RWF_DSYNC),
}
for name in sys.argv[2].split(","):
    start = time.perf_counter()
    calls[name]()
    print(time.perf_counter() - start)
try:
    os.fsync(99)
except OSError as error:
    print(error.errno)
"""
LATENCY_MS = 20.0
TOGETHER = """
import os, sys, threading, time
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
start = time.perf_counter()
threads = [threading.Thread(target=os.fsync, args=(file,)) for _ in range(6)]
for each in threads: each.start()
for each in threads: each.join()
print(time.perf_counter() - start)
"""


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    with fixed_latency(tmp_path_factory.mktemp("disk")) as disk:
        yield disk


@pytest.fixture
def run(disk, tmp_path):
    """Run a program on the disk; return the numbers that it prints, and the syncs that it added."""

    def run(program, *arguments, without=()):
        before = disk.syncs()
        variables = {**os.environ, **disk.environment}
        done = subprocess.run(
            [sys.executable, "-c", program, tmp_path / "file", *arguments],
            env={name: value for name, value in variables.items() if name not in without},
            capture_output=True,
            text=True,
            check=True,
        )
        after = disk.syncs()
        added = Syncs(
            after.files - before.files, after.maps - before.maps, after.writes - before.writes
        )
        return [float(each) for each in done.stdout.split()], added

    disk.latency_ms, disk.queued = LATENCY_MS, False
    return run


def test_syncs_take_the_fixed_time(run):
    (*times, error), added = run(CALLS, "fsync,fdatasync,msync")
    assert all(each >= LATENCY_MS / 1e3 for each in times)
    assert error == errno.EBADF
    assert added == Syncs(files=2, maps=1, writes=0)
    assert added.total == 3


def test_synchronous_writes_take_the_fixed_time_and_are_written(run, tmp_path):
    (*times, _), added = run(CALLS, "synced,pwrite,writev,dsync")
    assert all(each >= LATENCY_MS / 1e3 for each in times)
    assert added == Syncs(files=0, maps=0, writes=4)
    assert (tmp_path / "file").read_bytes()[:5] == b"cedf\0"


def test_other_writes_are_not_counted(run):
    assert run(CALLS, "write,reused")[1].total == 0


def test_without_a_disk_nothing_is_counted(run):
    assert run(CALLS, "fsync,synced,msync", without=("BENCH_DISK",))[1].total == 0


def test_a_process_that_cannot_map_the_disk_ends(disk, tmp_path):
    variables = {**os.environ, **disk.environment, "BENCH_DISK": str(tmp_path / "missing")}
    done = subprocess.run(["/bin/true"], env=variables, capture_output=True, check=False)
    assert done.returncode == 127
    assert b"cannot map" in done.stderr


def test_queued_flushes_share_the_next(run, disk):
    """The first runs alone, and the others share the second: two times the latency."""
    disk.latency_ms, disk.queued = 100.0, True
    [seconds], added = run(TOGETHER)
    assert 0.2 <= seconds < 0.5
    assert added.files == 6


def test_a_latency_is_changed_while_processes_run(disk):
    for wanted in (0.2, 1.0, 5.0, 0.0):
        disk.latency_ms = wanted
        assert disk.latency_ms == pytest.approx(wanted)
