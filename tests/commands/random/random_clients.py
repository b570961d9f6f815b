r"""Clients that act at random on some mailboxes, and track them by the responses.

Each keeps a list as RFC 9051 requires: EXISTS lengthens it, EXPUNGE removes an entry, FETCH changes
one. With IMAP4rev1 it also tracks \Recent (RFC 3501 sections 2.3.2 and 7.3.2): the flag of a
message never changes in a session, and RECENT counts the entries with it at the end of each
command. A `Ledger` compares the sessions: a message is recent in at most one read-write session,
and in exactly one of those that were notified of it.
"""

import random
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Container
from typing import Protocol

import trio

FLAGS = (rb"\Seen", rb"\Flagged", rb"\Deleted", b"$Work")
MESSAGE = b"{4+}\r\nA: b"
DELETED = "* BYE [NONEXISTENT] selected mailbox was deleted"

MessageKey = tuple[int, int]
"""UIDVALIDITY, which is unique among the mailboxes of an account, and UID."""


class Link(Protocol):
    """Connection that has signed in."""

    async def send(self, data: bytes) -> list[str]:
        """Send a command; return the response lines up to the tagged one or to the end."""

    async def idle(self, tag: bytes, seconds: float) -> list[str]:
        """Idle for some time; return the response lines."""

    async def close(self) -> None:
        """Close the connection without LOGOUT."""


Connect = Callable[[], Awaitable[Link]]


class Message:
    """Entry in a client's list."""

    __slots__ = ("flags", "recent", "uid")

    def __init__(self, *, recent: bool | None) -> None:
        self.flags: set[str] | None = None
        self.recent = recent
        r"""True if it is \Recent in this session; None until that is known."""
        self.uid: int | None = None


class Ledger:
    r"""Sessions of all clients, and the messages that are \Recent in them.

    Args:
        names: the mailboxes.
        in_turns: True if no two commands run at the same time, so that it is known which session
            was notified of a message first.
    """

    def __init__(self, *names: bytes, in_turns: bool) -> None:
        self.names = names
        self.in_turns = in_turns
        self.owner: dict[MessageKey, str] = {}
        """The read-write session in which a message is recent."""
        self.notified: dict[MessageKey, set[str]] = defaultdict(set)
        """Read-write sessions that were notified of a message."""

    def note(self, client: "Client", message: Message) -> None:
        """Note a message of which a session has been notified."""
        assert message.uid is not None
        key = (client.uid_validity, message.uid)
        owner = self.owner.get(key)
        if self.in_turns:
            first = owner in (None, client.session)
            assert message.recent == first, (client.session, key, owner, message.recent)
        if client.read_only:
            return
        self.notified[key].add(client.session)
        if message.recent:
            assert owner in (None, client.session), (client.session, key, owner)
            self.owner[key] = client.session

    def check(self, existing: Container[MessageKey]) -> None:
        """Assert that each message is recent in one of the sessions that were notified of it.

        Not of expunged messages if commands ran at the same time: a session claims up to a UID, and
        so also a message that was expunged before the session was notified.
        """
        for key in self.notified:
            if self.in_turns or key in existing:
                assert key in self.owner, (key, self.notified[key])


def _numbers(text: str) -> list[int]:
    """Return the numbers in a set, or separated by spaces."""
    return [
        number
        for first, last in re.findall(r"(\d+)(?::(\d+))?", text)
        for number in range(int(first), int(last or first) + 1)
    ]


class Client:
    """Client that tracks the mailbox by the responses."""

    def __init__(
        self,
        name: str,
        connect: Connect,
        ledger: Ledger,
        *,
        rev2: bool,
        qresync: bool = False,
        idles: bool = False,
    ) -> None:
        self.name = name
        self.ledger = ledger
        self.rev2 = rev2
        self.qresync = qresync
        self.idles = idles
        self.tags = 0
        self.sessions = 0
        self.mailbox: bytes | None = None
        """Name with which a mailbox was selected."""
        self.uid_validity = 0
        self.read_only = False
        self.messages: list[Message] = []
        self.recent = 0
        """Number in the last RECENT."""
        self._connect = connect
        self._link: Link | None = None
        self._noted: set[int] = set()
        self._found: list[Message] = []
        """Result of the last SEARCH."""
        self._not_found: list[Message] = []
        self._owed = False
        """True if RECENT has to follow in the same command."""

    @property
    def session(self) -> str:
        """Name of the current selection of a mailbox."""
        return f"{self.name}/{self.sessions}"

    # --- protocol -------------------------------------------------------------------------------

    async def start(self, *, read_only: bool = False) -> None:
        """Connect, and select the first mailbox."""
        self._link = await self._connect()
        self._deselect()
        if self.rev2:
            await self.do(b"ENABLE IMAP4rev2")
        if self.qresync:
            await self.do(b"ENABLE QRESYNC")
        await self.select(self.ledger.names[0], read_only=read_only)

    async def end(self) -> None:
        """Close the connection without LOGOUT; all that the client was notified of is noted."""
        await self.note_messages()
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        self._deselect()

    async def do(self, command: bytes, *, holds: bool = False) -> list[str]:
        """Send a command, and apply the responses."""
        assert self._link is not None
        tag = self._next_tag()
        return await self._apply(
            command, tag, await self._link.send(b"%b %b\r\n" % (tag.encode(), command)), holds=holds
        )

    async def idle(self, seconds: float) -> None:
        """Idle, and apply what was received."""
        assert self._link is not None
        tag = self._next_tag()
        await self._apply(b"IDLE", tag, await self._link.idle(tag.encode(), seconds))

    def _next_tag(self) -> str:
        self.tags += 1
        return f"{self.name}{self.tags}"

    async def _apply(
        self, command: bytes, tag: str, lines: list[str], *, holds: bool = False
    ) -> list[str]:
        literals = re.sub(r"\{4\}\n", "", "\n".join(lines))
        for line in literals.splitlines():
            assert not (holds and re.search(" EXPUNGE$|VANISHED", line)), (command, line)
            self._apply_line(line)
        if not lines or not lines[-1].startswith(f"{tag} "):
            assert DELETED in lines, (command, lines)
            assert self.mailbox is not None, lines
            assert self.mailbox != b"INBOX", lines
            self._deselect()
            await self.end()
            await self.start()
            return [f"{tag} BYE"]
        assert not lines[-1].startswith(f"{tag} BAD"), (command, lines)
        if self.mailbox is not None and not self.rev2:
            assert not self._owed, (command, lines)
            known = sum(message.recent is True for message in self.messages)
            unknown = sum(message.recent is None for message in self.messages)
            assert known <= self.recent <= known + unknown, (command, lines, self.recent, known)
            await self.note_messages()
        return lines

    def _apply_line(self, line: str) -> None:
        if found := re.match(r"\* OK \[UIDVALIDITY (\d+)\]", line):
            assert self.mailbox is not None
            self.uid_validity = int(found[1])
        elif line.startswith(("* SEARCH", "* ESEARCH")):
            self._apply_search(line)
        elif found := re.fullmatch(r"\* VANISHED \(EARLIER\) ([\d:,]+)", line):
            assert self.qresync
            counted = {message.uid for message in self.messages}
            assert counted.isdisjoint(_numbers(found[1])), (line, counted)
        elif found := re.fullmatch(r"\* VANISHED ([\d:,]+)", line):
            assert self.qresync
            self._apply_vanished(found[1])
        elif found := re.fullmatch(r"\* (\d+) (EXISTS|RECENT|EXPUNGE|FETCH)(?: \((.*)\))?", line):
            number, kind, items = int(found[1]), found[2], found[3] or ""
            if kind == "EXISTS":
                self._apply_exists(number)
            elif kind == "RECENT":
                self._apply_recent(number)
            else:
                assert 1 <= number <= len(self.messages), line
                if kind == "EXPUNGE":
                    assert not self.qresync, line
                    self._apply_expunge(number)
                else:
                    self._apply_fetch(self.messages[number - 1], items)

    def _apply_exists(self, number: int) -> None:
        more = number - len(self.messages)
        assert more >= 0, "EXISTS never shrinks"
        self.messages += [Message(recent=False if self.rev2 else None) for _ in range(more)]
        self._owed = not self.rev2

    def _apply_recent(self, number: int) -> None:
        assert not self.rev2
        self.recent, self._owed = number, False
        known = sum(message.recent is True for message in self.messages)
        unknown = [message for message in self.messages if message.recent is None]
        assert known <= number <= known + len(unknown)
        if number in (known, known + len(unknown)):
            for message in unknown:
                message.recent = number > known

    def _apply_expunge(self, number: int) -> None:
        gone = self.messages.pop(number - 1)
        if gone.recent:
            self._owed = True

    def _apply_vanished(self, uids: str) -> None:
        """Remove messages by UID."""
        for uid in _numbers(uids):
            known = [message.uid for message in self.messages]
            if uid in known:
                self._apply_expunge(known.index(uid) + 1)
            else:
                self._remove_unlearnt(uid, known)

    def _remove_unlearnt(self, uid: int, known: list[int | None]) -> None:
        r"""Remove one of the messages whose UIDs are not known yet, between the known ones.

        It is not known which of them is left: if some were \Recent and others not, no longer
        whether these are.
        """
        above = (n for n, other in enumerate(known) if other is not None and other > uid)
        end = next(above, len(known))
        start = end
        while start and known[start - 1] is None:
            start -= 1
        candidates = self.messages[start:end]
        assert candidates, (uid, known)
        if len({message.recent for message in candidates}) > 1:
            for message in candidates:
                message.recent = None
        self._apply_expunge(end)

    def _apply_fetch(self, message: Message, items: str) -> None:
        if found := re.search(r"UID (\d+)", items):
            uid = int(found[1])
            assert message.uid in (None, uid), (items, message.uid)
            message.uid = uid
        if found := re.search(r"FLAGS \((.*?)\)", items):
            flags = set(found[1].split())
            recent = r"\Recent" in flags
            assert message.recent in (None, recent), (self.session, items, message.uid)
            message.recent = recent
            message.flags = flags - {r"\Recent"}

    def _apply_search(self, line: str) -> None:
        numbers = re.sub(r"\* (SEARCH|ESEARCH \(TAG \S+\)( UID)?( ALL)?)", "", line)
        found = set(_numbers(numbers))
        self._found = [m for n, m in enumerate(self.messages, 1) if n in found]
        self._not_found = [m for n, m in enumerate(self.messages, 1) if n not in found]

    # --- sessions -------------------------------------------------------------------------------

    async def select(self, name: bytes, *, read_only: bool = False) -> None:
        """Select a mailbox; the first one if it does not exist."""
        await self.note_messages()
        self._deselect()
        self.mailbox, self.read_only = name, read_only
        lines = await self.do(b"%b %b" % (b"EXAMINE" if read_only else b"SELECT", name))
        if lines[-1].split()[1] == "NO":
            self._deselect()
            assert name != self.ledger.names[0], lines
            await self.select(self.ledger.names[0])

    async def leave(self, command: bytes) -> None:
        """Deselect with CLOSE or UNSELECT; all that the client was notified of is noted."""
        await self.note_messages()
        if self.mailbox is not None:
            await self.do(command)
            self._deselect()

    def _deselect(self) -> None:
        self.mailbox = None
        self.messages = []
        self.recent = 0
        self.sessions += 1
        self._noted = set()
        self._owed = False

    async def note_messages(self) -> None:
        """Fetch UIDs and flags of messages until they are known, and note them."""
        while self.mailbox is not None and not self.rev2:
            if all(m.uid is not None and m.recent is not None for m in self.messages):
                break
            await self.do(b"UID FETCH 1:* (FLAGS)")
        if self.mailbox is not None and not self.rev2:
            for message in self.messages:
                assert message.uid is not None
                if message.uid not in self._noted:
                    self._noted.add(message.uid)
                    self.ledger.note(self, message)

    # --- actions --------------------------------------------------------------------------------

    async def act(self, chance: random.Random) -> None:
        """Send one random command."""
        if self.mailbox is None or chance.random() < 0.1:
            await self._act_on_mailboxes(chance)
        else:
            await self._act_on_messages(chance)

    async def _act_on_mailboxes(self, chance: random.Random) -> None:
        name = chance.choice(self.ledger.names)
        match chance.randrange(13):
            case 0 | 1 | 2:
                await self.select(name)
            case 3 | 4:
                await self.select(name, read_only=True)
            case 5:
                await self.leave(b"UNSELECT")
            case 6:
                await self.leave(b"CLOSE")
            case 7:
                await self.end()  # without LOGOUT
                await self.start()
            case 8:
                await self.leave(b"LOGOUT")
                await self.end()
                await self.start()
            case 9:
                items = b"(MESSAGES RECENT)"
                one, all_ = b"STATUS %b %b" % (name, items), b'LIST "" * RETURN (STATUS %b)' % items
                for line in await self.do(chance.choice([one, all_])):
                    if found := re.search(r"MESSAGES (\d+) RECENT (\d+)", line):
                        assert int(found[2]) <= int(found[1])
            case 10 if name != b"INBOX" and chance.random() < 0.2:
                await self.leave(b"UNSELECT")  # DELETE of the selected mailbox would deselect it
                await self.do(b"DELETE %b" % name)
                await self.do(b"CREATE %b" % name)
            case 11 if name != b"INBOX":  # NO if it does not exist, or the other one exists
                await self.do(b"RENAME %b %b" % (name, chance.choice(self.ledger.names[1:])))
            case _:
                await self.do(b"APPEND %b %b" % (name, MESSAGE))

    async def _act_on_messages(self, chance: random.Random) -> None:
        assert self.mailbox is not None
        number = b"%d" % chance.randint(1, len(self.messages)) if self.messages else b""
        flag = chance.choice(FLAGS)
        uid = chance.choice([b"", b"UID "])
        sign = chance.choice([b"+", b"-", b""])
        silent = chance.choice([b"", b".SILENT"])
        since = chance.randrange(1, 60)
        match chance.randrange(16):
            case 0 | 1:
                messages = b" ".join([b"(%b) %b" % (flag, MESSAGE)] * chance.choice([1, 1, 3]))
                await self.do(b"APPEND %b %b" % (self.mailbox, messages))
            case 2 | 3 if number:
                message = self.messages[int(number) - 1]
                lines = await self.do(
                    b"STORE %b %bFLAGS%b (%b)" % (number, sign, silent, flag), holds=True
                )
                if silent and lines[-1].split()[1] == "OK":
                    self._assume(message, int(number), sign, flag.decode(), lines)
            case 4:
                await self.do(b"UID STORE 1:* +FLAGS (%b)" % flag)
            case 5:
                await self.do(b"EXPUNGE")
            case 6 if number:
                await self.do(uid + b"FETCH 1:* (FLAGS)", holds=not uid)
            case 7 if number:
                await self.do(b"FETCH %b (BODY[])" % number, holds=True)
            case 8:
                await self.do(uid + b"SEARCH UNDELETED", holds=not uid)
            case 9 | 10 if number:
                verb = uid + chance.choice([b"COPY", b"MOVE"])
                numbers = chance.choice([number, b"%b:*" % number])
                await self.do(b"%b %b %b" % (verb, numbers, chance.choice(self.ledger.names)))
            case 11 if not self.rev2:
                await self.check_searches()
            case 12 if self.idles:
                await self.idle(chance.choice([0, 0.001, 0.02]))
            case 13 if self.qresync:
                await self.do(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)" % since)
            case 14 if self.qresync and number:
                await self.do(
                    b"STORE %b:* (UNCHANGEDSINCE %d) %bFLAGS (%b)" % (number, since, sign, flag),
                    holds=True,
                )
            case _:
                await self.do(b"NOOP")

    async def check_searches(self) -> None:
        """Assert that SEARCH RECENT, OLD and NEW find what RECENT and FETCH say.

        A message that is not found although it should be has been expunged.
        """
        for key, recent in ((b"RECENT", True), (b"OLD", False), (b"NEW", True)):
            session = self.session
            await self.do(b"SEARCH " + key, holds=True)
            if self.session != session:
                return
            found, not_found = self._found, self._not_found
            assert all(message.recent is recent for message in found)
            gone = [m for m in not_found if m.recent is recent]
            await self.do(b"NOOP")
            if self.session != session:
                return
            left = [m for m in gone if m in self.messages]
            if key == b"NEW":
                if not self.ledger.in_turns:
                    continue  # another client may have set or removed \Seen
                assert all(r"\Seen" not in (m.flags or ()) for m in found)
                assert all(m.flags is None or r"\Seen" in m.flags for m in left)
            else:
                assert not left, (key, [m.uid for m in left])

    def _assume(
        self, message: Message, number: int, sign: bytes, flag: str, lines: list[str]
    ) -> None:
        """Compute the flags after .SILENT, unless a response had them."""
        if any(re.match(rf"\* {number} FETCH .*FLAGS", line) for line in lines):
            return
        if sign == b"":
            message.flags = {flag}
        elif message.flags is not None:
            message.flags = message.flags | {flag} if sign == b"+" else message.flags - {flag}


# --- runs ---------------------------------------------------------------------------------------


async def by_turns(clients: list[Client], chance: random.Random, count: int = 150) -> None:
    for _ in range(count):
        await chance.choice(clients).act(chance)


async def at_once(clients: list[Client], chance: random.Random, count: int = 40) -> None:
    async def act(client: Client, own: random.Random) -> None:
        for _ in range(count):
            await client.act(own)

    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(act, client, random.Random(chance.random()))


async def agree(clients: list[Client]) -> None:
    """Assert that clients have the flags of the store, and those of one mailbox the same list."""
    states: dict[int, list[tuple[str, frozenset[str]]]] = {}
    for client in clients:
        await client.do(b"NOOP")
        if client.mailbox is None:
            continue
        tracked = [message.flags for message in client.messages]
        lines = await client.do(b"FETCH 1:* (UID FLAGS)") if tracked else []
        stored = [frozenset(message.flags or ()) for message in client.messages]
        assert len(tracked) == len(stored)
        for flags, actual in zip(tracked, stored, strict=True):
            assert flags in (None, actual), (client.name, tracked, stored)
        uids = re.findall(r"UID (\d+)", "\n".join(lines))
        state = list(zip(uids, stored, strict=True))
        assert states.setdefault(client.uid_validity, state) == state


async def agree_on_recent(clients: list[Client], observer: Client) -> None:
    r"""Assert that each message is \Recent for one session, or for the next one.

    Args:
        clients: those that have acted.
        observer: another client of IMAP4rev1.
    """
    ledger = observer.ledger
    for client in clients:
        await client.note_messages()
        if client.mailbox is not None and not client.rev2:
            await client.check_searches()
    existing = set()
    for name in ledger.names:
        await observer.select(name, read_only=True)
        if observer.mailbox != name:
            continue  # it does not exist
        for message in observer.messages:
            assert message.uid is not None
            key = (observer.uid_validity, message.uid)
            existing.add(key)
            owner = ledger.owner.get(key)
            assert message.recent == (owner is None), (name, key, owner)
        (status, *_) = await observer.do(b"STATUS %b (RECENT)" % name)
        assert status.endswith(f"(RECENT {observer.recent})"), (status, observer.recent)
        await observer.check_searches()
    ledger.check(existing)
