"""Configuration file: typed TOML; errors name file, line and key.

`config/imapvm.toml` describes each key; a test keeps its values equal to the defaults here.
"""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec

from imapvm.intake.delivery_settings import SENDMAIL, OverQuota, UnknownRecipient
from imapvm.model.limits import CONNECTIONS_PER_PEER_MAX, REMEMBERED_EXPUNGES_MAX
from imapvm.model.quota import ANNOTATION_STORAGE, LIMIT_MAX, MAILBOX, MESSAGE, STORAGE
from imapvm.ops.config.toml_lines import lines_of_keys
from imapvm.ops.errors import CONFIGURATION, ConfigError, OperatorError
from imapvm.server.settings import RELOAD_SECONDS, LogFormat, LogLevel, Plaintext

CONFIG_MAX = 1024 * 1024
"""Size limit of a configuration file in bytes."""

Key = tuple[str, ...]
Text = Annotated[str, msgspec.Meta(max_length=1024)]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Table of the file. Unknown keys are checked separately, to suggest the right one."""


class ListenTable(Table, frozen=True):
    """Addresses to listen on."""

    imap: tuple[str, ...] = ("127.0.0.1:143",)
    imaps: tuple[str, ...] = ()
    lmtp: tuple[str, ...] = ()


class TlsTable(Table, frozen=True):
    """Certificate and key, in PEM."""

    certificate: str = ""
    key: str = ""


class LoginTable(Table, frozen=True):
    """Authentication."""

    plaintext: Plaintext = "loopback"
    administrators: tuple[str, ...] = ()


class LimitsTable(Table, frozen=True):
    """Limits that depend on the site; all others are in `model/limits.py`."""

    connections_per_peer: Annotated[int, msgspec.Meta(ge=1)] = CONNECTIONS_PER_PEER_MAX
    reload_seconds: Annotated[int, msgspec.Meta(ge=0)] = RELOAD_SECONDS
    remembered_expunges: Annotated[int, msgspec.Meta(ge=10_000)] = REMEMBERED_EXPUNGES_MAX
    messages_per_command: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] = 0
    saved_per_command: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] = 0


class ClientTable(Table, frozen=True):
    """Rule for a mail program."""

    name: str
    disabled: tuple[str, ...]
    version: str = "*"


class CapabilitiesTable(Table, frozen=True):
    """Capabilities that are not offered to all clients, or to some."""

    disabled: tuple[str, ...] = ()
    shipped_rules: bool = True
    clients: tuple[ClientTable, ...] = ()


class QuotaTable(Table, frozen=True):
    """Default limits of each user; 0: no limit."""

    storage_mib: Annotated[int, msgspec.Meta(ge=0, le=LIMIT_MAX // 1024)] = 0
    messages: Annotated[int, msgspec.Meta(ge=0, le=LIMIT_MAX)] = 0
    mailboxes: Annotated[int, msgspec.Meta(ge=0, le=LIMIT_MAX)] = 0
    annotation_storage_kib: Annotated[int, msgspec.Meta(ge=0, le=LIMIT_MAX)] = 0

    def limits(self) -> dict[str, int]:
        """Return the limits, in units of each resource."""
        values = {
            STORAGE: self.storage_mib * 1024,
            MESSAGE: self.messages,
            MAILBOX: self.mailboxes,
            ANNOTATION_STORAGE: self.annotation_storage_kib,
        }
        return {resource: limit for resource, limit in values.items() if limit}


class AnnotationsTable(Table, frozen=True):
    """Shared annotations of the server, which mail programs may show (RFC 5464)."""

    comment: Text = ""
    admin: Text = ""


class DeliveryTable(Table, frozen=True):
    """Rules that map addresses to users, and the treatment of unknown recipients."""

    domains: tuple[str, ...] = ()
    detail_delimiter: Annotated[str, msgspec.Meta(max_length=1)] = "+"
    detail_mailboxes: bool = False
    postmaster: str = ""
    unknown: UnknownRecipient = "hold"
    over_quota: OverQuota = "defer"
    sendmail: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = SENDMAIL


class LogTable(Table, frozen=True):
    """Events on standard error."""

    format: LogFormat = "text"
    level: LogLevel = "info"


class Config(Table, frozen=True):
    """Contents of the file."""

    filepool: str = "/var/lib/imapvm/filepool"
    spool: str = "/var/spool/imapvm"
    hostname: str = ""
    workers: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0
    listen: ListenTable = ListenTable()
    tls: TlsTable = TlsTable()
    login: LoginTable = LoginTable()
    limits: LimitsTable = LimitsTable()
    capabilities: CapabilitiesTable = CapabilitiesTable()
    quota: QuotaTable = QuotaTable()
    annotations: AnnotationsTable = AnnotationsTable()
    delivery: DeliveryTable = DeliveryTable()
    log: LogTable = LogTable()


class ConfigFile:
    """Configuration with the line numbers of its keys, for errors that are found later."""

    def __init__(self, path: Path, text: str) -> None:
        """Parse `text`, the contents of `path`.

        Raises:
            ConfigError: not TOML, or a key or a value is wrong.
        """
        self.path = path
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            reason, line = _toml_error(str(error), text)
            raise ConfigError(str(path), line, None, reason) from None
        self._lines = lines_of_keys(text)
        self._refuse_unknown(values, Config, ())
        try:
            self.config = msgspec.convert(values, Config, strict=True)
        except msgspec.ValidationError as error:
            reason, _, where = str(error).partition(" - at `")
            key = _key_of(where.rstrip("`"))
            raise self.error(key, _plain(reason) + _choices(key, reason)) from None

    def error(self, key: Key, reason: str) -> ConfigError:
        """Return an error about a key, with its line or, if it is absent, that of its table."""
        candidates = (
            line
            for length in range(len(key), 0, -1)
            for written, line in self._lines.items()
            if written[:length] == key[:length]
        )
        line = next(candidates, None)
        return ConfigError(str(self.path), line, ".".join(key), reason)

    def path_of(self, written: str) -> Path:
        """Return a path in the file; relative paths start at the directory of the file."""
        return self.path.parent / written

    def _refuse_unknown(self, values: dict[str, Any], table: type[Table], above: Key) -> None:
        fields = {field.name: field.type for field in msgspec.structs.fields(table)}
        for name, value in values.items():
            kind = fields.get(name)
            if kind is None:
                near = _elsewhere(name) or difflib.get_close_matches(name, fields, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise self.error((*above, name), f"unknown key{hint}")
            if isinstance(kind, type) and issubclass(kind, Table) and isinstance(value, dict):
                self._refuse_unknown(value, kind, (*above, name))
            for row in get_args(kind)[:1]:  # of an array of tables
                if isinstance(row, type) and issubclass(row, Table) and isinstance(value, list):
                    for each in value:
                        if isinstance(each, dict):
                            self._refuse_unknown(each, row, (*above, name))


def read_config(path: Path) -> ConfigFile:
    """Read a configuration file.

    Raises:
        OperatorError: the file cannot be read.
        ConfigError: the file is wrong.
    """
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_MAX + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OperatorError(f"cannot read {path}: {reason}", CONFIGURATION) from None
    if len(data) > CONFIG_MAX:
        raise OperatorError(f"cannot read {path}: larger than {CONFIG_MAX} bytes", CONFIGURATION)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), line, None, "not UTF-8") from None
    return ConfigFile(path, text)


def _elsewhere(name: str) -> list[str]:
    """Return the full key for a name that belongs to another table."""
    for field in msgspec.structs.fields(Config):
        kind = field.type
        if isinstance(kind, type) and issubclass(kind, Table):
            for inner in msgspec.structs.fields(kind):
                if inner.name == name:
                    return [f"{field.name}.{name}"]
    return []


def _toml_error(text: str, source: str) -> tuple[str, int]:
    """Return the reason and the line of an error of `tomllib`; "end of document" is a line, too."""
    if place := re.search(r" \(at line (\d+), column (\d+)\)$", text):
        return f"column {place[2]}: {text[: place.start()]}", int(place[1])
    return text.replace(" (at end of document)", ""), source.count("\n") + 1


def _key_of(where: str) -> Key:
    """Return the key of a path of msgspec: `$.listen.imap[2]` is the key listen.imap."""
    return tuple(re.sub(r"\[[^]]*\]", "", where).removeprefix("$").strip(".").split("."))


def _choices(key: Key, reason: str) -> str:
    """Return the accepted values, if the error is that the value is not one of them."""
    if not reason.startswith("Invalid enum value"):
        return ""
    kind: Any = Config
    for part in key:
        kind = next(f.type for f in msgspec.structs.fields(kind) if f.name == part)
    return f" (choose from {', '.join(get_args(kind))})"


def _plain(reason: str) -> str:
    """Return an error of msgspec in the terms of TOML."""
    for theirs, ours in {
        "Expected": "expected",
        "`str`": "a string",
        "`int`": "an integer",
        "`bool`": "true or false",
        "`array`": "an array",
        "`object`": "a table",
        "`float`": "a float",
        "Invalid enum value": "invalid value",
    }.items():
        reason = reason.replace(theirs, ours)
    return reason
