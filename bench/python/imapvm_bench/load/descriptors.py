"""File descriptors: a connection takes one, and the system allows a process so many."""

import resource
from typing import Final

from imapvm_bench.errors import BenchError

SPARE: Final = 200
"""For everything that is no connection: epoll, files, Python itself."""


def raise_limit() -> int:
    """Take all descriptors that the system allows; return how many connections that makes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limit = 1_000_000 if hard == resource.RLIM_INFINITY else hard
    return max(1, limit - SPARE)


def require_descriptors(connections: int) -> None:
    """See to it that this process may have so many connections.

    Raises:
        BenchError: the system does not allow it.
    """
    allowed = raise_limit()
    if connections > allowed:
        raise BenchError(
            f"{connections:,} connections are more than this system allows a process"
            f" ({allowed:,}): raise `ulimit -n`, or ask for fewer"
        )
