"""Model of the store: lists and dicts, to compare the store with."""

from copy import deepcopy
from dataclasses import dataclass, field


@dataclass
class NaiveMessage:
    uid: int
    content: bytes
    flags: int
    keywords: frozenset[str]
    modseq: int


def as_expected(message: NaiveMessage, mode, flags, keywords, *, presence) -> bool:
    """Return True if no flag that is added is set, and all that are removed are.

    With `presence` (UNCHANGEDSINCE 0), if there is no system flag, and no keyword is set.
    """
    named, had = ({one.lower() for one in words} for words in (keywords, message.keywords))
    if mode == "replace" or (presence and flags):
        return False
    if mode == "add" or presence:
        return not message.flags & flags and not named & had
    return message.flags & flags == flags and named <= had


@dataclass
class NaiveMailbox:
    id: int
    uid_validity: int
    messages: list[NaiveMessage] = field(default_factory=list)
    uid_next: int = 1
    modseq: int = 1
    history: list[tuple[int, str, frozenset[int]]] = field(default_factory=list)
    """MODSEQ, kind of change, UIDs."""

    def log(self, what: str, uids) -> None:
        self.modseq += 1
        self.history.append((self.modseq, what, frozenset(uids)))

    def append(self, messages: list[NaiveMessage]) -> list[int]:
        if not messages:
            return []
        self.log("appended", range(self.uid_next, self.uid_next + len(messages)))
        for message in messages:
            message.uid, message.modseq = self.uid_next, self.modseq
            self.messages.append(message)
            self.uid_next += 1
        return [message.uid for message in messages]

    def chosen(self, uids) -> list[NaiveMessage]:
        return [message for message in self.messages if message.uid in uids]

    def store(self, uids, mode, flags, keywords, since):
        """Return UIDs that changed and that were refused; mode is "add", "remove" or "replace"."""
        changed, refused = [], []
        for message in self.chosen(uids):
            if (
                since is not None
                and message.modseq > since
                and not as_expected(message, mode, flags, keywords, presence=since == 0)
            ):
                refused.append(message.uid)
                continue
            if mode == "add":
                now = (message.flags | flags, message.keywords | keywords)
            elif mode == "remove":
                now = (message.flags & ~flags, message.keywords - keywords)
            else:
                now = (flags, keywords)
            if now != (message.flags, message.keywords):
                message.flags, message.keywords = now
                changed.append(message)
        if changed:
            self.log("flagged", [message.uid for message in changed])
            for message in changed:
                message.modseq = self.modseq
        return {message.uid for message in changed}, set(refused)

    def remove(self, gone: list[NaiveMessage]) -> None:
        if gone:
            self.log("expunged", [message.uid for message in gone])
            self.messages = [message for message in self.messages if message not in gone]

    def since(self, modseq: int) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {"appended": set(), "flagged": set(), "expunged": set()}
        for when, what, uids in self.history:
            if when > modseq:
                found[what] |= uids
        found["flagged"] -= found["appended"]
        return found


class NaiveStore:
    """Model of one account."""

    def __init__(self, mailboxes: dict[str, NaiveMailbox], subscribed: set[str]) -> None:
        self.mailboxes = mailboxes
        self.subscribed = subscribed

    def exists(self, name: str) -> bool:
        return name in self.mailboxes

    def below(self, name: str) -> list[str]:
        return [other for other in self.mailboxes if other.startswith(name + "/")]

    def missing_parents(self, name: str) -> list[str]:
        levels = name.split("/")
        above = ["/".join(levels[:depth]) for depth in range(1, len(levels))]
        return [parent for parent in above if parent not in self.mailboxes]

    def can_rename(self, old: str, new: str) -> bool:
        moved = [name for name in (old, *self.below(old)) if name in self.mailboxes]
        after = {new + name[len(old) :] for name in moved}
        return bool(
            moved
            and new not in self.mailboxes
            and not new.startswith(old + "/")
            and not (after & (self.mailboxes.keys() - set(moved)))
        )

    def rename(self, old: str, new: str) -> None:
        moved = {
            name: self.mailboxes.pop(name)
            for name in (old, *self.below(old))
            if name in self.mailboxes
        }
        for name, mailbox in moved.items():
            self.mailboxes[new + name[len(old) :]] = mailbox

    def copy(self, source: NaiveMailbox, uids, target: NaiveMailbox, *, move: bool):
        chosen = source.chosen(uids)
        copies = target.append(deepcopy(chosen))
        if move:
            source.remove(chosen)
        return [message.uid for message in chosen], copies
