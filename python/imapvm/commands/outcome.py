"""How a command ends."""

from collections.abc import Awaitable, Callable


class Done:
    """What a handler returns: the tagged OK is written from it, behind what is to be announced."""

    __slots__ = ("afterwards", "code", "text")

    def __init__(
        self,
        text: str = "done",
        code: str | None = None,
        *,
        afterwards: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Say what was done.

        Args:
            text: for people, plain ASCII.
            code: a response code without its brackets (RFC 9051 section 7.1).
            afterwards: what is to happen when the tagged line is written (STARTTLS).
        """
        self.text = text
        self.code = code
        self.afterwards = afterwards


class Refusal(Exception):
    """The command is not carried out: tagged NO, or BAD. The client's fault or the world's."""

    def __init__(self, text: str, code: str | None = None, *, bad: bool = False) -> None:
        """Say why not, in words for people and in a code for programs.

        Args:
            text: one sentence.
            code: a response code without its brackets (RFC 9051 section 7.1, RFC 5530).
            bad: BAD: the command makes no sense as it stands, whatever the mailboxes hold.
        """
        super().__init__(text)
        self.text = text
        self.code = code
        self.bad = bad


class Hangup(Exception):
    """The connection ends with BYE; the command gets no tagged answer (RFC 9051 section 7.1.5)."""

    def __init__(self, text: str, code: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Disconnected(Exception):
    """The client is gone, or the connection failed. Nobody's fault; nothing is left to say."""
