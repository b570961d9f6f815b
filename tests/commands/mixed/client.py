r"""Clients with different extensions, whose pictures of a mailbox are checked against the model.

Each derives the mailbox from the responses to its commands. After each command, it has every
change, and messages that were expunged only while they are held back (RFC 9051 section 7.5.1, RFC
7162 section 3.2.10.2). \Recent is left out: tests/commands/random/random_clients.py has it.
"""

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.commands.mixed.backend import Link
from tests.commands.mixed.model import DELETED, SEEN, Mailbox

PERMANENT = {
    SEEN: "s",
    DELETED: "t",
    **dict.fromkeys((r"\Answered", r"\Flagged", r"\Draft", r"\*"), "w"),
}
"""Flags that PERMANENTFLAGS has with a right."""
COUNTS = ("MESSAGES", "UIDNEXT", "UNSEEN")
BYE = "* BYE [NONEXISTENT] selected mailbox was deleted"


class Kind(NamedTuple):
    """Extensions that a client uses."""

    name: str
    enabled: str = ""
    rev2: bool = False
    condstore: bool = False
    """True if it sends commands with MODSEQ, which enable CONDSTORE."""
    qresync: bool = False
    uidonly: bool = False

    def with_enabled(self, names: str) -> "Kind":
        """Return the kind after another ENABLE."""
        words = names.split()
        return Kind(
            f"{self.name} then {names}",
            f"{self.enabled} {names}".strip(),
            self.rev2 or "IMAP4rev2" in words,
            self.condstore or "QRESYNC" in words or "CONDSTORE" in words,
            self.qresync or "QRESYNC" in words,
            self.uidonly or "UIDONLY" in words,
        )


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


@dataclass
class Result:
    """Responses to one command."""

    tagged: str
    lines: list[str]
    fetched: dict[int, str] = field(default_factory=dict)
    """UID → items of the last FETCH."""
    earlier: list[int] = field(default_factory=list)
    """UIDs of VANISHED (EARLIER)."""
    found: list[int] = field(default_factory=list)
    """Numbers of SEARCH or ESEARCH ALL."""
    modseq: int | None = None
    """MODSEQ of SEARCH or ESEARCH."""


@dataclass
class LiveResult:
    """Result of a search that the server keeps up to date (RFC 5267 section 4.3).

    Args:
        expected: returns the UIDs that the model has for it.
        ordered: True for SORT, whose positions count.
        uid: True for UID commands; the results of others are message numbers.
    """

    expected: Callable[[], list[int]]
    ordered: bool
    uid: bool
    uids: list[int] = field(default_factory=list)

    def uids_of(self, found: list[int], counted: list[int]) -> list[int]:
        """Return the UIDs of a result; `counted` has those of the message numbers now."""
        return list(found) if self.uid else [counted[number - 1] for number in found]

    def apply(self, line: str, counted: list[int]) -> None:
        """Apply ADDTO and REMOVEFROM, in the order in which they are."""
        assert self.uid == (") UID " in line), line
        for action, parts in re.findall(r"(ADDTO|REMOVEFROM) \((.*?)\)", line):
            words = parts.split()
            for place, found in zip(words[::2], words[1::2], strict=True):
                assert (place != "0") == self.ordered, line
                for offset, uid in enumerate(self.uids_of(numbers(found), counted)):
                    if action == "ADDTO":
                        assert uid not in self.uids, line
                        self.uids.insert(int(place) - 1 + offset, uid)
                    elif self.ordered:
                        assert self.uids.pop(int(place) - 1) == uid, line
                    else:
                        self.uids.remove(uid)
        if not self.ordered:
            self.uids.sort()


class Cache(NamedTuple):
    """Mailbox as a client knew it when its connection was lost."""

    mailbox: Mailbox
    uid_validity: int
    modseq: int
    flags: dict[int, frozenset[str]]
    counted: list[int]


class MixedClient:
    """Session that derives its mailbox from the responses.

    Args:
        user: login name.
        kind: extensions that it uses.
        link: signed in.
        world: all mailboxes.
    """

    def __init__(self, user: str, kind: Kind, link: Link, world: Sequence[Mailbox]) -> None:
        self.user = user
        self.kind = kind
        self.world = world
        self.start(link)

    def start(self, link: Link) -> None:
        """Start a new session."""
        self.link = link
        self.idle: str | None = None
        """Tag of IDLE."""
        self.condstore = self.kind.qresync
        self.mailbox: Mailbox | None = None
        self.uid_validity = 0
        self.read_only = False
        self.counted: list[int] = []
        """UIDs by message number; the client itself would have to fetch them."""
        self.flags: dict[int, frozenset[str]] = {}
        self.modseqs: dict[int, int] = {}
        self.modseq = 0
        """HIGHESTMODSEQ that the client would store (RFC 7162 section 6)."""
        self.permanent: frozenset[str] = frozenset()
        """PERMANENTFLAGS."""
        self.saved: set[int] = set()
        """Result of SEARCH RETURN (SAVE)."""
        self.notify: str | None = None
        """SELECTED or SELECTED-DELAYED: what is pushed of the selected mailbox."""
        self.watches_others = False
        """True if NOTIFY concerns other mailboxes, too."""
        self.fetches_new = False
        """True if NOTIFY asks for the flags of new messages."""
        self.statuses: dict[Mailbox, dict[str, int]] = {}
        """Counts of mailboxes that are not selected, as they were pushed."""
        self.live: dict[str, LiveResult] = {}
        """Searches with UPDATE, by their tags."""
        self.cache: Cache | None = None
        """Mailbox as it was known when the connection was lost."""
        self._last = 0
        self._selecting = False

    def __repr__(self) -> str:
        return f"{self.user}/{self.kind.name}"

    @property
    def vanishes(self) -> bool:
        """True if it gets VANISHED in place of EXPUNGE."""
        return self.kind.qresync or self.kind.uidonly

    @property
    def picture(self) -> Mailbox:
        """The selected mailbox."""
        assert self.mailbox is not None
        return self.mailbox

    @property
    def is_cut_off(self) -> bool:
        """True if the next update of the selected mailbox is BYE."""
        mailbox = self.mailbox
        return mailbox is not None and not (mailbox.exists and "r" in mailbox.rights(self.user))

    @property
    def is_pushed_to(self) -> bool:
        """True if updates are sent without a command."""
        return self.idle is not None or self.notify is not None

    @property
    def holds_pushed(self) -> bool:
        """True if no EXPUNGE is sent without a command."""
        return self.idle is None and self.notify == "SELECTED-DELAYED" and not self.link.completes

    @property
    def is_current(self) -> bool:
        """True if the picture is that of the model, so that no update has to be sent."""
        if self.is_cut_off:
            return False
        try:
            self.check("", holds=self.notify == "SELECTED-DELAYED")
        except AssertionError:
            return False
        return True

    def enable_condstore(self) -> None:
        """Note that the next command enables CONDSTORE."""
        assert self.kind.condstore
        self.condstore = True

    def start_selecting(self, mailbox: Mailbox, *, read_only: bool) -> None:
        """Note the next SELECT or EXAMINE."""
        self.flags, self.modseqs = {}, {}
        self.mailbox = mailbox
        self.counted, self._last, self._selecting = [], 0, True
        self.saved, self.live = set(), {}
        self.modseq = 0
        rights = mailbox.rights(self.user)
        self.read_only = read_only or not rights & set("swte")

    def deselect(self) -> None:
        self.mailbox = None
        self.counted, self.flags, self.modseqs, self.saved = [], {}, {}, set()
        self.live = {}

    # --- responses ------------------------------------------------------------------------------

    def apply(
        self, command: str, lines: list[str], *, holds: bool = False, uid: bool = False
    ) -> Result:
        """Apply the responses to a command, and check them and the mailbox.

        Args:
            command: its name; IDLE for what was pushed.
            lines: up to the tagged one.
            holds: True if no EXPUNGE or VANISHED may be sent.
            uid: True for UID commands.
        """
        result = Result(lines[-1] if lines else "", lines)
        highest, code = self.modseq, None
        for line in lines:
            if at := re.search(r"\[HIGHESTMODSEQ (\d+)\]", line):
                code = int(at[1])
            if at := re.search(r"\[PERMANENTFLAGS \((.*)\)\]", line):
                self.permanent = frozenset(at[1].split())
            if found := re.fullmatch(r"\* (\d+) EXISTS", line):
                self._exists(int(found[1]))
            elif re.fullmatch(r"\* (\d+) EXPUNGE|\* VANISHED [\d,:]+", line):
                assert not holds, (command, line)
                self._removed(command, line)
            elif found := re.fullmatch(r"\* VANISHED \(EARLIER\) ([\d,:]+)", line):
                assert self.kind.qresync
                result.earlier.extend(numbers(found[1]))
            elif found := re.fullmatch(r"\* (\d+) (UIDFETCH|FETCH) \((.*)\)", line):
                assert (found[2] == "UIDFETCH") == self.kind.uidonly, (command, line)
                one = int(found[1]) if self.kind.uidonly else self.counted[int(found[1]) - 1]
                assert one in self.counted
                result.fetched[one] = found[3]
                highest = max(highest, self._fetch(command, one, found[3], of_uid_command=uid))
            elif found := re.match(r'\* ESEARCH \(TAG "(\w+)"\) (?:UID )?(?:ADD|REM)', line):
                self.live[found[1]].apply(line, self.counted)
            elif line.startswith(("* SEARCH", "* ESEARCH")) and "MAILBOX" not in line:
                self._search(line, result)
            elif found := re.fullmatch(r"\* STATUS (.+) \((.*)\)", line):
                self._status(found[1], found[2])
            elif line.endswith(" RECENT"):
                assert not self.kind.rev2
        if self.condstore or self._selecting:
            self.modseq = highest if code is None else code
        self._selecting = False
        self.check(command, holds=holds)
        return result

    def _status(self, name: str, items: str) -> None:
        """Note the counts of a mailbox; UNSEEN is not sent again with new messages."""
        found = [each for each in self.world if each.name_for(self.user) == name]
        if not self.watches_others or not found or found[0] is self.mailbox:
            return
        words = items.split()
        known = self.statuses.setdefault(found[0], {})
        known.pop("UNSEEN", None)
        pairs = zip(words[::2], words[1::2], strict=True)
        known.update((word, int(n)) for word, n in pairs if word in COUNTS)

    def forget_counts(self, changed: Container[Mailbox]) -> None:
        """Forget the counts of mailboxes that this client changes, or cannot see any more."""
        for mailbox in list(self.statuses):
            visible = mailbox.exists and {"l", "r"} <= mailbox.rights(self.user)
            if mailbox in changed or mailbox is self.mailbox or not visible:
                del self.statuses[mailbox]

    def _exists(self, count: int) -> None:
        new = [uid for uid in self.picture.messages if uid > self._last]
        assert count == len(self.counted) + len(new), (count, self.counted, new)
        assert new or self._selecting
        self.counted += new
        self._last = max([self._last, *new])

    def _removed(self, command: str, line: str) -> None:
        words = line.split()
        assert self.vanishes == (words[1] == "VANISHED"), (command, line)
        for one in numbers(words[2]) if self.vanishes else [self.counted[int(words[1]) - 1]]:
            self.counted.remove(one)  # each is one that was counted
            self.flags.pop(one, None)
            self.modseqs.pop(one, None)
            assert one in self.picture.expunged, (command, line)

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
            varies = self.kind.rev2 or self.notify is not None  # updates have it, STORE has not
            if not self.kind.uidonly and (command != "STORE" or not varies):
                wants_uid = varies or self.condstore or of_uid_command
                assert (found_uid is not None) == wants_uid, (command, items)
            assert (found_modseq is not None) == self.condstore, (command, items)
        message = self.picture.messages[uid]
        if found := re.search(r"FLAGS \((.*?)\)", items):
            self.flags[uid] = frozenset(found[1].split()) - {r"\Recent"}
            assert self.flags[uid] == self.picture.flags(self.user, uid), (command, items)
        if found_modseq is None:
            return 0
        self.modseqs[uid] = int(found_modseq[1])
        assert self.modseqs[uid] == message.modseq, (command, items)
        return message.modseq

    def _search(self, line: str, result: Result) -> None:
        if modseq := re.search(r"MODSEQ (\d+)", line):
            result.modseq = int(modseq[1])
        if line.startswith("* ESEARCH"):
            found = re.search(r"ALL ([\d,:]+)", line)
            result.found = numbers(found[1]) if found else []
            for tag, live in self.live.items():
                if f'(TAG "{tag}")' in line:
                    live.uids = live.uids_of(result.found, self.counted)
        else:
            assert not self.kind.rev2
            found = re.match(r"\* SEARCH((?: \d+)*)", line)
            assert found
            result.found = [int(word) for word in found[1].split()]

    # --- the model ------------------------------------------------------------------------------

    def check(self, command: str, *, holds: bool = False) -> None:
        """Compare the pictures with the model."""
        for mailbox, counts in self.statuses.items():
            actual = mailbox.counts(self.user)
            assert counts.items() <= actual.items(), (command, self, mailbox.name, counts, actual)
        mailbox = self.mailbox
        if mailbox is None:
            return
        existing = list(mailbox.messages)
        if holds:
            assert [uid for uid in self.counted if uid in mailbox.messages] == existing
        else:
            assert self.counted == existing, (command, self)
        for uid, flags in self.flags.items():
            if uid in mailbox.messages:
                assert flags == mailbox.flags(self.user, uid), (command, self, uid)
        for tag, live in self.live.items():
            assert live.uids == live.expected(), (command, self, tag, live.uids, live.expected())
        assert self.permanent == self._permanent(), (command, self)
        if not self.condstore:
            return
        for uid, modseq in self.modseqs.items():
            if uid in mailbox.messages:
                message = mailbox.messages[uid]
                assert message.changed_for(self.user) <= modseq <= message.modseq, (command, uid)
        if self.modseq:
            # Nothing would be lost if the client came back with this MODSEQ.
            late = [mailbox.expunged[uid] for uid in self.counted if uid in mailbox.expunged]
            assert all(after > self.modseq for _, after in late), (command, late)
            assert self.modseq <= mailbox.highest

    def _permanent(self) -> frozenset[str]:
        r"""Return PERMANENTFLAGS for the rights of the user (RFC 4314 section 5.1.1)."""
        rights = frozenset() if self.read_only else self.picture.rights(self.user)
        flags = {flag for flag, right in PERMANENT.items() if right in rights}
        keywords = {flag for flag in self.permanent if not flag.startswith("\\")}
        return frozenset(flags | keywords if "w" in rights else flags)
