"""What a client must be able to conclude from what it hears, and from nothing else.

Whoever counts messages by EXISTS and EXPUNGE, and remembers UIDs, must never hear of a number it
does not have, of another UID than before under a number, or of a keyword that FLAGS did not name
(RFC 9051 sections 2.3.1, 5.2, 7.3.5, 7.4.1, 7.5.1, 7.5.2).
"""

from tests.dialogues.grammar import Response
from tests.dialogues.tokens import Deviation


class Picture:
    """The selected mailbox of one connection, by what was said of it."""

    def __init__(self) -> None:
        self.uids: list[int | None] = []
        self.keywords: set[bytes] = set()
        self.shrunk = False
        """EXISTS was less than before: so this must become an answer to SELECT."""

    def hear(self, response: Response) -> None:
        """Take it up.

        Raises:
            Deviation: a client cannot make sense of it.
        """
        match response.kind:
            case "EXISTS":
                assert response.number is not None
                self.shrunk |= response.number < len(self.uids)
                del self.uids[response.number :]
                self.uids += [None] * (response.number - len(self.uids))
            case "FLAGS":
                self.keywords = {flag.lower() for flag in response.value}
            case "EXPUNGE":
                del self.uids[self._number(response) - 1]
            case "FETCH":
                self._fetch(response)
            case "RECENT" if response.number and response.number > len(self.uids):
                raise Deviation(f"more recent than there are: {response}")
            case "OK" if response.code and response.code[0] in ("READ-WRITE", "READ-ONLY"):
                self.uids = [None] * len(self.uids)
                self.shrunk = False
            case "OK" | "NO" | "BAD" if response.tag != "*" and self.shrunk:
                raise Deviation("EXISTS was less than before")

    def _number(self, response: Response) -> int:
        number = response.number
        if number is None or not 1 <= number <= len(self.uids):
            raise Deviation(f"there are {len(self.uids)} messages: {response}")
        return number

    def _fetch(self, response: Response) -> None:
        at = self._number(response) - 1
        uid = response.value.get("UID")
        if uid is not None:
            known = self.uids[at]
            below = max((u for u in self.uids[:at] if u is not None), default=0)
            above = min((u for u in self.uids[at + 1 :] if u is not None), default=uid + 1)
            if known not in (None, uid) or not below < uid < above:
                raise Deviation(f"UID {uid} cannot be number {at + 1}: {self.uids}")
            self.uids[at] = uid
        for flag in response.value.get("FLAGS", ()):
            if flag.lower() not in self.keywords and not flag.startswith(b"\\"):
                raise Deviation(f"FLAGS did not name {flag!r}")
