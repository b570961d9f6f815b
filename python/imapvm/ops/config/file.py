"""The configuration file: TOML, typed, and every mistake named by file, line and key.

`config/imapvm.toml` explains each key; a test keeps its values equal to the defaults here.
"""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec

from imapvm.intake.delivery_settings import SENDMAIL, Unknown
from imapvm.model.limits import CONNECTIONS_PER_PEER_MAX
from imapvm.ops.config.toml_lines import lines_of_keys
from imapvm.ops.errors import ConfigError
from imapvm.server.settings import RELOAD_SECONDS, LogFormat, LogLevel, Plaintext

CONFIG_MAX = 1024 * 1024
"""Octets of a configuration file; a larger one is some other file."""

Key = tuple[str, ...]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the file. Unknown keys are looked for separately, to suggest the right one."""


class Listen(Table, frozen=True):
    """Where connections are awaited."""

    imap: tuple[str, ...] = ("127.0.0.1:143",)
    imaps: tuple[str, ...] = ()
    lmtp: tuple[str, ...] = ()


class Tls(Table, frozen=True):
    """PEM files."""

    certificate: str = ""
    key: str = ""


class Login(Table, frozen=True):
    """How people may prove who they are."""

    plaintext: Plaintext = "loopback"


class Limits(Table, frozen=True):
    """Bounds that depend on who the users are; all others are in `model/limits.py`."""

    connections_per_peer: Annotated[int, msgspec.Meta(ge=1)] = CONNECTIONS_PER_PEER_MAX
    reload_seconds: Annotated[int, msgspec.Meta(ge=0)] = RELOAD_SECONDS


class Delivery(Table, frozen=True):
    """Which address is whose, and what becomes of mail for nobody."""

    domains: tuple[str, ...] = ()
    detail_delimiter: Annotated[str, msgspec.Meta(max_length=1)] = "+"
    detail_mailboxes: bool = False
    postmaster: str = ""
    unknown: Unknown = "hold"
    sendmail: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = SENDMAIL


class Log(Table, frozen=True):
    """What is told on standard error, and how."""

    format: LogFormat = "text"
    level: LogLevel = "info"


class Config(Table, frozen=True):
    """The whole file."""

    filepool: str = "/var/lib/imapvm/filepool"
    spool: str = "/var/spool/imapvm"
    hostname: str = ""
    workers: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0
    listen: Listen = Listen()
    tls: Tls = Tls()
    login: Login = Login()
    limits: Limits = Limits()
    delivery: Delivery = Delivery()
    log: Log = Log()


class ConfigFile:
    """A configuration that was read, and the places of its keys for mistakes found later."""

    def __init__(self, path: Path, text: str) -> None:
        """Read `text`, which stands in `path`.

        Raises:
            ConfigError: it is not TOML, or a key or a value is wrong.
        """
        self.path = path
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            fault, line = _toml_fault(str(error), text)
            raise ConfigError(str(path), line, None, fault) from None
        self._lines = lines_of_keys(text)
        self._refuse_unknown(values, Config, ())
        try:
            self.config = msgspec.convert(values, Config, strict=True)
        except msgspec.ValidationError as error:
            fault, _, where = str(error).partition(" - at `")
            key = _key_of(where.rstrip("`"))
            raise self.mistake(key, _plain(fault) + _choices(key, fault)) from None

    def mistake(self, key: Key, fault: str) -> ConfigError:
        """An error about a key, at its line, or at the first that is written near it."""
        candidates = (
            line
            for length in range(len(key), 0, -1)
            for written, line in self._lines.items()
            if written[:length] == key[:length]
        )
        line = next(candidates, None)
        return ConfigError(str(self.path), line, ".".join(key), fault)

    def path_of(self, written: str) -> Path:
        """A path of the file; a relative one starts where the file is."""
        return self.path.parent / written

    def _refuse_unknown(self, values: dict[str, Any], table: type[Table], above: Key) -> None:
        fields = {field.name: field.type for field in msgspec.structs.fields(table)}
        for name, value in values.items():
            kind = fields.get(name)
            if kind is None:
                near = _elsewhere(name) or difflib.get_close_matches(name, fields, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise self.mistake((*above, name), f"there is no such key{hint}")
            if isinstance(kind, type) and issubclass(kind, Table) and isinstance(value, dict):
                self._refuse_unknown(value, kind, (*above, name))


def read_config(path: Path) -> ConfigFile:
    """Read a configuration file.

    Raises:
        ConfigError: it cannot be read, or there is a mistake in it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_MAX + 1)
    except FileNotFoundError:
        raise ConfigError(str(path), None, None, "there is no such file") from None
    except OSError as error:
        raise ConfigError(str(path), None, None, f"cannot be read: {error.strerror}") from None
    if len(data) > CONFIG_MAX:
        raise ConfigError(str(path), None, None, f"is longer than {CONFIG_MAX} octets")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), line, None, "is not UTF-8") from None
    return ConfigFile(path, text)


def _elsewhere(name: str) -> list[str]:
    """The full key where a name belongs into another table."""
    for field in msgspec.structs.fields(Config):
        kind = field.type
        if isinstance(kind, type) and issubclass(kind, Table):
            for inner in msgspec.structs.fields(kind):
                if inner.name == name:
                    return [f"{field.name}.{name}"]
    return []


def _toml_fault(text: str, source: str) -> tuple[str, int]:
    """The fault that `tomllib` found, and its line; it says "at end of document" for the last."""
    if place := re.search(r" \(at line (\d+), column (\d+)\)$", text):
        return f"column {place[2]}: {text[: place.start()]}", int(place[1])
    return text.replace(" (at end of document)", ""), source.count("\n") + 1


def _key_of(where: str) -> Key:
    """`$.listen.imap[2]` is the key listen.imap."""
    return tuple(re.sub(r"\[[^]]*\]", "", where).removeprefix("$").strip(".").split("."))


def _choices(key: Key, fault: str) -> str:
    """What could have been written, where the fault is that something else was."""
    if not fault.startswith("Invalid enum value"):
        return ""
    kind: Any = Config
    for part in key:
        kind = next(f.type for f in msgspec.structs.fields(kind) if f.name == part)
    return f" (choose from: {', '.join(get_args(kind))})"


def _plain(fault: str) -> str:
    """What msgspec says, in the words of TOML."""
    for theirs, ours in {
        "Expected": "expected",
        "`str`": "a string",
        "`int`": "a whole number",
        "`bool`": "true or false",
        "`array`": "a list [...]",
        "`object`": "a table",
        "`float`": "a number with a fraction",
        "Invalid enum value": "there is no choice",
    }.items():
        fault = fault.replace(theirs, ours)
    return fault
