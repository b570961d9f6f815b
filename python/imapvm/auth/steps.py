"""What a SASL exchange can come to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from imapvm.model.limits import LOGIN_NAME_MAX, PASSWORD_MAX

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send a challenge, and go on with the client's response."""

    data: bytes
    """Not yet in base64."""
    then: "Callable[[bytes], Step]"


@dataclass(frozen=True, slots=True)
class Claim:
    """The client says who it is; nobody has checked it yet."""

    name: str
    """The authentication identity; its own mailboxes are all it can ask for."""
    password: bytes

    def __repr__(self) -> str:
        """Without the password: this may get into a log."""
        return f"Claim(name={self.name!r})"


@dataclass(frozen=True, slots=True)
class Failure:
    """The exchange has failed: what the client sent is not what the mechanism says."""

    text: str
    """For the client; plain ASCII, and nothing of what it sent."""


Step: TypeAlias = Challenge | Claim | Failure


def claim(name: bytes, password: bytes) -> Claim | Failure:
    """Check what any client may put into a name and a password (RFC 4616 section 2, 1*SAFE)."""
    if not name or not password:
        return Failure("name and password must not be empty")
    if len(name) > LOGIN_NAME_MAX or len(password) > PASSWORD_MAX:
        return Failure("name or password is too long")
    if b"\0" in name or b"\0" in password:
        return Failure("name and password cannot hold NUL")
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return Failure("the name is not UTF-8")
    if not text.isprintable():
        return Failure("the name holds control characters")
    return Claim(text, password)
