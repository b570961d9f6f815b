r"""Mailboxes of several users in plain lists, with rights and each user's \Seen.

Commands run one after another, so the model is exact. MODSEQs alone are read from the server: a
command may use more than one (a MOVE to another account marks, then expunges). `Mailbox.observe`
checks them: those of the messages that a command changed have grown, and no others (RFC 7162
section 3.1).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

SEEN, DELETED = r"\Seen", r"\Deleted"
FLAGS = (SEEN, r"\Flagged", DELETED, "$Work")
ALL_RIGHTS = frozenset("lrswipkxtea")
OTHER_USERS = "Other Users"
TEAM = "$team"


@dataclass
class Message:
    flags: frozenset[str]
    """Those of the owner of the mailbox."""
    size: int
    modseq: int = 0
    changed: int = 0
    """MODSEQ of the last change that all users see."""
    seen_changed: dict[str, int] = field(default_factory=dict)
    r"""User → MODSEQ of the last change of \Seen that only this user sees."""

    def changed_for(self, user: str) -> int:
        """Return the MODSEQ of the last change that a user sees."""
        return max(self.changed, self.seen_changed.get(user, 0))


@dataclass(frozen=True)
class Observed:
    """Mailbox as the server has stored it."""

    uid_validity: int
    highest: int
    modseqs: dict[int, int]
    """UID → MODSEQ."""


@dataclass(eq=False)
class Mailbox:
    owner: str
    name: str
    shared_seen: bool = False
    team: set[str] = field(default_factory=set)
    """Members of the group TEAM: one set for all mailboxes."""
    acl: dict[str, frozenset[str]] = field(default_factory=dict)
    """Identifier → rights; `-` in front takes them away."""
    messages: dict[int, Message] = field(default_factory=dict)
    seen: dict[str, set[int]] = field(default_factory=dict)
    r"""Reader → messages with the reader's own \Seen."""
    expunged: dict[int, tuple[int, int]] = field(default_factory=dict)
    """UID → HIGHESTMODSEQ before the command that expunged it, and afterwards."""
    exists: bool = True
    forgotten: bool = False
    """True if the server has forgotten some expunges, and may return too many."""
    uid_validity: int = 0
    highest: int = 0
    uid_next: int = 1
    touched: dict[int, str | None] = field(default_factory=dict)
    r"""UIDs that the current command has changed; a user, if only that user's \Seen."""
    gone: set[int] = field(default_factory=set)
    """UIDs that the current command has expunged."""
    retouched: bool = False
    """True if any message may get a new MODSEQ by the current command."""

    # --- rights ---------------------------------------------------------------------------------

    def rights(self, user: str) -> frozenset[str]:
        if user == self.owner:
            return ALL_RIGHTS
        if not self.exists:
            return frozenset()
        names = [user, "anyone"] + [TEAM] * (user in self.team)
        granted = frozenset().union(*(self.acl.get(name, ()) for name in names))
        return granted.difference(*(self.acl.get(f"-{name}", ()) for name in names))

    def settable(self, user: str) -> frozenset[str]:
        """Return the flags that a user may change (RFC 4314 section 4, STORE)."""
        rights = self.rights(user)
        needed = {SEEN: "s", DELETED: "t"}
        return frozenset(flag for flag in FLAGS if needed.get(flag, "w") in rights)

    def name_for(self, user: str) -> str:
        return self.name if user == self.owner else f'"{OTHER_USERS}/{self.owner}/{self.name}"'

    def has_own_seen(self, user: str) -> bool:
        return user != self.owner and not self.shared_seen

    # --- messages -------------------------------------------------------------------------------

    def flags(self, user: str, uid: int) -> frozenset[str]:
        """Return the flags of a message as a user sees them."""
        flags = self.messages[uid].flags
        if not self.has_own_seen(user):
            return flags
        return flags - {SEEN} | ({SEEN} if uid in self.seen.get(user, ()) else set())

    def unseen(self, user: str) -> int:
        return sum(SEEN not in self.flags(user, uid) for uid in self.messages)

    def counts(self, user: str) -> dict[str, int]:
        """Return values of STATUS."""
        deleted = sum(DELETED in message.flags for message in self.messages.values())
        return {
            "MESSAGES": len(self.messages),
            "UIDNEXT": self.uid_next,
            "UNSEEN": self.unseen(user),
            "DELETED": deleted,
            "SIZE": sum(message.size for message in self.messages.values()),
        }

    def append(self, user: str, messages: Iterable[tuple[frozenset[str], int]]) -> list[int]:
        """Append messages, given by flags and size; return the UIDs."""
        added = []
        for flags, size in messages:
            uid, self.uid_next = self.uid_next, self.uid_next + 1
            flags &= self.settable(user)
            if self.has_own_seen(user):
                if SEEN in flags:
                    self.seen.setdefault(user, set()).add(uid)
                flags -= {SEEN}
            self.messages[uid] = Message(flags, size)
            self.touched[uid] = None
            added.append(uid)
        return added

    def store(self, user: str, uids: Iterable[int], sign: str, flags: frozenset[str]) -> None:
        """Change the flags that a user may change."""
        may = self.settable(user)
        for uid in uids:
            if uid in self.messages:
                before = self.flags(user, uid)
                wanted = {"+": before | flags, "-": before - flags, "": flags}[sign]
                self._set_flags(user, uid, (wanted & may) | (before - may))

    def modified(
        self, user: str, uids: list[int], sign: str, flags: frozenset[str], since: int
    ) -> tuple[set[int], set[int]]:
        r"""Return the messages that MODIFIED must have, and those that it may have.

        They have other flags than a client of `since` expects. A change of another user's \Seen
        may count.
        """
        unexpected = {
            uid
            for uid in uids
            if uid in self.messages
            and not self._expected(user, uid, sign, flags, absent=since == 0)
        }
        must = {uid for uid in unexpected if self.messages[uid].changed_for(user) > since}
        return must, {uid for uid in unexpected if self.messages[uid].modseq > since}

    def _expected(
        self, user: str, uid: int, sign: str, flags: frozenset[str], *, absent: bool
    ) -> bool:
        r"""Return True if flags that are added are not set, or flags that are removed are set.

        With a MODSEQ of 0 keywords have to be absent (RFC 7162 section 3.1.3). With a private \Seen
        in the command, all changes count.
        """
        had = self.flags(user, uid)
        if not sign or (absent and any(flag.startswith("\\") for flag in flags)):
            return False
        if SEEN in flags and self.has_own_seen(user):
            return False
        return flags.isdisjoint(had) if sign == "+" or absent else flags <= had

    def _set_flags(self, user: str, uid: int, flags: frozenset[str]) -> None:
        before = self.flags(user, uid)
        if flags == before:
            return
        only_seen = flags ^ before == {SEEN} and not self.shared_seen
        self.touched[uid] = user if only_seen else None
        message = self.messages[uid]
        if not self.has_own_seen(user):
            message.flags = flags
            return
        mine = self.seen.setdefault(user, set())
        (mine.add if SEEN in flags else mine.discard)(uid)
        message.flags = (flags - {SEEN}) | (message.flags & {SEEN})

    def expunge(self, uids: Iterable[int]) -> None:
        for uid in uids:
            if uid in self.messages:
                del self.messages[uid]
                self.gone.add(uid)

    def share_seen(self, *, shared: bool) -> None:
        r"""Choose between one \Seen for all and one for each reader."""
        users = {self.owner, *self.seen}
        before = {(user, uid): self.flags(user, uid) for user in users for uid in self.messages}
        self.shared_seen = shared
        self.retouched = True
        for user, uid in before:
            if self.flags(user, uid) != before[user, uid]:
                self.touched[uid] = None

    # --- the server's MODSEQs -------------------------------------------------------------------

    @property
    def is_changing(self) -> bool:
        """True if the current command changes messages."""
        return bool(self.touched or self.gone or self.retouched)

    def observe(self, stored: Observed) -> None:
        """Check what the server has stored after a command, and take its MODSEQs."""
        assert list(stored.modseqs) == list(self.messages), (self.name, stored)
        assert self.uid_validity in (0, stored.uid_validity)
        self.uid_validity = stored.uid_validity
        before, self.highest = self.highest, stored.highest
        if not self.is_changing:
            assert stored.highest == before or not before, (self.name, before, stored)
        for uid, message in self.messages.items():
            old, message.modseq = message.modseq, stored.modseqs[uid]
            if uid in self.touched:
                assert message.modseq > before, (self.name, uid, before, stored)
                user = self.touched[uid]
                if user is None:
                    message.changed = message.modseq
                else:
                    message.seen_changed[user] = message.modseq
            elif not self.retouched:
                assert message.modseq == old, (self.name, uid, old, stored)
            assert message.modseq <= stored.highest
        for uid in self.gone:
            assert stored.highest > before
            self.expunged[uid] = (before, stored.highest)
        self.touched, self.gone, self.retouched = {}, set(), False

    def expunged_since(self, modseq: int) -> tuple[set[int], set[int]]:
        """Return the UIDs that VANISHED (EARLIER) must have, and those that it may have."""
        must = {uid for uid, (before, _) in self.expunged.items() if before >= modseq}
        if self.forgotten:
            return must, set(self.expunged)
        return must, {uid for uid, (_, after) in self.expunged.items() if after > modseq}

    def changed_since(self, user: str, modseq: int) -> tuple[set[int], set[int]]:
        """Return the UIDs that a user must be sent as changed, and those that may be sent."""
        must = {uid for uid, each in self.messages.items() if each.changed_for(user) > modseq}
        return must, {uid for uid, each in self.messages.items() if each.modseq > modseq}
