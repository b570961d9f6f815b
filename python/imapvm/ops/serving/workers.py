"""`imapvm serve` with several processes: this one is their master.

What is wrong with the configuration, the certificate, the filepool or an address is said here, in
the words in which one process says it, and before anything is started.
"""

import time
from typing import TYPE_CHECKING, Final

from imapvm.filepool.engine.format import read_format
from imapvm.filepool.errors import FilepoolError
from imapvm.ops.errors import OperatorError
from imapvm.ops.serving.systemd import notify
from imapvm.server.net.tls_context import load, server_context
from imapvm.server.settings import SettingsError
from imapvm.server.supervisor.launcher import Launcher
from imapvm.server.supervisor.master import Master, ReloadRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from imapvm.server.settings import Listening, Settings

FIXED: Final = ("filepool", "spool", "imap", "imaps", "lmtp", "workers")
"""What a server cannot change while it runs."""


def serve_with_workers(
    settings: "Settings",
    ready: "Callable[[Listening], None]",
    reread: "Callable[[], Settings] | None",
) -> int:
    """Be the master; see `imapvm.ops.serving.run.serve_until_stopped`.

    Raises:
        SettingsError, CertificateError, FilepoolError: it cannot be served like this.
    """
    _check(settings)
    launcher = Launcher(settings)

    def read() -> "Settings":
        assert reread is not None
        try:
            found = reread()
            _check(found)
        except (OperatorError, SettingsError, FilepoolError) as mistake:
            raise ReloadRefused(str(mistake)) from mistake
        for name in FIXED:
            if getattr(found, name) != getattr(settings, name):
                raise ReloadRefused(f"{name} has changed, which needs a restart")
        return found

    master = Master(
        settings,
        launcher,
        _Observer(launcher, ready),
        None if reread is None else read,
        intake=settings.spool is not None or launcher.has_lmtp,
    )
    try:
        return master.run()
    finally:
        launcher.close()


class _Observer:
    """Tells systemd how it goes, and whoever wanted to know when all is ready."""

    def __init__(self, launcher: Launcher, ready: "Callable[[Listening], None]") -> None:
        self._launcher = launcher
        self._ready = ready

    def ready(self) -> None:
        self._ready(self._launcher.addresses())

    def reloading(self) -> None:
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        notify("STOPPING=1")


def _check(settings: "Settings") -> None:
    """Say what cannot work.

    Raises:
        SettingsError, CertificateError, FilepoolError: with one sentence.
    """
    settings.check()
    if settings.certificate is not None and settings.key is not None:
        load(server_context(), settings.certificate, settings.key)
    read_format(settings.filepool)
