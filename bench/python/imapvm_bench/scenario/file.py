"""Scenario files in TOML. Every error is reported with file and key.

The format is described in bench/README.md. The built-in scenarios are files in `builtin/`.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Final, cast

from imapvm_bench.corpus.shapes import SHAPES
from imapvm_bench.errors import BenchError, ExitStatus
from imapvm_bench.scenario.model import (
    METRICS,
    Entry,
    Messages,
    Metric,
    Needs,
    Protocol,
    Scenario,
    ScenarioCommand,
)
from imapvm_bench.scenario.template import TemplateError, uses
from imapvm_bench.scenario.toml_table import TomlErrors, TomlTable

CONNECTIONS_MAX: Final = 1_000_000
PIPELINE_MAX: Final = 1000
SIZE_MAX: Final = 64 * 1024 * 1024
"""Bytes of one message; larger than servers accept."""
MESSAGES_MAX: Final = 100_000


class ScenarioError(BenchError):
    """Errors of a scenario file, one line each, with file and key."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors), ExitStatus.USAGE)
        self.errors = tuple(errors)


def names() -> list[str]:
    """Return the names of the built-in scenarios."""
    folder = files("imapvm_bench.scenario") / "builtin"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name[-5:] == ".toml")


def text_of(name: str) -> str:
    """Return the text of a built-in scenario.

    Raises:
        BenchError: unknown name.
    """
    if name not in names():
        raise BenchError(
            f"unknown scenario {name!r}: use one of {', '.join(names())}, or the path of a file"
            " that ends with .toml",
            ExitStatus.USAGE,
        )
    return (files("imapvm_bench.scenario") / "builtin" / f"{name}.toml").read_text()


def load(name_or_path: str) -> Scenario:
    """Return a scenario by its name, or from a file (a path with a slash, or ending with .toml).

    Raises:
        BenchError: unknown name, or the file cannot be read.
        ScenarioError: the file has errors.
    """
    if "/" not in name_or_path and not name_or_path.endswith(".toml"):
        return read(text_of(name_or_path), f"{name_or_path}.toml", name_or_path)
    path = Path(name_or_path)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BenchError(f"cannot read {path}: {reason}", ExitStatus.USAGE) from None
    return read(text, str(path), path.stem)


def read(text: str, file: str, name: str) -> Scenario:
    """Read a scenario from TOML.

    Args:
        text: content of the file.
        file: name of the file, for errors.
        name: name of the scenario.

    Raises:
        ScenarioError: all errors of the file.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([f"{file}: not TOML: {error}"]) from None
    errors = TomlErrors(file)
    scenario = _scenario(TomlTable(document, "", errors), name)
    if errors.found:
        raise ScenarioError(errors.found)
    return scenario


def _scenario(table: TomlTable, name: str) -> Scenario:
    protocol = cast("Protocol", table.choice("protocol", ("imap", "lmtp"), "imap"))
    scenario = Scenario(
        name=name,
        about=table.text("about", required=True),
        protocol=protocol,
        connections=table.integer("connections", 16, low=1, high=CONNECTIONS_MAX),
        pipeline=table.integer("pipeline", 1, low=1, high=PIPELINE_MAX),
        reconnect=table.boolean("reconnect", default=False),
        measure=cast("Metric", table.choice("measure", METRICS, "commands/s")),
        login=_commands(table, "login", protocol),
        setup=_commands(table, "setup", protocol),
        messages=_messages(table.table("messages")),
        needs=_needs(table.table("needs")),
        mix=tuple(_entries(table, protocol)),
    )
    table.nothing_else()
    if scenario.pipeline > 1 and any(c.answer == "idle" for e in scenario.mix for c in e.commands):
        table.wrong("pipeline", "must be 1 in a mix with IDLE: nothing may follow IDLE before DONE")
    if scenario.reconnect and scenario.pipeline > 1:
        table.wrong("pipeline", "must be 1 with reconnect = true: every entry is a connection")
    _check_placeholders(table, scenario)
    return scenario


def _check_placeholders(table: TomlTable, scenario: Scenario) -> None:
    """Refuse `{data}` in IMAP, IMAP placeholders in LMTP, and `{exists}` without SELECT."""
    imap = scenario.protocol == "imap"
    for command in scenario.commands():
        if imap and uses(command.parts, "data"):
            table.wrong("mix", "{data} is for LMTP; use {message} for IMAP")
        if not imap and uses(command.parts, "message", "exists", "random_message", "random_range"):
            table.wrong("mix", "{message} and {exists} are for IMAP; use {data} for LMTP")
    for command in scenario.commands():
        is_data = command.parts[0].get("text", "") in {"DATA", "DATA "}
        if not imap and is_data != ("data" in command.parts[-1]):
            table.wrong("mix", 'DATA needs {data}, and {data} needs DATA: write "DATA {data}"')
    numbers = any(
        uses(c.parts, "exists", "random_message", "random_range") for c in scenario.commands()
    )
    selects = any(c.label in {"SELECT", "EXAMINE"} or _selects(c) for c in scenario.commands())
    if imap and numbers and not selects:
        table.wrong("setup", "needs a SELECT for {exists} and random messages")


def _selects(command: ScenarioCommand) -> bool:
    first = command.parts[0].get("text") if command.parts else None
    return isinstance(first, str) and first.upper().startswith(("SELECT ", "EXAMINE "))


def _entries(table: TomlTable, protocol: Protocol) -> Iterator[Entry]:
    entries = table.tables("mix", required=True)
    taken: set[str] = set()
    for number, entry in enumerate(entries, 1):
        commands = _commands(entry, "commands", protocol, required=True)
        name = entry.text("name") or (commands[0].label if commands else f"entry {number}")
        if name in taken:
            entry.wrong("name", f"duplicate name {name!r}")
        taken.add(name)
        yield Entry(
            name=name,
            commands=commands,
            weight=entry.number("weight", 1.0, above=0.0),
            think_ms=entry.span("think_ms", (0, 0), high=3_600_000),
        )
        entry.nothing_else()


def _commands(
    table: TomlTable, key: str, protocol: Protocol, *, required: bool = False
) -> tuple[ScenarioCommand, ...]:
    made = []
    for place, value in table.array(key, required=required):
        if isinstance(value, str):
            value = {"send": value}
        if not isinstance(value, dict):
            table.errors.add(
                place, "must be a string, or a table with send, label, hold_ms, may_fail"
            )
            continue
        details = TomlTable(value, place, table.errors)
        send = details.text("send", required=True)
        label = details.text("label") or None
        hold_ms = details.integer("hold_ms", 0, low=0, high=3_600_000)
        may_fail = details.boolean("may_fail", default=False)
        details.nothing_else()
        if not send:
            continue
        try:
            command = ScenarioCommand.of(send, label=label, protocol=protocol)
        except TemplateError as error:
            details.wrong("send", str(error))
            continue
        if hold_ms and command.answer != "idle":
            details.wrong("hold_ms", "only for IDLE")
        made.append(replace(command, hold_ms=hold_ms, may_fail=may_fail))
    return tuple(made)


def _messages(table: TomlTable | None) -> Messages:
    if table is None:
        return Messages()
    plain = Messages()
    shapes = table.texts("shapes", plain.shapes)
    for shape in shapes:
        if shape not in SHAPES:
            table.wrong("shapes", f"unknown shape {shape!r}: use {', '.join(SHAPES)}")
    messages = Messages(
        count=table.integer("count", plain.count, low=1, high=MESSAGES_MAX),
        sizes=table.integers("sizes", plain.sizes, low=1, high=SIZE_MAX),
        shapes=shapes,
        seed=table.integer("seed", plain.seed, low=0, high=2**63 - 1),
    )
    table.nothing_else()
    return messages


def _needs(table: TomlTable | None) -> Needs | None:
    if table is None:
        return None
    needs = Needs(
        mailbox=table.text("mailbox") or "INBOX",
        messages=table.integer("messages", 1, low=0, high=10**9),
    )
    table.nothing_else()
    return needs
