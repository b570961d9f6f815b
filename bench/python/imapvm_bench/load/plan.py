"""Turns a load into the engine's plan, as JSON. The plan is described in `_engine.pyi`."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from imapvm_bench.corpus.mail import Recipe, make
from imapvm_bench.errors import BenchError, Status
from imapvm_bench.scenario.model import Command, Entry, Messages, Scenario
from imapvm_bench.scenario.template import Part, uses
from imapvm_bench.server.target import Target

ANSWER_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """A scenario on a target, and for how long."""

    target: Target
    scenario: Scenario
    connections: int | None = None
    """None: as the scenario says."""
    seconds: float = 10.0
    """Measured time."""
    warmup: float = 1.0
    """Seconds before that, which are not counted."""
    rate: float | None = None
    """Mix entries a second over all connections (open loop); None: as fast as it is answered."""
    threads: int = 1
    limit: int | None = None
    """Stop after so many mix entries."""
    pipeline: int | None = None
    """None: as the scenario says."""
    answer_seconds: float = ANSWER_SECONDS
    """A command that is unanswered for so long has failed."""
    connects_at_once: int = 64
    poisson: bool = False
    """With a rate: entries are due at random, as independent users come, not evenly."""
    seed: int = 1

    @property
    def connections_wanted(self) -> int:
        return self.connections or self.scenario.connections


def plan_json(load: Load, *, fast_literals: bool = False) -> str:
    """Return the plan.

    Args:
        load: what to run.
        fast_literals: the server takes literals without being asked (LITERAL+).

    Raises:
        BenchError: status USAGE; the scenario speaks LMTP and the target has no address for it,
            or a user's name or password cannot be written between quotes.
    """
    return msgspec.json.encode(plan(load, fast_literals=fast_literals)).decode()


def idle_plan(target: Target, connections: int, *, at_once: int, answer_seconds: float) -> str:
    """Return the plan of connections that log in, select INBOX and sit in IDLE."""
    scenario = Scenario(
        "idle",
        "",
        mix=(),
        login=(Command.of("LOGIN {user} {password}"),),
        setup=(Command.of("SELECT INBOX"),),
    )
    load = Load(
        target,
        scenario,
        connections=connections,
        connects_at_once=at_once,
        answer_seconds=answer_seconds,
    )
    return plan_json(load)


def plan(load: Load, *, fast_literals: bool = False) -> dict[str, Any]:
    """Return the plan as values; arguments and errors as `plan_json`."""
    target, scenario = load.target, load.scenario
    where, tls = target.imap, target.tls
    if scenario.protocol == "lmtp":
        if target.lmtp is None:
            raise BenchError(
                f"the scenario {scenario.name!r} delivers by LMTP: say where, with"
                " --lmtp HOST:PORT",
                Status.USAGE,
            )
        where, tls = target.lmtp, "none"
    _check_quotable(target, scenario)
    return {
        "protocol": scenario.protocol,
        "host": where.host,
        "port": where.port,
        "tls": tls,
        "server_name": target.server_name or where.host,
        "verify": target.verify,
        "ca": str(target.ca) if target.ca else None,
        "tls_resumption": target.tls_resumption,
        "sources": list(target.sources),
        "connections": load.connections_wanted,
        "threads": load.threads,
        "connects_at_once": load.connects_at_once,
        "warmup_seconds": load.warmup,
        "seconds": load.seconds,
        "limit": load.limit,
        "rate": load.rate,
        "arrivals": "poisson" if load.poisson else "constant",
        "pipeline": load.pipeline or scenario.pipeline,
        "reconnect": scenario.reconnect,
        "answer_seconds": load.answer_seconds,
        "seed": load.seed,
        "users": [[user.name, user.password] for user in target.users],
        "messages": _messages(scenario.messages) if scenario.sends_messages else [],
        "login": _commands(scenario.login, fast_literals=fast_literals),
        "setup": _commands(scenario.setup, fast_literals=fast_literals),
        "mix": [_entry(entry, fast_literals=fast_literals) for entry in scenario.mix],
    }


def _entry(entry: Entry, *, fast_literals: bool) -> dict[str, Any]:
    return {
        "name": entry.name,
        "weight": entry.weight,
        "think_ms": list(entry.think_ms),
        "commands": _commands(entry.commands, fast_literals=fast_literals),
    }


def _commands(commands: Sequence[Command], *, fast_literals: bool) -> list[dict[str, Any]]:
    literal = "literal+" if fast_literals else "literal"
    return [
        {
            "label": command.label,
            "parts": _parts(command, literal),
            "answer": command.answer,
            "hold_ms": command.hold_ms,
            "may_fail": command.may_fail,
        }
        for command in commands
    ]


def _parts(command: Command, literal: str) -> list[Part]:
    """Return the parts, with names and passwords between quotes where IMAP wants a string."""
    parts: list[Part] = []
    imap = command.answer != "lmtp"
    for part in command.parts:
        if "message" in part:
            parts.append({"message": literal})
        elif "data" in part and parts:
            # The engine ends the line that says DATA; what separates them in the file goes.
            parts[-1] = {"text": str(parts[-1].get("text", "")).rstrip(" ")}
            parts.append(part)
        elif imap and ("user" in part or "password" in part) and not _ends_with_quote(parts):
            parts += [{"text": '"'}, part, {"text": '"'}]
        else:
            parts.append(part)
    return parts


def _ends_with_quote(parts: Sequence[Part]) -> bool:
    return bool(parts) and str(parts[-1].get("text", "")).endswith('"')


def _check_quotable(target: Target, scenario: Scenario) -> None:
    if not any(uses(command.parts, "user", "password") for command in scenario.commands()):
        return
    for user in target.users:
        if set(user.name + user.password) & set('"\\'):
            raise BenchError(
                f"the name or password of {user.name!r} has a quote or a backslash in it, which"
                " LOGIN {user} {password} cannot send: use a scenario whose login is"
                " AUTHENTICATE PLAIN {plain}",
                Status.USAGE,
            )


def _messages(messages: Messages) -> list[str]:
    recipe = Recipe(seed=messages.seed, sizes=messages.sizes, shapes=messages.shapes)
    made = (make(recipe, "scenario", n).octets for n in range(1, messages.count + 1))
    return [base64.b64encode(octets).decode() for octets in made]
