"""Ends of a command: `Done` is returned; `Refusal`, `Hangup` and `Disconnected` are raised."""

from collections.abc import Awaitable, Callable
from typing import Final, final


@final
class Done:
    """Success: dispatch writes the updates that are due, then `OK <COMMAND> completed`."""

    __slots__ = ("afterwards", "code")

    def __init__(
        self, code: str | None = None, *, afterwards: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Describe the tagged OK.

        Args:
            code: a response code without its brackets (RFC 9051 section 7.1).
            afterwards: called after the tagged line has been written (STARTTLS).
        """
        self.code = code
        self.afterwards = afterwards


DONE: Final = Done()
"""Success without a response code. Handlers that return it are answered without a coroutine."""
DONE_WITH_NUMBERS: Final = Done()
"""Success of a UID command with message numbers, for which dispatch holds back expunges."""


CLIENT_BUG: Final = "CLIENTBUG"
"""Code of BAD: the client sent what no server accepts, or not in this state (RFC 5530)."""
NO_CODE: Final = ""
"""Code of a BAD that is no error of the client."""


class Refusal(Exception):
    """Failure that the client can understand: tagged NO or BAD."""

    def __init__(self, text: str, code: str | None = None, *, bad: bool = False) -> None:
        """Describe the tagged NO or BAD.

        Args:
            text: `cannot X: reason`, or the plain state; ASCII.
            code: a response code without its brackets (RFC 9051 section 7.1, RFC 5530); CLIENTBUG
                if `bad` is set and there is no other.
            bad: True for BAD: the command is wrong for every content of the mailboxes.
        """
        super().__init__(text)
        if code is None and bad:
            code = CLIENT_BUG
        self.text = text
        self.code = code or None
        self.bad = bad


def messages_expunged(code: str | None = None) -> Refusal:
    """Return the NO of a command whose message numbers include expunged messages.

    Args:
        code: in place of EXPUNGEISSUED.
    """
    return Refusal("some of the messages have been expunged", code=code or "EXPUNGEISSUED")


class Hangup(Exception):
    """The connection ends with BYE; the command gets no tagged response (RFC 9051 s. 7.1.5)."""

    def __init__(self, text: str, code: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Disconnected(Exception):
    """The client has closed the connection, or it failed; nothing can be sent any more."""
