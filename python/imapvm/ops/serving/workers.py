"""Serving with several processes (`workers` > 0): this process is their master.

Configuration, certificate, filepool, spool and addresses are checked before a process is started,
so that errors read as they do with one process.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from imapvm.filepool.errors import FilepoolError
from imapvm.filepool.format import read_format
from imapvm.intake.spool.layout import SpoolError, create_spool
from imapvm.ops.errors import OperatorError
from imapvm.ops.serving.systemd import notify
from imapvm.server.net.tls_context import load, server_context
from imapvm.server.settings import Listening, Settings, SettingsError
from imapvm.server.supervisor.launcher import Launcher
from imapvm.server.supervisor.master import Master, ReloadRefused

FIXED: Final = {
    "filepool": "filepool",
    "spool": "spool",
    "imap": "listen.imap",
    "imaps": "listen.imaps",
    "lmtp": "listen.lmtp",
    "workers": "workers",
}
"""Settings that a reload cannot change, and their keys in the configuration file."""


def serve_with_workers(
    settings: Settings,
    ready: Callable[[Listening], None],
    reread: Callable[[], Settings] | None,
) -> int:
    """Run the master; see `imapvm.ops.serving.run.serve_until_stopped`.

    Raises:
        SettingsError, CertificateError, FilepoolError, SpoolError, OSError: the server cannot run
            with these settings.
    """
    _check(settings)
    launcher = Launcher(settings)

    master = Master(
        settings,
        launcher,
        _Observer(launcher, ready),
        None if reread is None else partial(_reread, reread, settings),
        intake=settings.spool is not None or launcher.has_lmtp,
    )
    try:
        return master.run()
    finally:
        launcher.close()


def _reread(reread: Callable[[], Settings], settings: Settings) -> Settings:
    """Return the settings as they are now.

    Raises:
        ReloadRefused: they are wrong, or cannot be changed without a restart.
    """
    try:
        changed = reread()
        _check(changed)
    except (OperatorError, SettingsError, FilepoolError, SpoolError, OSError) as error:
        raise ReloadRefused(str(error)) from error
    for name, key in FIXED.items():
        if getattr(changed, name) != getattr(settings, name):
            raise ReloadRefused(f"cannot change {key} without a restart")
    return changed


class _Observer:
    """Observer of the master that notifies systemd and calls `ready`."""

    def __init__(self, launcher: Launcher, ready: Callable[[Listening], None]) -> None:
        self._launcher = launcher
        self._ready = ready

    def ready(self) -> None:
        self._ready(self._launcher.addresses())

    def reloading(self) -> None:
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        notify("STOPPING=1")


def _check(settings: Settings) -> None:
    """Check settings, certificate, filepool format and spool, without Trio and LMDB.

    Raises:
        SettingsError, CertificateError, FilepoolError, SpoolError, OSError: the server cannot run
            with them.
    """
    settings.check()
    if settings.certificate is not None and settings.key is not None:
        load(server_context(), settings.certificate, settings.key)
    read_format(settings.filepool)
    if settings.spool is not None:
        create_spool(settings.spool)
