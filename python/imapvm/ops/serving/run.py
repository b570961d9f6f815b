"""Serving until SIGINT or SIGTERM, in one process or several; `serve` and `demo` share it."""

import contextlib
import logging
import os
import resource
from collections.abc import Callable
from importlib import metadata
from typing import Final

from imapvm.server.settings import Listening, Settings

LOG: Final = logging.getLogger(__name__)


def serve_until_stopped(
    settings: Settings,
    ready: Callable[[Listening], None],
    reread: Callable[[], Settings] | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM; a second signal stops at once.

    Args:
        settings: of the server.
        ready: called when all listeners are open, and again after a reload.
        reread: reads the settings again, for SIGHUP; None: SIGHUP keeps its default effect.

    Returns:
        The exit code: not 0 if a process of several could not start.
    """
    _raise_descriptor_limit()
    facts = {"version": metadata.version("imapvm"), "pid": os.getpid()}
    is_ready = False

    def log_ready(listening: Listening) -> None:
        nonlocal is_ready
        if not is_ready:  # after a reload the master logs it
            is_ready = True
            LOG.info("server ready", extra={**facts, "workers": settings.workers, **listening.all})
        ready(listening)

    try:
        return _serve(settings, log_ready, reread)
    finally:
        if is_ready:  # else the reason of the failure is the only line
            LOG.info("server stopped", extra=facts)


def _serve(
    settings: Settings,
    ready: Callable[[Listening], None],
    reread: Callable[[], Settings] | None,
) -> int:
    if settings.workers:
        from imapvm.ops.serving.workers import serve_with_workers

        return serve_with_workers(settings, ready, reread)
    # Imports Trio and LMDB, which a master must not load.
    from imapvm.ops.serving.alone import serve_alone

    serve_alone(settings, ready, reload=reread is not None)
    return 0


def _raise_descriptor_limit() -> None:
    """Raise the limit of open files to its maximum: each connection needs a descriptor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # the current limit stays
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
