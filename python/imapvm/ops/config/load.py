"""Conversion of a configuration file into `Settings`, with the checks that need no server."""

import re
import socket
from pathlib import Path

import msgspec

from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.ops.config.file import ConfigFile, LimitsTable, read_config
from imapvm.ops.errors import CONFIGURATION, OperatorError
from imapvm.server.settings import Settings, SettingsError
from imapvm.session.client_rules import ClientRule
from imapvm.session.syntax import CapabilityNameError, checked_names

MESSAGE_LIMIT_LEAST = 1000
"""Least MESSAGELIMIT and SAVELIMIT (RFC 9738 section 3)."""
_TCP = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[^\s:\[\]/]+):([0-9]{1,5})")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+\Z")
_UNIX = re.compile(r"unix:/.+")


def load_settings(path: Path) -> Settings:
    """Read a configuration file and return the settings in it.

    Raises:
        ConfigError: the file or a value in it is wrong; names file, line and key.
        OperatorError: the values do not fit together.
    """
    return settings_from(read_config(path))


def settings_from(file: ConfigFile) -> Settings:
    """Return the settings in a configuration file.

    Raises:
        ConfigError: a value is wrong; names file, line and key.
        OperatorError: the values do not fit together.
    """
    config = file.config
    for kind in ("imap", "imaps", "lmtp"):
        for address in getattr(config.listen, kind):
            if reason := _address_error(address):
                raise file.error(("listen", kind), reason)
    for name in ("certificate", "key"):
        written = getattr(config.tls, name)
        if written and (reason := _file_error(file.path_of(written))):
            raise file.error(("tls", name), reason)
    if bool(config.tls.certificate) != bool(config.tls.key):
        missing = "key" if config.tls.certificate else "certificate"
        raise file.error(("tls", missing), "tls.certificate and tls.key must be set together")
    if config.listen.imaps and not config.tls.certificate:
        raise file.error(("listen", "imaps"), "requires tls.certificate and tls.key")
    for key, names in (
        ("disabled", config.capabilities.disabled),
        ("clients", [name for rule in config.capabilities.clients for name in rule.disabled]),
    ):
        try:
            checked_names(names)
        except CapabilityNameError as error:
            raise file.error(("capabilities", key), str(error)) from None
    if config.annotations.admin and _URI.match(config.annotations.admin) is None:
        text = f'"{config.annotations.admin}" is not a URI as mailto:postmaster@example.org'
        raise file.error(("annotations", "admin"), text)
    _check_message_limits(file, config.limits)
    settings = Settings(
        filepool=file.path_of(config.filepool),
        spool=file.path_of(config.spool) if config.spool else None,
        imap=config.listen.imap,
        imaps=config.listen.imaps,
        lmtp=config.listen.lmtp,
        certificate=file.path_of(config.tls.certificate) if config.tls.certificate else None,
        key=file.path_of(config.tls.key) if config.tls.key else None,
        plaintext=config.login.plaintext,
        administrators=config.login.administrators,
        connections_per_peer=config.limits.connections_per_peer,
        remembered_expunges=config.limits.remembered_expunges,
        messages_per_command=config.limits.messages_per_command,
        saved_per_command=config.limits.saved_per_command,
        reload_seconds=config.limits.reload_seconds,
        disabled_capabilities=config.capabilities.disabled,
        client_rules=tuple(
            ClientRule(**msgspec.structs.asdict(rule)) for rule in config.capabilities.clients
        ),
        shipped_rules=config.capabilities.shipped_rules,
        comment=config.annotations.comment,
        admin=config.annotations.admin,
        workers=config.workers,
        quota=config.quota.limits(),
        delivery=DeliverySettings(
            hostname=config.hostname or socket.gethostname(),
            **msgspec.structs.asdict(config.delivery),
        ),
        log_format=config.log.format,
        log_level=config.log.level,
    )
    try:
        settings.check()
    except SettingsError as error:
        raise OperatorError(f"{file.path}: {error}", CONFIGURATION) from None
    return settings


def _address_error(address: str) -> str | None:
    if _UNIX.fullmatch(address):
        return None
    tcp = _TCP.fullmatch(address)
    if tcp is None:
        return f'"{address}" is not "HOST:PORT", "[IPv6 address]:PORT" or "unix:/path"'
    if int(tcp[1]) > 65535:
        return f'"{address}": port number is greater than 65535'
    return None


def _file_error(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"cannot read {path}: {(error.strerror or str(error)).lower()}"
    return None


def _check_message_limits(file: ConfigFile, limits: LimitsTable) -> None:
    """Check MESSAGELIMIT and SAVELIMIT: one of them, and not below 1000 (RFC 9738 section 3)."""
    for name in ("messages_per_command", "saved_per_command"):
        if 0 < getattr(limits, name) < MESSAGE_LIMIT_LEAST:
            raise file.error(("limits", name), f"is below {MESSAGE_LIMIT_LEAST}")
    if limits.messages_per_command and limits.saved_per_command:
        raise file.error(("limits", "saved_per_command"), "is set beside messages_per_command")
