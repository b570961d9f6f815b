"""Steps of a SASL exchange: a challenge, a claim to be checked, or a failure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from imapvm.model.limits import LOGIN_NAME_MAX, PASSWORD_MAX


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send a challenge, and continue with the client's response."""

    data: bytes
    """Not yet in base64."""
    then: Callable[[bytes], "Step"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Identity that the client claims; not checked yet."""

    name: str
    """Authentication identity; also the authorization identity (RFC 4422 section 3.4.1)."""
    password: bytes
    acts_for_another: bool = False
    """True if the authorization identity is another one, which is refused after the password has
    been verified (RFC 5530, AUTHORIZATIONFAILED)."""

    def __repr__(self) -> str:
        """Omit the password: the text may get into a log."""
        return f"Claim(name={self.name!r})"


@dataclass(frozen=True, slots=True)
class Failure:
    """The exchange failed: the client's message does not follow the mechanism."""

    text: str
    """For the client; plain ASCII, without anything that it sent."""


Step: TypeAlias = Challenge | Claim | Failure


def claim(name: bytes, password: bytes) -> Claim | Failure:
    """Check the form of a name and a password (RFC 4616 section 2, 1*SAFE)."""
    if not name or not password:
        return Failure("name and password must not be empty")
    if len(name) > LOGIN_NAME_MAX or len(password) > PASSWORD_MAX:
        return Failure("name or password is too long")
    if b"\0" in name or b"\0" in password:
        return Failure("name and password must not contain NUL")
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return Failure("name is not UTF-8")
    if not text.isprintable():
        return Failure("name contains control characters")
    return Claim(text, password)
