"""A look at a server before a load: is it there, may the users in, is there mail, what can it do.

What is wrong is then one sentence, not ten thousand errors of a kind.
"""

import re
import socket
from dataclasses import dataclass

from imapvm_bench.errors import BenchError
from imapvm_bench.scenario.model import Needs, Scenario
from imapvm_bench.server.imap_client import Client, quoted, shown
from imapvm_bench.server.target import Target

PROBE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What a server said of itself."""

    greeting: str
    name: str = ""
    """As it tells in answer to ID (RFC 2971), with its version; empty where it does not."""
    capabilities: frozenset[str] = frozenset()

    @property
    def fast_literals(self) -> bool:
        return "LITERAL+" in self.capabilities


def probe_server(target: Target, scenario: Scenario | None = None) -> Probe:
    """Connect, sign in as the first user, and look for what the scenario needs.

    Raises:
        BenchError: something is missing; the sentence says what, and what to do.
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
        return Probe(shown(client.greeting), name, client.capabilities)


def _identity(client: Client) -> str:
    if "ID" not in client.capabilities:
        return ""
    said = b" ".join(client.command("ID NIL"))
    fields = dict(re.findall(r'"([^"]*)" "([^"]*)"', shown(said)))
    lowered = {key.lower(): value for key, value in fields.items()}
    return " ".join(lowered[key] for key in ("name", "version") if lowered.get(key))


def _require(client: Client, capability: str, scenario: Scenario) -> None:
    if capability not in client.capabilities:
        raise BenchError(
            f"the server does not offer {capability}, which the scenario {scenario.name!r} uses"
        )


def _require_mail(client: Client, target: Target, needs: Needs) -> None:
    command = b"STATUS " + quoted(needs.mailbox) + b" (MESSAGES)"
    said = b" ".join(client.command(command))
    found = re.search(rb"MESSAGES (\d+)", said, re.IGNORECASE)
    there = int(found[1]) if found else 0
    if there < needs.messages:
        raise BenchError(
            f"{needs.mailbox} of {target.users[0].name} has {there:,} messages, and the scenario"
            f" needs {needs.messages:,}: make some with"
            f" imapvm-bench fill {target.imap} --messages {max(1000, needs.messages)} --users …"
        )


def _probe_lmtp(target: Target) -> Probe:
    if target.lmtp is None:
        return Probe("")
    where = (target.lmtp.host, target.lmtp.port)
    try:
        with (
            socket.create_connection(where, PROBE_SECONDS) as connection,
            connection.makefile("rb") as file,
        ):
            greeting = file.readline(4096)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BenchError(f"LMTP at {target.lmtp} cannot be reached: {reason}") from None
    if not greeting.startswith(b"220"):
        raise BenchError(f"{target.lmtp} greets with {shown(greeting)!r}, not as LMTP does")
    return Probe(shown(greeting))
