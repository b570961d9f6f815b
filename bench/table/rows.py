"""Rows of the table: commands, number of connections, and aims."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from bench.table.users import FRESH_CONNECTIONS, PASSWORD, UserGroup, fresh_pattern
from imapvm_bench.scenario.model import Entry, Messages, Scenario, ScenarioCommand

Unit = Literal["commands/s", "MB/s", "messages/s", "log-ins/s"]


@dataclass(frozen=True, slots=True)
class Setting:
    """Parameters of a load in addition to the row."""

    prefix: str
    """Prefix of mailbox names on this server."""
    round: int
    """From 0."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """Row of the table."""

    name: str
    scenario: Callable[[Setting], Scenario]
    unit: Unit = "commands/s"
    connections: int = 1
    goals: Mapping[str, float] = field(default_factory=dict)
    """Aims: lowest ratio of imapvm to a server, by its name."""
    users: UserGroup = "readers"
    heavy: bool = False
    """Uses the mailbox with 10,000 messages."""
    needs_fresh_users: bool = False
    """Every log-in is of another user, see `users.fresh_names`."""

    @property
    def slug(self) -> str:
        """Return the name for `--only`: lower-case letters, digits and hyphens."""
        letters = "".join(c if c.isalnum() else " " for c in self.name.lower())
        return "-".join(letters.split())


BIG: Final = 10_000
"""Messages of 4 KB in the mailbox `big`."""

FOUR_KB: Final = Messages(count=200, sizes=(4096,), shapes=("plain", "alternative", "eight-bit"))

LOGIN: Final = "LOGIN {user} {password}"


def _commands(*texts: str) -> tuple[ScenarioCommand, ...]:
    return tuple(ScenarioCommand.of(text) for text in texts)


def _selected(mailbox: str, *sent: str) -> Callable[[Setting], Scenario]:
    """Return a scenario with commands in a selected mailbox."""

    def scenario(setting: Setting) -> Scenario:
        name = mailbox if mailbox == "INBOX" else f"{setting.prefix}{mailbox}"
        return Scenario(
            "row",
            "",
            login=_commands(LOGIN),
            setup=_commands(f'SELECT "{name}"'),
            mix=(Entry("row", _commands(*sent)),),
        )

    return scenario


def _selecting(setting: Setting) -> Scenario:
    mix = (Entry("row", _commands(f'SELECT "{setting.prefix}big"')),)
    return Scenario("row", "", login=_commands(LOGIN), mix=mix)


def _appending(setting: Setting) -> Scenario:
    mix = (Entry("row", _commands(f'APPEND "{setting.prefix}new" {{message}}')),)
    return Scenario("row", "", login=_commands(LOGIN), mix=mix, messages=FOUR_KB)


def _delivering(_: Setting) -> Scenario:
    def lmtp(*texts: str) -> tuple[ScenarioCommand, ...]:
        return tuple(ScenarioCommand.of(text, protocol="lmtp") for text in texts)

    sent = lmtp("MAIL FROM:<sender@example.org>", "RCPT TO:<{user}@localhost>", "DATA{data}")
    return Scenario(
        "row",
        "",
        protocol="lmtp",
        login=lmtp("LHLO bench.example"),
        mix=(Entry("row", sent),),
        messages=FOUR_KB,
    )


def _reconnecting(setting: Setting, login: str) -> Scenario:
    """Return a scenario: connect, log in, NOOP, log out."""
    del setting
    mix = (Entry("row", _commands("NOOP")),)
    return Scenario("row", "", reconnect=True, login=_commands(login), mix=mix)


def _fresh_logins(setting: Setting) -> Scenario:
    return _reconnecting(setting, f"LOGIN {fresh_pattern(setting.round)} {PASSWORD}")


def _repeated_logins(setting: Setting) -> Scenario:
    return _reconnecting(setting, LOGIN)


TOGGLE: Final = (r"STORE 1 +FLAGS.SILENT (\Flagged)", r"STORE 1 -FLAGS.SILENT (\Flagged)")
"""Each command changes the flag, so that no server can skip the write."""

TOGGLE_ALL: Final = (r"STORE 1:* +FLAGS.SILENT (\Flagged)", r"STORE 1:* -FLAGS.SILENT (\Flagged)")

TOGGLE_ALL_SHOWN: Final = (r"STORE 1:* +FLAGS (\Flagged)", r"STORE 1:* -FLAGS (\Flagged)")

FIELDS: Final = "FETCH 1:1000 (BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])"

# The text of SEARCH differs in each command, so that no cache of results can answer.
ROWS: Final = (
    TableRow("NOOP, 1 connection", _selected("INBOX", "NOOP"), goals={"dovecot": 1.3}),
    TableRow("NOOP, 20 connections", _selected("INBOX", "NOOP"), connections=20,
        goals={"dovecot": 2.5}),
    TableRow("NOOP, 200 connections", _selected("INBOX", "NOOP"), connections=200,
        goals={"dovecot": 3}),
    TableRow("SELECT of 10,000", _selecting, goals={"dovecot": 3}, heavy=True),
    TableRow("FETCH 1:* (FLAGS) of 10,000", _selected("big", "FETCH 1:* (FLAGS)"),
        goals={"dovecot": 5}, heavy=True),
    TableRow("FETCH 1:1000 (ENVELOPE)", _selected("big", "FETCH 1:1000 (ENVELOPE)"),
        goals={"dovecot": 10}, heavy=True),
    TableRow("FETCH 1:1000 (BODYSTRUCTURE)", _selected("big", "FETCH 1:1000 (BODYSTRUCTURE)"),
        goals={"dovecot": 5}, heavy=True),
    TableRow("FETCH 1:1000 (four header fields)", _selected("big", FIELDS),
        goals={"dovecot": 5}, heavy=True),
    TableRow("FETCH 1:500 (BODY.PEEK[]) of 4 KB", _selected("big", "FETCH 1:500 (BODY.PEEK[])"),
        unit="MB/s", goals={"dovecot": 4}, heavy=True),
    TableRow("FETCH 1 (BODY.PEEK[]) of 25 MB", _selected("large", "FETCH 1 (BODY.PEEK[])"),
        unit="MB/s", goals={"dovecot": 1.5}),
    TableRow("SEARCH SUBJECT over 10,000",
        _selected("big", 'SEARCH SUBJECT "quagga{random 1 999999}"'),
        goals={"dovecot": 20}, heavy=True),
    TableRow("SEARCH BODY over 30 MB",
        _selected("big", 'SEARCH 1:7500 BODY "quagga{random 1 999999}"'),
        goals={"dovecot": 20}, heavy=True),
    TableRow("SORT (DATE) of 10,000", _selected("big", "SORT (DATE) UTF-8 ALL"),
        goals={"dovecot": 10}, heavy=True),
    TableRow("SORT (SUBJECT) of 10,000", _selected("big", "SORT (SUBJECT) UTF-8 ALL"),
        goals={"dovecot": 10}, heavy=True),
    TableRow("THREAD REFERENCES of 10,000", _selected("big", "THREAD REFERENCES UTF-8 ALL"),
        goals={"dovecot": 10}, heavy=True),
    TableRow("STORE one flag, 1 connection", _selected("INBOX", *TOGGLE)),
    TableRow("STORE one flag, 20 connections", _selected("INBOX", *TOGGLE), connections=20,
        goals={"dovecot": 1, "dovecot-always": 5}),
    TableRow("STORE one flag of 10,000 in one command", _selected("big", *TOGGLE_ALL),
        goals={"dovecot": 1}, heavy=True),
    TableRow("STORE one flag of 10,000, with responses", _selected("big", *TOGGLE_ALL_SHOWN),
        goals={"dovecot": 1}, heavy=True),
    TableRow("APPEND 4 KB, 1 connection", _appending, goals={"dovecot": 1.2}),
    TableRow("APPEND 4 KB, 20 connections", _appending, connections=20, goals={"dovecot": 5}),
    TableRow("LMTP delivery of 4 KB, 1 connection", _delivering, unit="messages/s", users="posts",
        goals={"dovecot": 1.5}),
    TableRow("LMTP delivery of 4 KB, 20 connections", _delivering, unit="messages/s", users="posts",
        connections=20, goals={"dovecot": 8}),
    TableRow("log-in, users not seen lately", _fresh_logins, unit="log-ins/s", users="known",
        connections=FRESH_CONNECTIONS, goals={"dovecot": 3}, needs_fresh_users=True),
    TableRow("log-in, known users again and again", _repeated_logins, unit="log-ins/s",
        users="known", connections=FRESH_CONNECTIONS, goals={"dovecot": 20}),
)  # fmt: skip
"""All rows have an aim, except STORE with one connection."""
