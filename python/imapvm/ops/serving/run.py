"""`imapvm serve`: the daemon. What it shares with the demonstration is `serve_until_stopped`."""

import argparse
import contextlib
import logging
import resource
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imapvm.ops.serving.systemd import notify

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

    from imapvm.server.net.tls import TlsServer
    from imapvm.server.settings import Listening, Settings

LOG: Final = logging.getLogger(__name__)


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb."""
    serve = verbs.add_parser(
        "serve",
        help="serve as a configuration says, until SIGTERM",
        description="Serve as a configuration says, until SIGTERM or SIGINT. Stays in the"
        " foreground, logs to standard error, and tells systemd when it is ready. SIGHUP reads"
        " certificate and key again, and with workers the whole configuration.",
    )
    serve.add_argument(
        "--config", metavar="FILE", type=Path, required=True, help="see config/imapvm.toml"
    )
    serve.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read the configuration, serve, and end cleanly."""
    from imapvm.ops import logs
    from imapvm.ops.config.load import load_settings

    settings = load_settings(arguments.config)
    logs.configure(style=settings.log_format, level=settings.log_level)
    return serve_until_stopped(
        settings, lambda _: notify("READY=1"), partial(load_settings, arguments.config)
    )


def serve_until_stopped(
    settings: "Settings",
    ready: "Callable[[Listening], None]",
    reread: "Callable[[], Settings] | None" = None,
) -> int:
    """Serve until SIGINT or SIGTERM; both end it cleanly, a second one at once.

    Args:
        settings: of the server.
        ready: called once everything listens, and again after a reload.
        reread: reads the settings again when SIGHUP asks for it; None leaves SIGHUP
            what it is.

    Returns:
        The exit code: not 0 where a process of several could not begin.
    """
    _raise_descriptor_limit()
    if settings.workers:
        from imapvm.ops.serving.workers import serve_with_workers

        return serve_with_workers(settings, ready, reread)
    _serve_alone(settings, ready, reload=reread is not None)
    return 0


def _serve_alone(
    settings: "Settings", ready: "Callable[[Listening], None]", *, reload: bool
) -> None:
    import trio

    from imapvm.server.roles import serve, tls_of

    async def served() -> None:
        settings.check()
        tls = tls_of(settings)
        async with trio.open_nursery() as nursery:
            await nursery.start(_take_signals, nursery.cancel_scope, tls, reload)
            ready(await nursery.start(partial(serve, settings, tls=tls)))

    trio.run(served)


async def _take_signals(
    serving: "trio.CancelScope",
    tls: "TlsServer | None",
    reload: bool,  # noqa: FBT001  # nurseries pass by position
    *,
    task_status: "trio.TaskStatus[None]",
) -> None:
    """End at SIGINT or SIGTERM; read certificate and key again at SIGHUP."""
    import trio

    known = {signal.SIGINT, signal.SIGTERM, *({signal.SIGHUP} if reload else ())}
    with trio.open_signal_receiver(*known) as signals:
        task_status.started()
        async for what in signals:
            if what != signal.SIGHUP:
                break
            _reload_certificate(tls)
    notify("STOPPING=1")
    serving.cancel()


def _reload_certificate(tls: "TlsServer | None") -> None:
    from imapvm.server.settings import CertificateError

    if tls is None:
        LOG.info("there is no certificate to reload")
        return
    try:
        tls.reload()
    except CertificateError as fault:
        LOG.error("reload failed; keeping the current certificate", extra={"reason": str(fault)})
    else:
        LOG.info("certificate reloaded")


def _raise_descriptor_limit() -> None:
    """A connection needs a descriptor: take as many as the machine allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # what we have will do, then
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
