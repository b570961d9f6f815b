"""Measurement of processes at short intervals, in a thread."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def anonymous_bytes(pid: int) -> int:
    """Return the anonymous resident memory of a process."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@contextmanager
def sampling(sample: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `sample` at an interval while the block runs."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(seconds):
            sample()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
