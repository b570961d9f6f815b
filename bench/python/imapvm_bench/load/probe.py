"""Probe of a server before a load: connection, log-in, capabilities, mail.

A wrong setup becomes one error message and not one error for each connection.
"""

import re
from dataclasses import dataclass

from imapvm_bench.errors import BenchError
from imapvm_bench.scenario.model import Needs, Scenario
from imapvm_bench.server.imap_client import Client, quoted
from imapvm_bench.server.lines import LineConnection, excerpt
from imapvm_bench.server.target import Target

PROBE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Probe:
    """Greeting, name and capabilities of a server."""

    greeting: str
    name: str = ""
    """Name and version in the answer to ID (RFC 2971); empty without ID."""
    capabilities: frozenset[str] = frozenset()

    @property
    def fast_literals(self) -> bool:
        return "LITERAL+" in self.capabilities


def probe_server(target: Target, scenario: Scenario | None = None) -> Probe:
    """Connect, log in as the first user, and check what the scenario needs.

    Raises:
        BenchError: no connection, the log-in is refused, or mail or a capability is missing.
    """
    if scenario is not None and scenario.protocol == "lmtp":
        return _probe_lmtp(target)
    with Client(target, timeout=PROBE_SECONDS) as client:
        client.login(target.users[0])
        name = _identity(client)
        if scenario is not None and scenario.needs is not None:
            _require_mail(client, target, scenario.needs)
        if scenario is not None and any(c.answer == "idle" for c in scenario.commands()):
            _require(client, "IDLE", scenario)
        return Probe(excerpt(client.greeting), name, client.capabilities)


def _identity(client: Client) -> str:
    if "ID" not in client.capabilities:
        return ""
    answer = b" ".join(client.command("ID NIL"))
    fields = dict(re.findall(r'"([^"]*)" "([^"]*)"', excerpt(answer)))
    lowered = {key.lower(): value for key, value in fields.items()}
    return " ".join(lowered[key] for key in ("name", "version") if lowered.get(key))


def _require(client: Client, capability: str, scenario: Scenario) -> None:
    if capability not in client.capabilities:
        raise BenchError(
            f"the scenario {scenario.name!r} needs the capability {capability},"
            " which the server lacks"
        )


def _require_mail(client: Client, target: Target, needs: Needs) -> None:
    command = b"STATUS " + quoted(needs.mailbox) + b" (MESSAGES)"
    answer = b" ".join(client.command(command))
    found = re.search(rb"MESSAGES (\d+)", answer, re.IGNORECASE)
    there = int(found[1]) if found else 0
    if there < needs.messages:
        raise BenchError(
            f"the scenario needs {needs.messages:,} messages in {needs.mailbox} of"
            f" {target.users[0].name}, which has {there:,}: run"
            f" imapvm-bench fill {target.imap} --messages {max(1000, needs.messages)} --users …"
        )


def _probe_lmtp(target: Target) -> Probe:
    if target.lmtp is None:
        return Probe("")
    with LineConnection(target.lmtp, f"LMTP at {target.lmtp}", PROBE_SECONDS) as connection:
        greeting = connection.read_line()
        if not greeting.startswith(b"220"):
            raise BenchError(f"{connection.name} is not an LMTP server: {excerpt(greeting)!r}")
        return Probe(excerpt(greeting))
