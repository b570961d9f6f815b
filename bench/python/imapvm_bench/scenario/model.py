"""Values of a scenario."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from imapvm_bench.scenario.template import Part, label_of, parse, uses

Protocol = Literal["imap", "lmtp"]
Answer = Literal["tagged", "idle", "lmtp"]
Metric = Literal["commands/s", "entries/s", "MB/s", "p50 ms", "p99 ms"]

METRICS: Final[tuple[Metric, ...]] = get_args(Metric)


@dataclass(frozen=True, slots=True)
class ScenarioCommand:
    """Command of a scenario."""

    label: str
    """Row of the report."""
    parts: tuple[Part, ...]
    answer: Answer = "tagged"
    hold_ms: int = 0
    """For IDLE: time before DONE."""
    may_fail: bool = False
    """NO is not an error: CREATE of a mailbox that may exist."""

    @classmethod
    def of(
        cls, send: str, *, label: str | None = None, protocol: Protocol = "imap"
    ) -> "ScenarioCommand":
        """Return a command from a template; label and answer follow from its verb.

        Raises:
            TemplateError: `send` is not a template.
        """
        verb = label_of(send)
        answer: Answer = "lmtp" if protocol == "lmtp" else "idle" if verb == "IDLE" else "tagged"
        return cls(label or verb, parse(send), answer)


@dataclass(frozen=True, slots=True)
class Entry:
    """Entry of the mix: commands that are sent one after the other."""

    name: str
    commands: tuple[ScenarioCommand, ...]
    weight: float = 1.0
    """Relative frequency."""
    think_ms: tuple[int, int] = (0, 0)
    """Shortest and longest pause before it, uniformly distributed. Not used with a rate."""


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages that APPEND and DATA send, made from a seed."""

    count: int = 64
    sizes: tuple[int, ...] = (4096,)
    """Approximate sizes in bytes, with equal probability."""
    shapes: tuple[str, ...] = ("plain",)
    """Names in `corpus.shapes.SHAPES`, with equal probability."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Needs:
    """Mail that the scenario needs in a mailbox of each user."""

    mailbox: str = "INBOX"
    messages: int = 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """Scenario: what a load sends, independent of server and duration."""

    name: str
    about: str
    mix: tuple[Entry, ...]
    login: tuple[ScenarioCommand, ...] = ()
    setup: tuple[ScenarioCommand, ...] = ()
    protocol: Protocol = "imap"
    connections: int = 16
    """Default of the command line."""
    pipeline: int = 1
    reconnect: bool = False
    measure: Metric = "commands/s"
    """Metric that `compare` uses."""
    messages: Messages = field(default_factory=Messages)
    needs: Needs | None = None

    def commands(self) -> Iterator[ScenarioCommand]:
        """Yield all commands, log-in and set-up first."""
        yield from self.login
        yield from self.setup
        for entry in self.mix:
            yield from entry.commands

    @property
    def sends_messages(self) -> bool:
        return any(uses(command.parts, "message", "data") for command in self.commands())
