"""Limit of file descriptors, one for each connection."""

import resource
from typing import Final

from imapvm_bench.errors import BenchError

SPARE: Final = 200
"""Descriptors for everything else: epoll, files, Python itself."""


def raise_limit() -> int:
    """Raise the soft limit to the hard limit; return the number of connections it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limit = 1_000_000 if hard == resource.RLIM_INFINITY else hard
    return max(1, limit - SPARE)


def require_descriptors(connections: int) -> None:
    """Raise the limit for a number of connections.

    Raises:
        BenchError: the hard limit is lower.
    """
    allowed = raise_limit()
    if connections > allowed:
        raise BenchError(
            f"cannot open {connections:,} connections: the limit of descriptors allows"
            f" {allowed:,}; raise `ulimit -n`"
        )
