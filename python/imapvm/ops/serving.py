"""`imapvm serve`: the daemon. What it shares with the demonstration is `serve_until_stopped`."""

import argparse
import contextlib
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from imapvm.ops.notify import notify

if TYPE_CHECKING:
    from collections.abc import Callable

    from imapvm.server.settings import Listening, Settings


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb."""
    serve = verbs.add_parser(
        "serve",
        help="serve as a configuration says, until SIGTERM",
        description="Serve as a configuration says, until SIGTERM or SIGINT. Stays in the"
        " foreground, logs to standard error, and tells systemd when it is ready.",
    )
    serve.add_argument(
        "--config", metavar="FILE", type=Path, required=True, help="see config/imapvm.toml"
    )
    serve.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read the configuration, serve, and end cleanly."""
    from imapvm.ops import logs
    from imapvm.ops.config import read_config
    from imapvm.ops.settings import settings_of

    file = read_config(arguments.config)
    settings = settings_of(file)
    logs.configure(style=file.config.log.format, level=file.config.log.level)
    serve_until_stopped(settings, lambda _: notify("READY=1"))
    return 0


def serve_until_stopped(settings: "Settings", ready: "Callable[[Listening], None]") -> None:
    """Serve until SIGINT or SIGTERM; both end it cleanly, a second one at once.

    Args:
        settings: for the server.
        ready: called once everything listens.
    """
    import trio

    from imapvm.server.roles import serve

    _raise_descriptor_limit()

    async def stop_on_signal(
        nursery: trio.Nursery, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                break
        notify("STOPPING=1")
        nursery.cancel_scope.cancel()

    async def served() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(stop_on_signal, nursery)
            ready(await nursery.start(serve, settings))

    trio.run(served)


def _raise_descriptor_limit() -> None:
    """A connection needs a descriptor: take as many as the machine allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # what we have will do, then
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
