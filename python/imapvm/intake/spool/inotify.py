"""Detection of new files: inotify, and a scan of the directory where inotify may fail.

The kernel drops inotify events when 16,384 are queued, network file systems send none, and the
directory may be removed and created again. In all these cases `InotifyWatcher.wait` returns None,
which asks for a scan. A scan that finds no new file is cheap.
"""

import logging
import os
from pathlib import Path
from typing import Any, Final

import trio
from inotify_simple import INotify, flags, parse_events

from imapvm.intake.spool.directory import is_mail

log = logging.getLogger(__name__)

RESCAN_SECONDS: Final = 30
"""Longest delay of a message whose event was lost."""
POLL_SECONDS: Final = 1
"""The same without inotify."""

EVENT_BYTES: Final = 16 * 1024
"""One read of events: about 300. The kernel queues up to 16,384."""

_ARRIVED: Final = flags.MOVED_TO | flags.CLOSE_WRITE
_WATCHED: Final = _ARRIVED | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR | flags.EXCL_UNLINK
_GONE: Final = flags.IGNORED | flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT


class InotifyWatcher:
    """Watch on one directory for complete files, active from construction to `close`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._inotify: Any = None
        self._watch()

    def close(self) -> None:
        """Remove the watch."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    async def wait(self) -> set[str] | None:
        """Wait for files; return their names, or None if the directory has to be scanned."""
        if self._inotify is None:
            await trio.sleep(POLL_SECONDS)
            self._watch()
            return None
        with trio.move_on_after(RESCAN_SECONDS):
            await trio.lowlevel.wait_readable(self._inotify.fd)
            # A part of the queue, so that the work between two waits is bounded.
            return self.interpret(parse_events(os.read(self._inotify.fd, EVENT_BYTES)))
        return None

    def interpret(self, events: list[Any]) -> set[str] | None:
        """Return the file names in some events, or None as `wait`."""
        names: set[str] = set()
        complete = True
        for event in events:
            if event.mask & flags.Q_OVERFLOW:
                log.info("inotify events lost, scanning", extra={"directory": str(self._directory)})
                complete = False
            elif event.mask & _GONE:
                complete = False
                if self._inotify is not None:
                    self._watch()
            elif event.mask & _ARRIVED and is_mail(event.name):
                names.add(event.name)
        return names if complete else None

    def _watch(self) -> None:
        """Replace the watch. Creates the directory if it does not exist."""
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
                "inotify unavailable, scanning every second",
                extra={"directory": str(self._directory), "error": str(error)},
            )
