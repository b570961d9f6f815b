"""The selected mailbox as one client knows it, and what it may be told next.

RFC 9051 sections 5.2, 7.4.1, 7.5.1 and 7.5.2. Everything here is a function of values: where they
are read is the business of `Source`.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from imapvm._core import FetchItems, ResponseWriter, UidMap, UidSet, render_fetch
from imapvm.model.changes import MailboxChanges
from imapvm.model.flags import SYSTEM_FLAG_NAMES
from imapvm.model.ids import MailboxId, ModSeq
from imapvm.model.limits import ANNOUNCED_EXPUNGES_MAX, ANNOUNCED_FLAGS_MAX

NONE = UidSet()
_FLAGS = FetchItems.flags(uid=False, modseq=False)
_FLAGS_AND_UID = FetchItems.flags(uid=True, modseq=False)


class Source(Protocol):
    """One mailbox as it stands in one read transaction."""

    @property
    def modseq(self) -> ModSeq:
        """The highest mod-sequence."""

    @property
    def keyword_sets(self) -> int:
        """How many sets of keywords were ever used here; it only grows."""

    def changes(self, since: ModSeq) -> MailboxChanges: ...
    def uid_map(self) -> UidMap: ...
    def modified(self, since: ModSeq) -> UidSet:
        """UIDs whose mod-sequence is above `since`, found by reading the whole index."""

    def segments(self, uids: UidSet) -> list[bytes]:
        """Index segments that hold any of the UIDs, ascending."""

    def keyword_text(self) -> Mapping[int, bytes]: ...
    def keyword_names(self) -> Collection[str]:
        """Every keyword ever used here."""


class View:
    """What one client knows of its selected mailbox.

    `numbers` is what the client counts with: it changes in `announce` and nowhere else, so every
    message number in every answer is one the client has been told.
    """

    __slots__ = (
        "_appended_due",
        "_expunges_due",
        "_flags_due",
        "_keyword_sets",
        "_keywords",
        "mailbox",
        "numbers",
        "read_only",
        "recent",
        "saved",
        "saw_arrivals",
        "settled",
        "told",
    )

    def __init__(
        self,
        mailbox: MailboxId,
        *,
        numbers: UidMap,
        told: ModSeq,
        recent: UidSet = NONE,
        read_only: bool = False,
        keywords: Collection[str] = (),
        keyword_sets: int = 0,
    ) -> None:
        r"""Begin with what SELECT says.

        Args:
            mailbox: which.
            numbers: the messages that EXISTS counts.
            told: the mailbox's mod-sequence in the transaction that `numbers` was read in.
            recent: messages that are \Recent to this session.
            read_only: EXAMINE.
            keywords: those that FLAGS names.
            keyword_sets: `Source.keyword_sets` in the same transaction.
        """
        self.mailbox = mailbox
        self.numbers = numbers
        self.told = told
        """Up to here everything is known: told, or due to be told."""
        self.recent = recent
        self.read_only = read_only
        self.saved = NONE
        """`$`: what the last SEARCH RETURN (SAVE) found (RFC 9051 section 6.4.4.1)."""
        self.saw_arrivals = False
        r"""Messages were told that no SELECT has claimed as \Recent for this session."""
        self.settled: int | None = None
        """The store's moment at which the client knew everything, if it is known."""
        self._keywords = frozenset(keyword.lower() for keyword in keywords)
        self._keyword_sets = keyword_sets
        self._appended_due = NONE
        """AppendResult, and not told."""
        self._expunges_due = NONE
        """ExpungeResult, and still counted by the client."""
        self._flags_due = NONE
        """Changed, in `numbers`, and not told yet: more than one announcement's worth."""

    @property
    def has_due(self) -> bool:
        """True where something is known here that the client has not been told."""
        return bool(self._appended_due or self._expunges_due or self._flags_due)

    @property
    def expunged(self) -> UidSet:
        """UIDs that are gone although the client still counts them, as far as is known here."""
        return self._expunges_due

    def made(self, uids: UidSet, modseq: ModSeq) -> None:
        r"""Take note that this session itself changed flags, so that it is not told of it.

        Call it when the change is committed: after STORE, and after a FETCH that set \Seen. If
        somebody else changed the mailbox since the last `learn`, the client is told of these
        messages once more than it needs: which of the two came last cannot be seen from here,
        and the flags must come out right (RFC 9051 section 6.4.6, the note on .SILENT).

        Args:
            uids: those that changed; nothing happens when there are none.
            modseq: the mod-sequence that the change was given.
        """
        if uids and modseq == self.told + 1:
            self.told = modseq

    def announce(
        self,
        out: ResponseWriter,
        source: Source,
        *,
        hold_expunges: bool,
        uid: bool,
        recent: bool,
    ) -> bool:
        r"""Tell the client what has happened since it was last told.

        EXPUNGE, then EXISTS and RECENT, then FETCH: the numbers in each are those the client will
        have counted to by then. While expunges are held, EXISTS goes on counting the messages that
        the client has not been told are gone (RFC 9051 sections 5.2 and 7.5.1).

        Args:
            out: gets the responses, untagged; nothing is sent here.
            source: the mailbox now.
            hold_expunges: True while FETCH, STORE or SEARCH runs.
            uid: whether FETCH names the UID: during UID commands (RFC 9051 section 6.4.9), and
                always in IMAP4rev2 (section 7.5.2).
            recent: whether \Recent and RECENT exist for this client: IMAP4rev1 only.

        Returns:
            True where there is more to say than one call says: send, and call again.
        """
        self.learn(source)
        if self._expunges_due and not hold_expunges:
            self._tell_expunges(out)
        if self._appended_due:
            self._tell_appended(out, recent=recent)
        self.tell_keywords(out, source)
        if self._flags_due:
            self._tell_flags(out, source, uid=uid, recent=recent)
        return bool(self._flags_due) or bool(self._expunges_due and not hold_expunges)

    def learn(self, source: Source) -> None:
        """Take up what has happened, and say nothing yet.

        Before a command that changes flags: so that what others did before is told apart from what
        it does, and is told behind it, with the flags as they are then. A message that came and
        went before it was told is never told.
        """
        if source.modseq == self.told:
            return
        changes = source.changes(self.told)
        mine = self.numbers.uids
        if changes.complete:
            expunged, flagged = changes.expunged, changes.flagged
            appended = (self._appended_due | changes.appended) - expunged
        else:
            # The change log was trimmed: the index says what is, and so what is gone.
            now = source.uid_map().uids
            expunged, appended = mine - now, now - mine
            flagged = source.modified(self.told)
        self.told = changes.modseq
        self._appended_due = appended
        self._expunges_due = (self._expunges_due | expunged) & mine
        self._flags_due = ((self._flags_due | flagged) & mine) - self._expunges_due

    def _tell_appended(self, out: ResponseWriter, *, recent: bool) -> None:
        now, self._appended_due = self._appended_due, NONE
        self.numbers = self.numbers.appended(now)
        out.exists(len(self.numbers))
        if recent:
            # Another session may have claimed them too. Who cannot tell whether it is the first to
            # hear of a message calls it recent (RFC 3501 section 2.3.2).
            self.recent |= now
            self.saw_arrivals = True
            out.recent(len(self.recent))

    def _tell_expunges(self, out: ResponseWriter) -> None:
        now, self._expunges_due = self._expunges_due.split(ANNOUNCED_EXPUNGES_MAX)
        self.numbers, numbers = self.numbers.without(now)
        self.saved -= now
        self.recent -= now
        out.expunged(numbers)

    def _tell_flags(self, out: ResponseWriter, source: Source, *, uid: bool, recent: bool) -> None:
        now, self._flags_due = self._flags_due.split(ANNOUNCED_FLAGS_MAX)
        for piece in render_fetch(
            _FLAGS_AND_UID if uid else _FLAGS,
            self.numbers,
            now,
            source.segments(now),
            keywords=source.keyword_text(),
            recent=self.recent if recent else None,
            digests={},
        ):
            assert isinstance(piece, bytes), "FLAGS needs no octets of a message"
            out.raw(piece)

    def tell_keywords(self, out: ResponseWriter, source: Source) -> None:
        """Say FLAGS again where somebody used a keyword that it did not name (section 7.3.5).

        Call it before any FETCH that tells flags: clients take a keyword that FLAGS has not named
        for a mistake.
        """
        if source.keyword_sets == self._keyword_sets:
            return
        names = source.keyword_names()
        self._keyword_sets = source.keyword_sets
        known = frozenset(name.lower() for name in names)
        if known != self._keywords:
            self._keywords = known
            out.untagged(flags_response(names))


def flags_response(keywords: Collection[str]) -> bytes:
    """`FLAGS` with the system flags and the keywords (RFC 9051 section 7.3.5)."""
    return f"FLAGS ({' '.join((*SYSTEM_FLAG_NAMES.values(), *keywords))})".encode()
