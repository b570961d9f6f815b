"""Warnings at start: settings that are accepted but probably not intended."""

import logging
import re
import shutil
from pathlib import Path
from typing import Final

from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.server.settings import Settings

LOG: Final = logging.getLogger(__name__)

_LABEL: Final = r"[A-Za-z0-9_\u0080-\U0010ffff](?:[A-Za-z0-9_\u0080-\U0010ffff-]{0,62})"
_DOMAIN: Final = re.compile(rf"(?=.{{1,255}}\Z){_LABEL}(?:\.{_LABEL})*|\[[A-Za-z0-9.:-]+\]")
"""Domain name, in ASCII or Unicode, or address literal (RFC 5321 section 4.1.2)."""


def log_warnings(settings: Settings) -> None:
    """Log a warning for each questionable setting; call it before the filepool is opened.

    The postmaster's account is checked where mail is delivered, with an open filepool.
    """
    _check_filepool(settings.filepool)
    _check_umask()
    _check_delivery(settings.delivery)


def _check_filepool(path: Path) -> None:
    try:
        mode = path.stat().st_mode & 0o7777
    except OSError:
        return  # reported as an error when it is opened
    if mode & 0o077:
        LOG.warning(
            "filepool was accessible to other users; its mode is set to 0700",
            extra={"path": str(path), "mode": f"{mode:04o}"},
        )


def _check_umask() -> None:
    """Warn if this process could not use its own files, or if others could change them."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^Umask:\s*([0-7]+)$", status, re.MULTILINE)
    if found is None:
        return
    umask = int(found[1], 8)
    if umask & 0o700 or umask & 0o022 != 0o022:
        LOG.warning("unsafe umask; use 0077", extra={"umask": f"{umask:04o}"})


def _check_delivery(settings: DeliverySettings) -> None:
    for domain in settings.domains:
        if not _DOMAIN.fullmatch(domain):
            LOG.warning("delivery.domains has an entry that is no domain", extra={"entry": domain})
    if settings.unknown == "bounce" and shutil.which(settings.sendmail[0]) is None:
        LOG.warning(
            "delivery.sendmail does not exist or is not executable",
            extra={"command": settings.sendmail[0]},
        )
