"""Serving in one process (`workers = 0`)."""

import logging
import signal
from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from imapvm.ops.serving.systemd import notify
from imapvm.server.net.tls import TlsServer
from imapvm.server.roles import serve, tls_of
from imapvm.server.settings import CertificateError, Listening, Settings

LOG: Final = logging.getLogger(__name__)


def serve_alone(settings: Settings, ready: Callable[[Listening], None], *, reload: bool) -> None:
    """Serve in this process until SIGINT or SIGTERM.

    Args:
        settings: of the server; `workers` is ignored.
        ready: called when all listeners are open.
        reload: whether SIGHUP reloads certificate and key.

    Raises:
        SettingsError, CertificateError, FilepoolError: the server cannot run.
    """

    async def run() -> None:
        settings.check()
        tls = tls_of(settings)
        async with trio.open_nursery() as nursery:
            await nursery.start(_receive_signals, nursery.cancel_scope, tls, reload)
            ready(await nursery.start(partial(serve, settings, tls=tls)))

    trio.run(run)


async def _receive_signals(
    serving: trio.CancelScope,
    tls: TlsServer | None,
    reload: bool,  # noqa: FBT001  # nurseries pass by position
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    """Stop serving at SIGINT or SIGTERM; reload certificate and key at SIGHUP."""
    handled = {signal.SIGINT, signal.SIGTERM, *({signal.SIGHUP} if reload else ())}
    with trio.open_signal_receiver(*handled) as signals:
        task_status.started()
        async for number in signals:
            if number != signal.SIGHUP:
                break
            _reload_certificate(tls)
    LOG.info("server stopping", extra={"signal": signal.Signals(number).name})
    notify("STOPPING=1")
    serving.cancel()


def _reload_certificate(tls: TlsServer | None) -> None:
    if tls is None:
        LOG.info("no certificate to reload")
        return
    try:
        tls.reload()
    except CertificateError as error:
        LOG.error("reload failed; keeping the current certificate", extra={"reason": str(error)})
    else:
        LOG.info("certificate reloaded")
