"""What a load does: the values that a scenario file is read into."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from imapvm_bench.scenario.template import Part, label_of, parse, uses

Protocol = Literal["imap", "lmtp"]
Answer = Literal["tagged", "idle", "lmtp"]
Metric = Literal["commands/s", "entries/s", "MB/s", "p50 ms", "p99 ms"]

METRICS: Final[tuple[Metric, ...]] = get_args(Metric)


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that is said to the server, and how its answer ends."""

    label: str
    """Row of the report."""
    parts: tuple[Part, ...]
    answer: Answer = "tagged"
    hold_ms: int = 0
    """For IDLE: how long it stays before DONE."""
    may_fail: bool = False
    """NO is an answer like another: CREATE of what may be there."""

    @classmethod
    def of(cls, send: str, *, label: str | None = None, protocol: Protocol = "imap") -> "Command":
        """Make one from a template, with the label and the answer that its verb suggests.

        Raises:
            TemplateError: `send` is none.
        """
        verb = label_of(send)
        answer: Answer = "lmtp" if protocol == "lmtp" else "idle" if verb == "IDLE" else "tagged"
        return cls(label or verb, parse(send), answer)


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the things that connections choose from: commands that belong together."""

    name: str
    commands: tuple[Command, ...]
    weight: float = 1.0
    """How often it is chosen, beside the others."""
    think_ms: tuple[int, int] = (0, 0)
    """Pause before it: least and most, each length as likely. Not used with a rate."""


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages that APPEND and DATA send in turn, made from a seed."""

    count: int = 64
    sizes: tuple[int, ...] = (4096,)
    """Octets, about; each as likely."""
    shapes: tuple[str, ...] = ("plain",)
    """Of `corpus.SHAPES`; each as likely."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be in the mailbox of each user for the scenario to mean something."""

    mailbox: str = "INBOX"
    messages: int = 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load, without saying on whom and for how long."""

    name: str
    about: str
    mix: tuple[Entry, ...]
    login: tuple[Command, ...] = ()
    setup: tuple[Command, ...] = ()
    protocol: Protocol = "imap"
    connections: int = 16
    """Where the command line does not say."""
    pipeline: int = 1
    reconnect: bool = False
    measure: Metric = "commands/s"
    """The one number that says most of it, for comparisons."""
    messages: Messages = field(default_factory=Messages)
    needs: Needs | None = None

    def commands(self) -> Iterator[Command]:
        """All of them, log-in and set-up first."""
        yield from self.login
        yield from self.setup
        for entry in self.mix:
            yield from entry.commands

    @property
    def sends_messages(self) -> bool:
        return any(uses(command.parts, "message", "data") for command in self.commands())
