r"""A mailbox in plain lists, and clients with different extensions that are checked against it.

Commands run one after another, so the model is exact: after each, a client has every change, and
messages that were expunged only while they are held back (RFC 9051 section 7.5.1, RFC 7162 section
3.2.10.2). \Recent is left out: tests/commands/random/random_clients.py has it.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from imapvm.commands.context import Context


@dataclass
class Message:
    flags: frozenset[str]
    modseq: int


@dataclass
class Model:
    """Mailbox: each change raises its MODSEQ by one, and has it (RFC 7162 section 3.1)."""

    messages: dict[int, Message] = field(default_factory=dict)
    expunged: dict[int, int] = field(default_factory=dict)
    """UID → MODSEQ."""
    highest: int = 1
    uid_next: int = 1

    def append(self, flags: list[frozenset[str]]) -> None:
        self.highest += 1
        for one in flags:
            self.messages[self.uid_next] = Message(one, self.highest)
            self.uid_next += 1

    def store(
        self, uids: list[int], sign: str, flags: frozenset[str], since: int | None = None
    ) -> list[int]:
        """Change flags; return the messages with other flags than a client of `since` expects."""
        existing = [uid for uid in uids if uid in self.messages]
        refused = [
            uid
            for uid in existing
            if since is not None
            and self.messages[uid].modseq > since
            and not self._expected(uid, sign, flags, absent=since == 0)
        ]
        changed = {}
        for uid in existing:
            before = self.messages[uid].flags
            after = {"+": before | flags, "-": before - flags, "": flags}[sign]
            if uid not in refused and after != before:
                changed[uid] = after
        if changed:
            self.highest += 1
            for uid, after in changed.items():
                self.messages[uid] = Message(after, self.highest)
        return refused

    def _expected(self, uid: int, sign: str, flags: frozenset[str], *, absent: bool) -> bool:
        """Return True if flags that are added are not set, or flags that are removed are set.

        With a MODSEQ of 0 keywords have to be absent (RFC 7162 section 3.1.3).
        """
        had = self.messages[uid].flags
        if not sign or (absent and any(flag.startswith("\\") for flag in flags)):
            return False
        return flags.isdisjoint(had) if sign == "+" or absent else flags <= had

    def expunge(self, uids: list[int]) -> None:
        gone = [uid for uid in uids if uid in self.messages]
        if gone:
            self.highest += 1
            for uid in gone:
                del self.messages[uid]
                self.expunged[uid] = self.highest


class Kind(NamedTuple):
    """Extensions that a client uses."""

    name: str
    enabled: str = ""
    rev2: bool = False
    condstore: bool = False
    """True if it sends commands with MODSEQ, which enable CONDSTORE."""
    qresync: bool = False
    uidonly: bool = False


KINDS = (
    Kind("rev1"),
    Kind("condstore", condstore=True),
    Kind("qresync", "QRESYNC", condstore=True, qresync=True),
    Kind("rev2", "IMAP4rev2", rev2=True),
    Kind("rev2-qresync", "IMAP4rev2 QRESYNC", rev2=True, condstore=True, qresync=True),
    Kind("uidonly", "UIDONLY", condstore=True, uidonly=True),
    Kind("rev2-all", "IMAP4rev2 QRESYNC UIDONLY", True, True, True, True),
)


def numbers(text: str) -> list[int]:
    """Return the numbers of a set without `*`."""
    parts = (part.partition(":") for part in text.split(","))
    return [n for one, _, end in parts for n in range(int(one), int(end or one) + 1)]


class Result(NamedTuple):
    """Responses to one command."""

    tagged: str
    fetched: dict[int, str]
    """UID → items of the last FETCH."""
    earlier: list[int]
    """UIDs of VANISHED (EARLIER)."""
    found: list[int]
    """Numbers of SEARCH or ESEARCH ALL."""
    modseq: int | None
    """MODSEQ of SEARCH or ESEARCH."""


class MixedClient:
    """Session that derives the mailbox from the responses."""

    def __init__(self, kind: Kind, model: Model, ctx: Context) -> None:
        self.kind = kind
        self.model = model
        self.ctx = ctx
        self.condstore = kind.qresync
        self.counted: list[int] = []
        """UIDs by message number; the client itself would have to fetch them."""
        self.flags: dict[int, frozenset[str]] = {}
        self.modseqs: dict[int, int] = {}
        self.modseq = 0
        """HIGHESTMODSEQ that the client would store (RFC 7162 section 6)."""
        self._last = 0
        self._selecting = False

    @property
    def vanishes(self) -> bool:
        """True if it gets VANISHED in place of EXPUNGE."""
        return self.kind.qresync or self.kind.uidonly

    def enable(self) -> None:
        """Note that the next command enables CONDSTORE."""
        assert self.kind.condstore
        self.condstore = True

    def start_selecting(self) -> None:
        self.counted, self._last, self._selecting = [], 0, True
        self.flags, self.modseqs = {}, {}
        self.modseq = 0

    def apply(
        self, command: str, lines: list[str], *, holds: bool = False, uid: bool = False
    ) -> Result:
        """Apply the responses to a command, and check them and the mailbox.

        Args:
            command: its name.
            lines: up to the tagged one.
            holds: True if no EXPUNGE or VANISHED may be sent.
            uid: True for UID commands.
        """
        result = Result(lines[-1], {}, [], [], None)
        highest, code = self.modseq, None
        for line in lines:
            if at := re.search(r"\[HIGHESTMODSEQ (\d+)\]", line):
                code = int(at[1])
            if found := re.fullmatch(r"\* (\d+) EXISTS", line):
                self._exists(int(found[1]))
            elif found := re.fullmatch(r"\* (\d+) EXPUNGE", line):
                assert not holds, (command, line)
                assert not self.vanishes, (command, line)
                gone = self.counted.pop(int(found[1]) - 1)
                assert gone in self.model.expunged, (command, line)
            elif found := re.fullmatch(r"\* VANISHED \(EARLIER\) ([\d,:]+)", line):
                assert self.kind.qresync
                result.earlier.extend(numbers(found[1]))
            elif found := re.fullmatch(r"\* VANISHED ([\d,:]+)", line):
                assert not holds, (command, line)
                assert self.vanishes, (command, line)
                for gone in numbers(found[1]):
                    self.counted.remove(gone)  # each is one that was counted
                    assert gone in self.model.expunged
            elif found := re.fullmatch(r"\* (\d+) (UIDFETCH|FETCH) \((.*)\)", line):
                assert (found[2] == "UIDFETCH") == self.kind.uidonly, (command, line)
                one = int(found[1]) if self.kind.uidonly else self.counted[int(found[1]) - 1]
                assert one in self.counted
                result.fetched[one] = found[3]
                highest = max(highest, self._fetch(command, one, found[3], of_uid_command=uid))
            elif line.startswith(("* SEARCH", "* ESEARCH")):
                result = self._search(line, result)
            elif line.endswith(" RECENT"):
                assert not self.kind.rev2
        if self.condstore or self._selecting:
            self.modseq = highest if code is None else code
        self._selecting = False
        self._check(command, holds=holds)
        return result

    def _exists(self, count: int) -> None:
        new = [uid for uid in self.model.messages if uid > self._last]
        assert count == len(self.counted) + len(new), (count, self.counted, new)
        assert new or self._selecting
        self.counted += new
        self._last = max([self._last, *new])

    def _fetch(self, command: str, uid: int, items: str, *, of_uid_command: bool) -> int:
        """Check one FETCH, and return its MODSEQ or 0.

        In responses to FETCH itself, UID and MODSEQ are there if the command asks for them; UID
        is in all that IMAP4rev2 sends unasked (RFC 9051 section 7.5.2).
        """
        found_uid = re.search(r"UID (\d+)", items)
        found_modseq = re.search(r"MODSEQ \((\d+)\)", items)
        assert found_uid is None or int(found_uid[1]) == uid
        if self.kind.uidonly:
            assert found_uid is None, (command, items)
        if command != "FETCH":
            if not self.kind.uidonly and (command != "STORE" or not self.kind.rev2):
                wants_uid = self.kind.rev2 or self.condstore or of_uid_command
                assert (found_uid is not None) == wants_uid, (command, items)
            assert (found_modseq is not None) == self.condstore, (command, items)
        message = self.model.messages[uid]
        if found := re.search(r"FLAGS \((.*?)\)", items):
            self.flags[uid] = frozenset(found[1].split()) - {r"\Recent"}
            assert self.flags[uid] == message.flags, (command, items)
        if found_modseq is None:
            return 0
        self.modseqs[uid] = int(found_modseq[1])
        assert self.modseqs[uid] == message.modseq, (command, items)
        return message.modseq

    def _search(self, line: str, result: Result) -> Result:
        modseq = re.search(r"MODSEQ (\d+)", line)
        if self.kind.rev2:
            found = re.search(r"ALL ([\d,:]+)", line)
            listed = numbers(found[1]) if found else []
        else:
            found = re.match(r"\* SEARCH((?: \d+)*)", line)
            assert found
            listed = [int(word) for word in found[1].split()]
        return result._replace(found=listed, modseq=int(modseq[1]) if modseq else None)

    def _check(self, command: str, *, holds: bool) -> None:
        existing = list(self.model.messages)
        if holds:
            assert [uid for uid in self.counted if uid in self.model.messages] == existing
        else:
            assert self.counted == existing, (command, self.kind.name)
        for uid, message in self.model.messages.items():
            assert self.flags.get(uid, message.flags) == message.flags, (command, uid)
            if self.condstore:
                assert self.modseqs.get(uid, message.modseq) == message.modseq, (command, uid)
        if self.condstore and self.modseq:
            # Nothing would be lost if the client came back with this MODSEQ.
            late = {uid for uid in self.counted if uid in self.model.expunged}
            assert all(self.model.expunged[uid] > self.modseq for uid in late), (command, late)
            assert self.modseq <= self.model.highest
