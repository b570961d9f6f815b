"""Plan of a load for the engine, as JSON. `_engine.pyi` describes the format."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from imapvm_bench.corpus.mail import Recipe, make
from imapvm_bench.errors import BenchError, ExitStatus
from imapvm_bench.scenario.model import Entry, Messages, Scenario, ScenarioCommand
from imapvm_bench.scenario.template import Part, uses
from imapvm_bench.server.target import Target

ANSWER_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """A scenario on a target, with duration and rate."""

    target: Target
    scenario: Scenario
    connections: int | None = None
    """None: the default of the scenario."""
    seconds: float = 10.0
    """Measured time."""
    warmup: float = 1.0
    """Seconds before the measured time."""
    rate: float | None = None
    """Mix entries a second over all connections (open loop); None: closed loop."""
    threads: int = 1
    limit: int | None = None
    """Stop after this many mix entries."""
    pipeline: int | None = None
    """None: the default of the scenario."""
    answer_seconds: float = ANSWER_SECONDS
    """A command without an answer for this long has failed."""
    connects_at_once: int = 64
    poisson: bool = False
    """With a rate: entries are due at random, as with independent users, and not evenly."""
    seed: int = 1

    @property
    def connections_wanted(self) -> int:
        return self.connections or self.scenario.connections


def plan_json(load: LoadSpec, *, fast_literals: bool = False) -> str:
    """Return the plan.

    Args:
        load: the load.
        fast_literals: the server accepts non-synchronizing literals (LITERAL+).

    Raises:
        BenchError: status USAGE; the target lacks the LMTP address that the scenario needs, or a
            name or password cannot be written as a quoted string.
    """
    return msgspec.json.encode(plan(load, fast_literals=fast_literals)).decode()


def idle_plan(target: Target, connections: int, *, at_once: int, answer_seconds: float) -> str:
    """Return the plan of connections that log in, select INBOX and stay in IDLE."""
    scenario = Scenario(
        "idle",
        "",
        mix=(),
        login=(ScenarioCommand.of("LOGIN {user} {password}"),),
        setup=(ScenarioCommand.of("SELECT INBOX"),),
    )
    load = LoadSpec(
        target,
        scenario,
        connections=connections,
        connects_at_once=at_once,
        answer_seconds=answer_seconds,
    )
    return plan_json(load)


def plan(load: LoadSpec, *, fast_literals: bool = False) -> dict[str, Any]:
    """Return the plan as a dict; arguments and errors as for `plan_json`."""
    target, scenario = load.target, load.scenario
    where, tls = target.imap, target.tls
    if scenario.protocol == "lmtp":
        if target.lmtp is None:
            raise BenchError(
                f"the scenario {scenario.name!r} needs an LMTP address: use --lmtp HOST:PORT",
                ExitStatus.USAGE,
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


def _commands(commands: Sequence[ScenarioCommand], *, fast_literals: bool) -> list[dict[str, Any]]:
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


def _parts(command: ScenarioCommand, literal: str) -> list[Part]:
    """Return the parts, with quotes around names and passwords for IMAP."""
    parts: list[Part] = []
    imap = command.answer != "lmtp"
    for part in command.parts:
        if "message" in part:
            parts.append({"message": literal})
        elif "data" in part and parts:
            # The engine ends the DATA line; the space in the template is dropped.
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
                f"cannot send the name or password of {user.name!r} with LOGIN: it has a quote or"
                " a backslash; use a scenario with AUTHENTICATE PLAIN {plain}",
                ExitStatus.USAGE,
            )


def _messages(messages: Messages) -> list[str]:
    recipe = Recipe(seed=messages.seed, sizes=messages.sizes, shapes=messages.shapes)
    made = (make(recipe, "scenario", n).content for n in range(1, messages.count + 1))
    return [base64.b64encode(content).decode() for content in made]
