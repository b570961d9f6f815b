"""Limits on the number of messages of one command: MESSAGELIMIT and SAVELIMIT (RFC 9738).

Both are 0, which means none, unless the operator sets one: they change what clients that do not
implement the RFC see of large mailboxes.
"""

from dataclasses import dataclass
from typing import Final

from imapvm._core import UidSet
from imapvm.commands.outcome import Refusal


@dataclass(frozen=True, slots=True)
class MessageLimit:
    """The limits of all commands; at most one of them is not 0."""

    messages: int = 0
    """MESSAGELIMIT: FETCH, SEARCH, STORE, MOVE and UID EXPUNGE process so many, the newest."""
    saved: int = 0
    """SAVELIMIT: COPY and APPEND of more are refused, and no other command is limited."""

    def newest(self, uids: UidSet) -> tuple[UidSet, str | None]:
        """Return the messages to process, and the response code if they are not all."""
        if not self.messages or (excess := len(uids) - self.messages) <= 0:
            return uids, None
        _, newest = uids.split(excess)
        return newest, f"MESSAGELIMIT {self.messages} {newest.first}"

    def check_saved(self, uids: UidSet) -> None:
        """Check the number of messages of a COPY, which is all or nothing.

        Raises:
            Refusal: there are too many; the code has the lowest UID that would have fitted.
        """
        limit = self.messages or self.saved
        excess = len(uids) - limit
        if limit and excess > 0:
            _, newest = uids.split(excess)
            raise _too_many(limit, f" {newest.first}")

    def check(self, count: int) -> None:
        """Check the number of messages of a command that cannot process some of them only.

        Raises:
            Refusal: there are too many.
        """
        if self.messages and count > self.messages:
            raise _too_many(self.messages)

    def check_appended(self, count: int) -> None:
        """Check the number of messages of an APPEND; raises as `check`."""
        limit = self.messages or self.saved
        if limit and count > limit:
            raise _too_many(limit)


def _too_many(limit: int, uid: str = "") -> Refusal:
    return Refusal(f"more than {limit} messages in one command", code=f"MESSAGELIMIT {limit}{uid}")


NO_LIMIT: Final = MessageLimit()
LIMITED: Final = "only the newest messages were processed"
"""Text of an untagged NO with MESSAGELIMIT, where the tagged response has another code."""
