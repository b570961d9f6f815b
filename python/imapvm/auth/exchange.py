"""SASL (RFC 4422) on the server's side, as values: a response goes in, what follows comes out.

step = MECHANISMS["PLAIN"].start(initial)
while isinstance(step, Challenge):
    step = step.then(<what the client answers to step.data>)
# now a Claim, to be looked into, or a Failure
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from imapvm.auth import plain
from imapvm.auth.steps import Challenge, Claim, Failure, Step

__all__ = ["MECHANISMS", "Challenge", "Claim", "Failure", "Mechanism", "Step"]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One row of `MECHANISMS`."""

    name: str
    """As registered with IANA."""
    start: Callable[[bytes | None], Step]
    """Takes the initial response (RFC 4959), or None where the client sent none."""
    shows_password: bool
    """The password can be read on the way: offered over TLS only, unless the operator says so."""


MECHANISMS: Final[Mapping[str, Mechanism]] = {
    row.name: row
    for row in (
        Mechanism("PLAIN", plain.start_plain, shows_password=True),
        Mechanism("LOGIN", plain.start_login, shows_password=True),
    )
}
"""In the order in which they are offered, the best first."""
