"""Model of a mailbox and of a client, in plain lists, to compare a view with."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from imapvm._core import Record, ResponseWriter, UidMap, UidSet, segment_append
from imapvm.model.changes import MailboxChanges
from imapvm.model.flags import SYSTEM_FLAG_NAMES
from imapvm.model.ids import MailboxId, ModSeq
from imapvm.session.update_form import UpdateForm
from imapvm.session.view import View


@dataclass
class Message:
    uid: int
    flags: int = 0
    keyword_set: int = 0
    modseq: int = 1


@dataclass
class NaiveMailbox:
    """Mailbox in a list with a log; a `imapvm.session.view.Source`."""

    messages: list[Message] = field(default_factory=list)
    log: list[tuple[int, str, int]] = field(default_factory=list)
    """Mod-sequence, kind of change, UID."""
    highest: int = 1
    uid_next: int = 1
    complete: bool = True
    per_read: int = 1_000_000
    """Mod-sequences whose changes are read by one call."""
    keywords: dict[int, tuple[str, ...]] = field(default_factory=dict)
    recent_from: int = 1

    # --- changes ---

    def append(self, count: int = 1, flags: int = 0) -> list[int]:
        self.highest += 1
        uids = list(range(self.uid_next, self.uid_next + count))
        self.uid_next += count
        for uid in uids:
            self.messages.append(Message(uid, flags, modseq=self.highest))
            self.log.append((self.highest, "appended", uid))
        return uids

    def expunge(self, *uids: int) -> int:
        self.highest += 1
        self.messages = [m for m in self.messages if m.uid not in uids]
        self.log += [(self.highest, "expunged", uid) for uid in uids]
        return self.highest

    def store(self, *uids: int, flags: int, keyword_set: int = 0) -> int:
        self.highest += 1
        for message in self.messages:
            if message.uid in uids:
                message.flags, message.modseq = flags, self.highest
                message.keyword_set = keyword_set
                self.log.append((self.highest, "flagged", message.uid))
        return self.highest

    # --- Source ---

    @property
    def modseq(self) -> ModSeq:
        return ModSeq(self.highest)

    @property
    def keyword_sets(self) -> int:
        return len(self.keywords)

    def changes(self, since: ModSeq) -> MailboxChanges:
        if not self.complete:
            return MailboxChanges(self.modseq, UidSet(), UidSet(), UidSet(), complete=False)
        until = min(self.highest, since + self.per_read)
        return MailboxChanges(
            ModSeq(until),
            *(
                UidSet.of(
                    uid for at, found, uid in self.log if since < at <= until and found == kind
                )
                for kind in ("appended", "expunged", "flagged")
            ),
            complete=True,
        )

    def uid_map(self) -> UidMap:
        return UidMap(UidSet.of(m.uid for m in self.messages))

    def modified(self, since: ModSeq) -> UidSet:
        return UidSet.of(m.uid for m in self.messages if m.modseq > since)

    def segments(self, uids: UidSet) -> list[bytes]:
        wanted = [m for m in self.messages if m.uid in uids]
        return [segment_append(b"", [record(m)]) for m in wanted]

    def keyword_text(self, sets: Collection[int]) -> Mapping[int, bytes]:
        return {key: " ".join(self.keywords[key]).encode() for key in sets}

    def keyword_names(self) -> list[str]:
        return sorted({name for names in self.keywords.values() for name in names})

    def view(self, **more) -> View:
        """Return the view that SELECT creates now."""
        return View(
            MailboxId(1),
            numbers=self.uid_map(),
            known_modseq=self.modseq,
            keywords=self.keyword_names(),
            keyword_sets=self.keyword_sets,
            **more,
        )


def record(message: Message) -> Record:
    return Record(
        uid=message.uid,
        size=100,
        flags=message.flags,
        keyword_set=message.keyword_set,
        modseq=message.modseq,
        date=0,
        zone=0,
        saved=0,
        body=message.uid,
        thread=0,
    )


def flag_names(flags: int) -> set[str]:
    return {name for flag, name in SYSTEM_FLAG_NAMES.items() if flags & flag}


class NaiveClient:
    """Client that counts messages as RFC 9051 requires, and asserts that it can."""

    def __init__(self, mailbox: NaiveMailbox, view: View) -> None:
        self.mailbox = mailbox
        self.view = view
        self.flags: list[set[str] | None] = [flag_names(m.flags) for m in mailbox.messages]
        """By message number; None until they are received."""
        self.uids: list[int | None] = [m.uid for m in mailbox.messages]
        self.lines: list[str] = []

    def receive(self, *, hold_expunges: bool = False, uid: bool = True, **form: bool) -> str:
        """Write updates until there are no more; apply and return them.

        Args:
            hold_expunges: as `View.write_updates`.
            uid: as `View.write_updates`.
            form: fields of `UpdateForm`.
        """
        start = len(self.lines)
        more = True
        while more:
            out = ResponseWriter()
            more = self.view.write_updates(
                out,
                self.mailbox,
                UpdateForm(**form),
                hold_expunges=hold_expunges,
                uid=uid,
            )
            for line in out.take().decode().splitlines():
                self.lines.append(line)
                assert not (hold_expunges and re.search("EXPUNGE|VANISHED", line))
                if form.get("uid_fetch"):
                    assert " FETCH " not in line
                self._apply(line)
        return "\n".join(self.lines[start:])

    def _apply(self, line: str) -> None:
        for pattern, take in self._lines().items():
            found = re.fullmatch(pattern, line)
            if found:
                take(*found.groups())
                return
        raise AssertionError(f"not a line: {line}")

    def _lines(self) -> dict[str, Callable[..., None]]:
        return {
            r"\* (\d+) EXPUNGE": self._expunge,
            r"\* (\d+) EXISTS": self._exists,
            r"\* (\d+) RECENT": lambda _count: None,
            r"\* FLAGS \((.*)\)": lambda _names: None,
            r"\* (\d+) FETCH \(UID (\d+) FLAGS \((.*)\)\)": self._fetch_uid,
            r"\* VANISHED ([\d:,]+)": self._vanished,
            r"\* (\d+) FETCH \(UID (\d+) MODSEQ \((\d+)\) FLAGS \((.*)\)\)": self._with_modseq,
            r"\* (\d+) FETCH \(FLAGS \((.*)\)\)": self._fetch,
            r"\* (\d+) UIDFETCH \((?:MODSEQ \((\d+)\) )?FLAGS \((.*)\)\)": self._uid_fetch,
        }

    def _expunge(self, number: str) -> None:
        assert 1 <= int(number) <= len(self.uids)
        del self.uids[int(number) - 1]
        del self.flags[int(number) - 1]

    def _exists(self, count: str) -> None:
        assert int(count) > len(self.uids), "EXISTS without a new message"
        more = int(count) - len(self.uids)
        self.uids += [None] * more
        self.flags += [None] * more

    def _fetch(self, number: str, names: str) -> None:
        assert 1 <= int(number) <= len(self.uids)
        self.flags[int(number) - 1] = set(names.split()) - {r"\Recent"}

    def _fetch_uid(self, number: str, uid: str, names: str) -> None:
        self._fetch(number, names)
        known = self.uids[int(number) - 1]
        assert known in {None, int(uid)}
        self.uids[int(number) - 1] = int(uid)

    def _with_modseq(self, number: str, uid: str, modseq: str, names: str) -> None:
        self._fetch_uid(number, uid, names)
        by_uid = {m.uid: m.modseq for m in self.mailbox.messages}
        assert int(modseq) == by_uid[int(uid)]

    def _uid_fetch(self, uid: str, modseq: str | None, names: str) -> None:
        number = str(list(self.view.numbers.uids).index(int(uid)) + 1)
        if modseq is None:
            self._fetch_uid(number, uid, names)
        else:
            self._with_modseq(number, uid, modseq, names)

    def _vanished(self, uids: str) -> None:
        """Remove messages by UID; one of unknown UID is before the next known one."""
        for part in uids.split(","):
            first, _, last = part.partition(":")
            for uid in range(int(first), int(last or first) + 1):
                if uid in self.uids:
                    at = self.uids.index(uid)
                else:
                    above = (i for i, known in enumerate(self.uids) if known and known > uid)
                    at = next(above, len(self.uids)) - 1
                    assert self.uids[at] is None
                self._expunge(str(at + 1))

    def fetch_unknown(self) -> None:
        """Fetch UID and flags of new messages, here from the model."""
        by_uid = {m.uid: m for m in self.mailbox.messages}
        for index, uid in enumerate(self.view.numbers.uids):
            if self.uids[index] is None:
                self.uids[index] = uid
            if self.flags[index] is None and uid in by_uid:
                self.flags[index] = flag_names(by_uid[uid].flags)

    def agrees(self) -> bool:
        """Return True if client, view and mailbox have the same messages."""
        self.fetch_unknown()
        return (
            self.uids == [m.uid for m in self.mailbox.messages]
            and self.flags == [flag_names(m.flags) for m in self.mailbox.messages]
            and list(self.view.numbers.uids) == self.uids
        )
