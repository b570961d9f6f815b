"""SASL (RFC 4422), server side, as values: a response is passed in, the next step is returned.

step = MECHANISMS["PLAIN"].start(initial)
while isinstance(step, Challenge):
    step = step.then(<the client's response to step.data>)
# now a Claim, to be checked, or a Failure
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from imapvm.auth import plain
from imapvm.auth.steps import Challenge, Claim, Failure, Step

__all__ = ["MECHANISMS", "Challenge", "Claim", "Failure", "Mechanism", "Step"]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """Row of `MECHANISMS`."""

    name: str
    """As registered with IANA."""
    start: Callable[[bytes | None], Step]
    """Takes the initial response (RFC 4959), or None if the client sent none."""
    shows_password: bool
    """True if the password is sent in the clear: offered over TLS only, unless configured."""


MECHANISMS: Final[Mapping[str, Mechanism]] = {
    row.name: row
    for row in (
        Mechanism("PLAIN", plain.start_plain, shows_password=True),
        Mechanism("LOGIN", plain.start_login, shows_password=True),
    )
}
"""In the order in which they are offered, the best first."""
