"""Scenario files: TOML, read with every mistake named by file and key.

The format is described in bench/README.md; the scenarios that come with the tool are in
`scenarios/` and are read from there like a user's own.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Final, cast

from imapvm_bench.corpus.shapes import SHAPES
from imapvm_bench.errors import BenchError, Status
from imapvm_bench.scenario.model import (
    METRICS,
    Command,
    Entry,
    Messages,
    Metric,
    Needs,
    Protocol,
    Scenario,
)
from imapvm_bench.scenario.template import TemplateError, uses
from imapvm_bench.scenario.toml_table import Table, TomlErrors

CONNECTIONS_MAX: Final = 1_000_000
PIPELINE_MAX: Final = 1000
SIZE_MAX: Final = 64 * 1024 * 1024
"""Of one message: more than servers take."""
MESSAGES_MAX: Final = 100_000


class ScenarioError(BenchError):
    """A scenario file is wrong: one line for each mistake, with the file and the key."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors), Status.USAGE)
        self.errors = tuple(errors)


def names() -> list[str]:
    """Return the names of the scenarios that come with the tool."""
    folder = files("imapvm_bench.scenario") / "builtin"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name[-5:] == ".toml")


def shown(name: str) -> str:
    """Return the text of a scenario that comes with the tool.

    Raises:
        BenchError: there is none of that name.
    """
    if name not in names():
        raise BenchError(
            f"no scenario is called {name!r}: there are {', '.join(names())}, or your own file,"
            " by a path that ends with .toml",
            Status.USAGE,
        )
    return (files("imapvm_bench.scenario") / "builtin" / f"{name}.toml").read_text()


def load(name_or_path: str) -> Scenario:
    """Return a scenario by its name, or from a file (a path with a slash, or ending with .toml).

    Raises:
        BenchError: there is none of that name, or the file cannot be read.
        ScenarioError: it is wrong.
    """
    if "/" not in name_or_path and not name_or_path.endswith(".toml"):
        return read(shown(name_or_path), f"{name_or_path}.toml", name_or_path)
    path = Path(name_or_path)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BenchError(f"{path}: cannot be read: {reason}", Status.USAGE) from None
    return read(text, str(path), path.stem)


def read(text: str, file: str, name: str) -> Scenario:
    """Read a scenario from TOML.

    Args:
        text: the file's.
        file: its name, for errors.
        name: of the scenario.

    Raises:
        ScenarioError: all errors that were found.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([f"{file}: is not TOML: {error}"]) from None
    errors = TomlErrors(file)
    scenario = _scenario(Table(document, "", errors), name)
    if errors.found:
        raise ScenarioError(errors.found)
    return scenario


def _scenario(table: Table, name: str) -> Scenario:
    protocol = cast("Protocol", table.choice("protocol", ("imap", "lmtp"), "imap"))
    scenario = Scenario(
        name=name,
        about=table.text("about", required=True),
        protocol=protocol,
        connections=table.whole("connections", 16, least=1, most=CONNECTIONS_MAX),
        pipeline=table.whole("pipeline", 1, least=1, most=PIPELINE_MAX),
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
        table.wrong("pipeline", "is 1 in a mix with IDLE: nothing may follow IDLE before DONE")
    if scenario.reconnect and scenario.pipeline > 1:
        table.wrong("pipeline", "is 1 where reconnect = true: every entry is a connection")
    _check_placeholders(table, scenario)
    return scenario


def _check_placeholders(table: Table, scenario: Scenario) -> None:
    """Refuse what cannot be answered: `{data}` in IMAP, `{exists}` with nothing selected."""
    imap = scenario.protocol == "imap"
    for command in scenario.commands():
        if imap and uses(command.parts, "data"):
            table.wrong("mix", "{data} is LMTP's; IMAP sends {message}")
        if not imap and uses(command.parts, "message", "exists", "random_message", "random_range"):
            table.wrong("mix", "{message} and {exists} are IMAP's; LMTP sends {data}")
    for command in scenario.commands():
        is_data = command.parts[0].get("text", "") in {"DATA", "DATA "}
        if not imap and is_data != ("data" in command.parts[-1]):
            table.wrong("mix", 'DATA and {data} belong together: "DATA {data}"')
    numbers = any(
        uses(c.parts, "exists", "random_message", "random_range") for c in scenario.commands()
    )
    selects = any(c.label in {"SELECT", "EXAMINE"} or _selects(c) for c in scenario.commands())
    if imap and numbers and not selects:
        table.wrong("setup", "has no SELECT, so nobody can say how many messages {exists}")


def _selects(command: Command) -> bool:
    first = command.parts[0].get("text") if command.parts else None
    return isinstance(first, str) and first.upper().startswith(("SELECT ", "EXAMINE "))


def _entries(table: Table, protocol: Protocol) -> Iterator[Entry]:
    entries = table.tables("mix", required=True)
    taken: set[str] = set()
    for number, entry in enumerate(entries, 1):
        commands = _commands(entry, "commands", protocol, required=True)
        name = entry.text("name") or (commands[0].label if commands else f"entry {number}")
        if name in taken:
            entry.wrong("name", f"is {name!r}, and another entry has that name already")
        taken.add(name)
        yield Entry(
            name=name,
            commands=commands,
            weight=entry.number("weight", 1.0, above=0.0),
            think_ms=entry.span("think_ms", (0, 0), most=3_600_000),
        )
        entry.nothing_else()


def _commands(
    table: Table, key: str, protocol: Protocol, *, required: bool = False
) -> tuple[Command, ...]:
    made = []
    for place, value in table.array(key, required=required):
        if isinstance(value, str):
            value = {"send": value}
        if not isinstance(value, dict):
            table.errors.add(place, "is a text, or a table with send, label, hold_ms, may_fail")
            continue
        details = Table(value, place, table.errors)
        send = details.text("send", required=True)
        label = details.text("label") or None
        hold_ms = details.whole("hold_ms", 0, least=0, most=3_600_000)
        may_fail = details.boolean("may_fail", default=False)
        details.nothing_else()
        if not send:
            continue
        try:
            command = Command.of(send, label=label, protocol=protocol)
        except TemplateError as error:
            details.wrong("send", str(error))
            continue
        if hold_ms and command.answer != "idle":
            details.wrong("hold_ms", "is for IDLE only")
        made.append(replace(command, hold_ms=hold_ms, may_fail=may_fail))
    return tuple(made)


def _messages(table: Table | None) -> Messages:
    if table is None:
        return Messages()
    plain = Messages()
    shapes = table.texts("shapes", plain.shapes)
    for shape in shapes:
        if shape not in SHAPES:
            table.wrong("shapes", f"does not know {shape!r}: there are {', '.join(SHAPES)}")
    messages = Messages(
        count=table.whole("count", plain.count, least=1, most=MESSAGES_MAX),
        sizes=table.wholes("sizes", plain.sizes, least=1, most=SIZE_MAX),
        shapes=shapes,
        seed=table.whole("seed", plain.seed, least=0, most=2**63 - 1),
    )
    table.nothing_else()
    return messages


def _needs(table: Table | None) -> Needs | None:
    if table is None:
        return None
    needs = Needs(
        mailbox=table.text("mailbox") or "INBOX",
        messages=table.whole("messages", 1, least=0, most=10**9),
    )
    table.nothing_else()
    return needs
