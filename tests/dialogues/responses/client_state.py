"""State of the selected mailbox that a client derives from the responses alone.

A client that counts messages by EXISTS and EXPUNGE, and stores UIDs, must never receive a message
number above its count, a different UID for a number, or a keyword that FLAGS did not list (RFC 9051
sections 2.3.1, 5.2, 7.3.5, 7.4.1, 7.5.1, 7.5.2).
"""

from tests.dialogues.responses.grammar import Response
from tests.dialogues.responses.live_lists import LiveLists
from tests.dialogues.responses.tokens import GrammarError

from imapvm._core import SequenceSet, UidMap, UidSet
from imapvm.model.ids import UID_MAX


class ClientState:
    """Selected mailbox of one connection, derived from the responses."""

    def __init__(self) -> None:
        self.uids: list[int | None] = []
        self.keywords: set[bytes] = set()
        self.lists = LiveLists()
        """Results of searches with UPDATE."""
        self.shrunk = False
        """True after a smaller EXISTS, which is allowed in a response to SELECT only."""
        self.uidonly = False
        """True after ENABLED UIDONLY: no response has a message number (RFC 9586 section 3)."""

    def apply(self, response: Response) -> None:
        """Apply a response.

        Raises:
            GrammarError: it contradicts earlier responses.
        """
        if self.uidonly and self._has_number(response):
            raise GrammarError(f"a message number after ENABLE UIDONLY: {response}")
        match response.kind:
            case "ENABLED":
                self.uidonly |= b"UIDONLY" in response.value
            case "EXISTS":
                assert response.number is not None
                self.shrunk |= response.number < len(self.uids)
                del self.uids[response.number :]
                self.uids += [None] * (response.number - len(self.uids))
            case "FLAGS":
                self.keywords = {flag.lower() for flag in response.value}
            case "EXPUNGE":
                number = self._number(response)
                del self.uids[number - 1]
                self.lists.expunge(number)
            case "ESEARCH":
                self.lists.apply(response.value, len(self.uids))
            case "VANISHED":
                self._vanished(*response.value)
            case "FETCH":
                self._fetch(response)
            case "UIDFETCH":
                self._uid_fetch(response)
            case "RECENT" if response.number and response.number > len(self.uids):
                raise GrammarError(f"RECENT is larger than EXISTS: {response}")
            case "OK" if response.code and response.code[0] == "UIDVALIDITY":
                self.uids = [None] * len(self.uids)  # of the mailbox that is being selected
                self.lists.clear()
            case "OK" if response.code and response.code[0] in ("READ-WRITE", "READ-ONLY"):
                self.uids = [None] * len(self.uids)
                self.shrunk = False
            case "OK" | "NO" | "BAD" if response.tag != "*" and self.shrunk:
                raise GrammarError("EXISTS is smaller than before")

    def _vanished(self, earlier: bool, uids: bytes) -> None:
        """Apply VANISHED; without EARLIER, each UID is of a counted message (RFC 7162, 3.2.10.2).

        UIDs that are not known yet belong to messages whose UID was never received.
        """
        named = SequenceSet.parse(uids)
        assert named is not None
        gone = UidMap(UidSet([(1, UID_MAX)])).select(named, uid=True, saved=UidSet())
        assert gone is not None
        known = [uid for uid in self.uids if uid is not None]
        if earlier:
            if any(uid in gone for uid in known):
                raise GrammarError(f"VANISHED (EARLIER) of a message that exists: {uids!r}")
            return
        missing = len(gone) - sum(uid in gone for uid in known)
        if missing > self.uids.count(None):
            raise GrammarError(f"VANISHED of messages that were not counted: {uids!r}")
        places = [
            place for place, uid in enumerate(self.uids, 1) if uid is not None and uid in gone
        ]
        for place in reversed(places):
            self.lists.expunge(place)
        self.uids = [uid for uid in self.uids if uid is None or uid not in gone]
        for _ in range(missing):  # any of those whose UID is not known: their places are lost
            self.uids.remove(None)
        if missing:
            self.uids = [None] * len(self.uids)
            self.lists.forget_numbers()

    @staticmethod
    def _has_number(response: Response) -> bool:
        """Return True for responses of which ENABLE UIDONLY allows no more."""
        match response.kind:
            case "ESEARCH":
                lists = {"MIN", "MAX", "ALL", "PARTIAL", "UPDATES"}
                return "UID" not in response.value and not lists.isdisjoint(response.value)
            case "OK":
                return response.code is not None and response.code[0] == "UNSEEN"
        return response.kind in ("FETCH", "EXPUNGE")

    def _uid_fetch(self, response: Response) -> None:
        """Apply UIDFETCH: of a message that is counted."""
        if not self.uidonly:
            raise GrammarError(f"UIDFETCH without ENABLE UIDONLY: {response}")
        if response.number not in self.uids and None not in self.uids:
            raise GrammarError(f"the mailbox has no message {response.number}: {self.uids}")
        if response.value.get("UID") not in (None, response.number):
            raise GrammarError(f"UIDFETCH has two UIDs: {response}")
        self._check_keywords(response)

    def _number(self, response: Response) -> int:
        number = response.number
        if number is None or not 1 <= number <= len(self.uids):
            raise GrammarError(f"the mailbox has {len(self.uids)} messages: {response}")
        return number

    def _fetch(self, response: Response) -> None:
        at = self._number(response) - 1
        uid = response.value.get("UID")
        if uid is not None:
            known = self.uids[at]
            below = max((u for u in self.uids[:at] if u is not None), default=0)
            above = min((u for u in self.uids[at + 1 :] if u is not None), default=uid + 1)
            if known not in (None, uid) or not below < uid < above:
                raise GrammarError(f"UID {uid} cannot be number {at + 1}: {self.uids}")
            self.uids[at] = uid
        self._check_keywords(response)

    def _check_keywords(self, response: Response) -> None:
        for flag in response.value.get("FLAGS", ()):
            if flag.lower() not in self.keywords and not flag.startswith(b"\\"):
                raise GrammarError(f"FLAGS did not list {flag!r}")
