"""Slow model of SORT and THREAD, written from RFC 5256, 5957 and 5051."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any


@dataclass
class Address:
    """First address of a field."""

    name: str | None
    local: str
    host: str


@dataclass
class Message:
    """Message as SORT and THREAD see it."""

    number: int
    arrival: int = 0
    sent: int | None = None
    size: int = 0
    subject: str = ""
    senders: Address | None = None
    to: Address | None = None
    cc: Address | None = None
    message_id: str | None = None
    references: list[str] = field(default_factory=list)
    in_reply_to: list[str] = field(default_factory=list)

    @property
    def date(self) -> tuple[int, int]:
        """Sent date, and the message number for equal dates (RFC 5256 section 2.2)."""
        return (self.arrival if self.sent is None else self.sent, self.number)


def casemap(text: str) -> bytes:
    """Return the titlecased canonicalized UTF-8 string of RFC 5051 section 2."""
    prepared = ""
    for char in text:
        title = char.title()
        simple = title if len(title) == 1 else char
        prepared += unicodedata.normalize("NFKD", simple)
    return prepared.encode()


BLOB = r"\[[^\[\]]*\][ \t]*"
LEADER = re.compile(rf"(?:{BLOB})*(?:re|fwd|fw)[ \t]*(?:{BLOB})?:", re.IGNORECASE)


def base_subject(subject: str) -> tuple[str, bool]:
    """Return the base subject, and whether the message is a reply or forward (section 2.1)."""
    is_reply = False
    text = re.sub(r"[ \t]+", " ", subject)  # step 1
    while True:
        while True:  # step 2
            if text.lower().endswith("(fwd)"):
                text, is_reply = text[:-5], True
            elif text.endswith((" ", "\t")):
                text = text[:-1]
            else:
                break
        while True:  # steps 3 to 5
            if text.startswith((" ", "\t")):
                text = text[1:]
            elif found := LEADER.match(text):
                text, is_reply = text[found.end() :], True
            elif (found := re.match(BLOB, text)) and text[found.end() :]:
                text = text[found.end() :]
            else:
                break
        if not (text.lower().startswith("[fwd:") and text.endswith("]")):  # step 6
            return text, is_reply
        text, is_reply = text[5:-1], True


def display(address: Address | None) -> str:
    """Return the sort value of RFC 5957 section 3."""
    if address is None:
        return ""
    return address.name or (f"{address.local}@{address.host}" if address.host else address.local)


def mailbox(address: Address | None) -> str:
    return "" if address is None else address.local


KEYS: dict[str, Any] = {
    "ARRIVAL": lambda m: m.arrival,
    "CC": lambda m: casemap(mailbox(m.cc)),
    "DATE": lambda m: m.date[0],
    "DISPLAYFROM": lambda m: casemap(display(m.senders)),
    "DISPLAYTO": lambda m: casemap(display(m.to)),
    "FROM": lambda m: casemap(mailbox(m.senders)),
    "SIZE": lambda m: m.size,
    "SUBJECT": lambda m: casemap(base_subject(m.subject)[0]),
    "TO": lambda m: casemap(mailbox(m.to)),
}


def sort(messages: Iterable[Message], criteria: Iterable[tuple[bool, str]]) -> list[int]:
    """Return the message numbers in order."""
    messages = sorted(messages, key=lambda m: m.number)
    for reverse, key in reversed(list(criteria)):
        messages.sort(key=KEYS[key], reverse=reverse)  # equal ones keep their order
    return [message.number for message in messages]


# --- THREAD --------------------------------------------------------------------------------------


class Node:
    """Message or dummy in a tree."""

    def __init__(self, message: Message | None = None) -> None:
        self.message = message
        self.parent: Node | None = None
        self.children: list[Node] = []

    def link(self, parent: "Node") -> None:
        """Become a child, unless that makes a loop."""
        at: Node | None = parent
        while at is not None:
            if at is self:
                return
            at = at.parent
        self.unlink()
        self.parent = parent
        parent.children.append(self)

    def unlink(self) -> None:
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent = None

    @property
    def first(self) -> Message:
        """The message, or the first child of a dummy."""
        if self.message is not None:
            return self.message
        return min((child.first for child in self.children), key=lambda m: m.date)

    def sort(self) -> None:
        for child in self.children:
            child.sort()
        self.children.sort(key=lambda child: child.first.date)

    def latest(self) -> tuple[int, int]:
        own = [] if self.message is None else [(self.message.arrival, self.message.number)]
        return max([*own, *(child.latest() for child in self.children)])

    @property
    def subject(self) -> bytes:
        return casemap(base_subject(self.first.subject)[0])

    @property
    def is_reply(self) -> bool:
        assert self.message is not None
        return base_subject(self.message.subject)[1]

    def text(self) -> str:
        below = [child.text() for child in self.children]
        own = "" if self.message is None else str(self.message.number)
        if len(below) == 1 and own:
            return f"{own} {below[0]}"
        if not below:
            return own
        return f"{own} " * bool(own) + "".join(f"({text})" for text in below)


def prune(nodes: list[Node], *, at_root: bool) -> list[Node]:
    """Do step 3 of REFERENCES."""
    kept = []
    for node in nodes:
        node.children = prune(node.children, at_root=False)
        if node.message is not None or (at_root and len(node.children) > 1):
            kept.append(node)
        else:
            kept += node.children
    return kept


def by_references(messages: list[Message]) -> list[Node]:
    """Do steps 1 to 3 of REFERENCES."""
    table: dict[str, Node] = {}
    nodes = []
    for message in messages:
        node = Node(message)
        nodes.append(node)
        if message.message_id is not None and message.message_id not in table:
            table[message.message_id] = node
    extra = list(nodes)
    for message, node in zip(messages, nodes, strict=True):
        ids = message.references or message.in_reply_to[:1]
        above = []
        for reference in ids:
            if reference not in table:
                table[reference] = Node()
                extra.append(table[reference])
            above.append(table[reference])
        for parent, child in pairwise(above):
            if child.parent is None:
                child.link(parent)
        node.unlink()
        if above:
            node.link(above[-1])
    return prune([node for node in extra if node.parent is None], at_root=True)


def merge_subjects(roots: list[Node]) -> list[Node]:
    """Do step 5 of REFERENCES."""
    table: dict[bytes, Node] = {}
    for node in roots:
        if not node.subject:
            continue
        found = table.get(node.subject)
        if found is None or (
            found.message is not None
            and (node.message is None or (found.is_reply and not node.is_reply))
        ):
            table[node.subject] = node
    merged = list(roots)
    for node in roots:
        subject = node.subject
        found = table.get(subject)
        if not subject or found is node:
            continue
        assert found is not None
        merged.remove(node)
        if found.message is None and node.message is None:
            found.children += node.children
        elif found.message is None or (node.is_reply and not found.is_reply):
            found.children.append(node)
        else:
            dummy = Node()
            dummy.children = [node, found]
            merged.remove(found)
            merged.append(dummy)
            table[subject] = dummy
    return merged


def by_subject(messages: list[Message]) -> list[Node]:
    """Do ORDEREDSUBJECT."""
    ordered = sorted(messages, key=lambda m: (casemap(base_subject(m.subject)[0]), m.date))
    threads: list[Node] = []
    for message in ordered:
        node = Node(message)
        if threads and threads[-1].subject == node.subject:
            threads[-1].children.append(node)
        else:
            threads.append(node)
    return threads


def thread(messages: Iterable[Message], algorithm: str) -> str:
    """Return the THREAD response without its name."""
    messages = sorted(messages, key=lambda m: m.number)
    root = Node()
    is_flat = algorithm == "ORDEREDSUBJECT"
    root.children = by_subject(messages) if is_flat else by_references(messages)
    root.sort()
    if algorithm == "REFERENCES":
        root.children = merge_subjects(root.children)
        root.sort()
    elif algorithm == "REFS":
        root.children.sort(key=Node.latest)
    return "".join(f"({node.text()})" for node in root.children)
