"""Hearing of files as they arrive: inotify, with a look at the directory wherever that may fail.

A notice only says where to look. The kernel drops notices when 16,384 wait, network file systems
send none, and a directory may be removed and made again; so `None` ("look yourself") is always a
possible answer, and a scan that finds nothing new costs nothing.
"""

import logging
import os
from pathlib import Path
from typing import Any, Final

import trio
from inotify_simple import INotify, flags

from imapvm.intake.spool.directory import is_mail

log = logging.getLogger(__name__)

RESCAN_SECONDS: Final = 30
"""How long a missed notice can delay a message."""
POLL_SECONDS: Final = 1
"""The same where there is no inotify at all."""

_ARRIVED: Final = flags.MOVED_TO | flags.CLOSE_WRITE
_WATCHED: Final = _ARRIVED | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR | flags.EXCL_UNLINK
_GONE: Final = flags.IGNORED | flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT


class InotifyWatcher:
    """Watches one directory for files that are complete. The watch exists when this does."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._inotify: Any = None
        self._renew()

    def close(self) -> None:
        """Give the watch back."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    async def wait(self) -> set[str] | None:
        """Wait for files; return their names, or None when the directory must be looked at."""
        if self._inotify is None:
            await trio.sleep(POLL_SECONDS)
            self._renew()
            return None
        with trio.move_on_after(RESCAN_SECONDS):
            await trio.lowlevel.wait_readable(self._inotify.fd)
            return self.interpret(self._inotify.read(timeout=0))
        return None

    def interpret(self, events: list[Any]) -> set[str] | None:
        """What a batch of events means; as `wait`."""
        names: set[str] = set()
        complete = True
        for event in events:
            if event.mask & flags.Q_OVERFLOW:
                log.info("more mail than notices", extra={"directory": str(self._directory)})
                complete = False
            elif event.mask & _GONE:
                complete = False
                if self._inotify is not None:
                    self._renew()
            elif event.mask & _ARRIVED and is_mail(event.name):
                names.add(event.name)
        return names if complete else None

    def _renew(self) -> None:
        """Watch the directory anew; it is made again if it is gone."""
        self.close()
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            inotify = INotify(nonblocking=True)
            try:
                inotify.add_watch(os.fspath(self._directory), _WATCHED)
            except OSError:
                inotify.close()
                raise
            self._inotify = inotify
        except OSError as error:
            log.warning(
                "no notices of new mail, looking every second",
                extra={"directory": str(self._directory), "error": str(error)},
            )
