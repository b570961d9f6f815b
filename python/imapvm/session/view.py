r"""View: the selected mailbox as one client has counted it, and the updates due to that client.

RFC 9051 sections 5.2, 7.4.1, 7.5.1 and 7.5.2. A function of values: `Source` reads the store.

`View.write_updates` alone decides which changes of the mailbox are announced, and when; the form of
the responses is an `UpdateForm`. docs/architecture.md has a drawing of all inputs.

HIGHESTMODSEQ is the MODSEQ up to which the client has been sent every change. It may be less than
the mailbox's: a client that stored the MODSEQ of a FETCH response while an expunge is held back
would never learn of that expunge after a lost connection (RFC 7162 section 3.2).

A message is \Recent in one read-write session of IMAP4rev1, the first that claims it in the store
(RFC 3501 section 2.3.2). The claim follows EXISTS, and RECENT follows the claim:

    write_updates: EXISTS --all claimed; or read-only, or rev2--> RECENT (rev1), FLAGS, FETCH
                     |                                              ^
                     +--undecided--> claim by the caller, note_claim, write_updates again
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Protocol

from imapvm._core import (
    FetchItems,
    FetchStream,
    ResponseWriter,
    UidMap,
    UidSet,
    keyword_sets,
    render_fetch,
)
from imapvm.model.changes import MailboxChanges
from imapvm.model.flags import SYSTEM_FLAG_NAMES, SystemFlag
from imapvm.model.ids import UID_MAX, MailboxId, ModSeq
from imapvm.model.limits import EXPUNGE_UPDATES_MAX, FLAG_UPDATES_MAX, UPDATE_BYTES_MAX
from imapvm.model.rights import ALL_RIGHTS, FLAG_RIGHTS, Rights
from imapvm.session.interest import ALL_EVENTS, SelectedEvents
from imapvm.session.live_results import LiveResults, SearchSource
from imapvm.session.served_batches import ServedBatches
from imapvm.session.update_form import UpdateForm

NONE = UidSet()
_FLAG_RIGHT: Final = {
    SystemFlag.SEEN: Rights.SEEN,
    SystemFlag.DELETED: Rights.DELETE_MESSAGES,
}
"""Right to change a flag; of all others it is `w`."""
_SYSTEM_FLAGS = " ".join(SYSTEM_FLAG_NAMES.values())
FLAGS_RENDERED: Final = 128
"""Messages whose flags are rendered at a time: with long keywords up to 256 KiB."""


class Source(SearchSource, Protocol):
    """One mailbox in one read transaction."""

    @property
    def modseq(self) -> ModSeq:
        """The highest mod-sequence."""

    @property
    def keyword_sets(self) -> int:
        """Number of keyword sets ever used in the mailbox; it only grows."""

    @property
    def recent_from(self) -> int:
        r"""Messages from this UID on are not claimed as \Recent by any session."""

    def changes(self, since: ModSeq) -> MailboxChanges:
        """Return the first changes after `since`: as many as take some milliseconds."""

    def uid_map(self) -> UidMap: ...
    def modified(self, since: ModSeq) -> UidSet:
        """Return the UIDs with a mod-sequence above `since`; reads the whole index."""

    def segments(self, uids: UidSet) -> list[bytes]:
        """Return the index segments that hold any of the UIDs, ascending."""

    def keyword_text(self, sets: Collection[int]) -> Mapping[int, bytes]:
        """Return keyword-set id → names separated by spaces."""

    def keyword_names(self) -> Collection[str]:
        """Return the keywords that FLAGS lists."""

    def fetch(
        self,
        out: ResponseWriter,
        items: FetchItems,
        numbers: UidMap,
        wanted: UidSet,
        *,
        recent: UidSet | None,
    ) -> tuple[UidSet, FetchStream | None]:
        """Write FETCH responses up to some size.

        Returns:
            The messages that are not started, and the unwritten remainder of the responses.
        """


class View:
    """Selected mailbox of one client.

    `numbers` maps message numbers to UIDs as the client counts them. It changes in `write_updates`
    only, so every message number in every response is one that the client has counted.
    """

    __slots__ = (
        "_appended_due",
        "_arrived",
        "_claimed",
        "_expunges_due",
        "_fetch_due",
        "_fetch_parts",
        "_flags_due",
        "_held_from",
        "_highest_modseq_due",
        "_keyword_sets",
        "_keywords",
        "_own",
        "_recent_due",
        "_unread",
        "events",
        "known_modseq",
        "live",
        "mailbox",
        "numbers",
        "read_only",
        "recent",
        "rights",
        "saved",
        "served_batches",
        "stream",
        "synced",
        "undecided",
    )

    def __init__(
        self,
        mailbox: MailboxId,
        *,
        numbers: UidMap,
        known_modseq: ModSeq,
        recent: UidSet = NONE,
        read_only: bool = False,
        keywords: Collection[str] = (),
        keyword_sets: int = 0,
        rights: Rights = ALL_RIGHTS,
        events: SelectedEvents = ALL_EVENTS,
    ) -> None:
        r"""Start with the responses of SELECT.

        Args:
            mailbox: the selected mailbox.
            numbers: the messages that EXISTS counts.
            known_modseq: the mailbox's mod-sequence in the transaction that `numbers` was read in.
            recent: messages that are \Recent in this session.
            read_only: True for EXAMINE.
            keywords: the keywords in FLAGS.
            keyword_sets: `Source.keyword_sets` in the same transaction.
            rights: of the user.
            events: updates that the client gets; NOTIFY changes them.
        """
        self.mailbox = mailbox
        self.numbers = numbers
        self.known_modseq = known_modseq
        """All changes up to here are written, or due."""
        self.recent = recent
        r"""Messages that the client has counted and that are \Recent in this session."""
        self.undecided = NONE
        r"""Counted by EXISTS, and no session had claimed them as \Recent: claim them next."""
        self.read_only = read_only
        self.rights = rights
        """Rights of the user, as PERMANENTFLAGS shows them."""
        self.saved = NONE
        """`$`: result of the last SEARCH RETURN (SAVE) (RFC 9051 section 6.4.4.1)."""
        self.served_batches: ServedBatches | None = None
        """Of UIDBATCHES; None before the first."""
        self.live: LiveResults | None = None
        """Results of searches with UPDATE (RFC 5267); None if there are none."""
        self.synced: int | None = None
        """Latest transaction of which all changes are written; None if some are due."""
        self._keywords = frozenset([keyword.lower() for keyword in keywords])
        self._keyword_sets = keyword_sets
        self.stream: FetchStream | None = None
        """FETCH responses for new messages of which a part is written. The caller continues them
        before anything else is written."""
        self.events = events
        """Updates that the client gets."""
        self._appended_due = NONE
        """Appended, and not in EXISTS yet."""
        self._own = NONE
        """Appended by this session, and not in EXISTS yet."""
        self._fetch_due = NONE
        """In EXISTS, and the FETCH that NOTIFY asks for is not written yet."""
        self._arrived = NONE
        """In EXISTS, and not searched yet for the results in `live`: new messages of others."""
        self._fetch_parts: list[tuple[UidSet, FetchItems]] = []
        """FETCH responses for new messages that are not written yet."""
        self._claimed = NONE
        r"""UIDs claimed by this session and not in EXISTS yet: by APPEND."""
        self._recent_due = False
        r"""True if RECENT is not written yet for the messages that were counted or expunged."""
        self._expunges_due = NONE
        """Expunged, and still counted by the client."""
        self._flags_due = NONE
        """In `numbers`, with flags whose change is not written yet."""
        self._unread = False
        """True if there were more changes than the last `read_changes` has read."""
        self._held_from: ModSeq | None = None
        """MODSEQ before the first change that is held back; None if none is: an expunge, a new
        message, or flags of which NOTIFY does not ask."""
        self._highest_modseq_due = False
        """True if expunges were written after the last `take_highest_modseq`."""

    @property
    def has_due(self) -> bool:
        """True if there are changes that are not written yet."""
        return self._unread or bool(
            self._appended_due
            or self._expunges_due
            or self._flags_due
            or self._fetch_due
            or self._fetch_parts
            or self.stream is not None
            or self.undecided
            or self._recent_due
            or (self.live is not None and self.live.has_due)
        )

    @property
    def expunged(self) -> UidSet:
        """UIDs that were expunged up to `known_modseq`, and that the client still counts."""
        return self._expunges_due

    @property
    def highest_modseq(self) -> ModSeq:
        """HIGHESTMODSEQ for this client: it has been sent every change up to here.

        Of changed flags this holds at the end of a command only.
        """
        return self.known_modseq if self._held_from is None else self._held_from

    def take_highest_modseq(self) -> ModSeq | None:
        """Return HIGHESTMODSEQ if the end of a command has to include it, else None.

        After expunges, whose MODSEQ the client does not receive otherwise (RFC 7162 sections 3.2.7
        and 3.2.9, RFC 6851 section 4.4), and while expunges are held back (section 3.2).
        """
        due, self._highest_modseq_due = self._highest_modseq_due, False
        return self.highest_modseq if due or self._held_from is not None else None

    def note_own_change(self, uids: UidSet, modseq: ModSeq, since: ModSeq | None = None) -> None:
        r"""Record that this session itself changed flags, so that no update is due for them.

        Call it after the commit: after STORE, and after a FETCH that set \Seen. If another session
        changed the mailbox since the last `read_changes`, the flags of these messages are written
        once more than needed: the order of the two changes is not known here, and the client must
        end with the right flags (RFC 9051 section 6.4.6, the note on .SILENT).

        Args:
            uids: messages that changed; without any, nothing is recorded.
            modseq: the mod-sequence of the change.
            since: the one before it; None: one less.
        """
        if uids and self.known_modseq == (modseq - 1 if since is None else since):
            self.known_modseq = modseq
            if self.live is not None:
                self.live.note_changed(uids)

    def note_own_messages(self, uids: UidSet) -> None:
        """Record messages that this session itself has appended (RFC 5465 section 5.2).

        Call it after the commit: no FETCH response is due for them.
        """
        self._own |= uids - self.numbers.uids

    def write_updates(
        self,
        out: ResponseWriter,
        source: Source,
        form: UpdateForm,
        *,
        hold_expunges: bool,
        uid: bool,
        hold_exists: bool = False,
        events: SelectedEvents | None = None,
    ) -> bool:
        r"""Write untagged responses for the changes since the last call.

        Order: REMOVEFROM of expunged messages, EXPUNGE or VANISHED, EXISTS and RECENT, ADDTO and
        REMOVEFROM, FETCH, so that message numbers match what the client has counted so far. With
        `hold_expunges`, expunged messages keep their numbers and EXISTS includes them (RFC 9051
        sections 5.2 and 7.5.1).

        If `undecided` is not empty afterwards, RECENT and what follows it are still due: claim the
        messages, call `note_claim`, and call again. New messages are not counted meanwhile, or
        RECENT and FETCH would wait as long as more arrive.

        What `events` does not name stays due, so that a later NOTIFY SET sends it (RFC 5465 section
        3.1), and message numbers stay those that the client has counted.

        Args:
            out: gets the responses; nothing is sent here.
            source: the mailbox now.
            form: form of the responses.
            hold_expunges: True while FETCH, STORE or SEARCH runs.
            uid: True during UID commands: FETCH responses include the UID (RFC 9051 section 6.4.9).
            hold_exists: True to leave new messages due: in a command that has claimed messages
                already, which would not end while more arrive.
            events: the updates that this call writes; None: those that the client gets.

        Returns:
            True if more is due than one call writes: send, and call again.
        """
        after_exists = self._recent_due
        if events is None:
            events = self.events
        hold_exists |= not events.new
        hold_expunges |= not events.expunges
        self.read_changes(source)
        live = self.live
        if live is not None:
            live.start_aging(self.numbers)
            if live.has_expunged:
                live.write_removed(out, self.numbers)
                if live.has_expunged:
                    return True
        if self._expunges_due and not hold_expunges:
            self._write_expunges(out, vanished=form.vanished)
        if self._appended_due and not hold_exists and not after_exists:
            self._write_exists(out, source, recent=form.recent)
        if self.undecided:
            return False
        if self._recent_due:
            self._recent_due = False
            out.recent(len(self.recent))
        self.write_keywords(out, source)
        if live is not None and live.has_due and not self._unread:
            live.step(
                out,
                source,
                numbers=self.numbers,
                expunged=self._expunges_due,
                recent=self.recent,
            )
            if live.has_due:
                return True
            if not live:
                self.live = None
        if self._fetch_due or self._arrived or self._fetch_parts:
            self._write_new(out, source, form)
            if self.stream is not None:
                return True
        if self._flags_due and events.flags:
            self._write_flags(out, source, form.items(uid=uid), recent=form.recent)
        return (
            self._unread
            or bool(self._flags_due and events.flags)
            or bool(self._fetch_parts)
            or bool(self._expunges_due and not hold_expunges)
            or bool(self._appended_due and not hold_exists)
        )

    def read_changes(self, source: Source) -> bool:
        """Read changes since `known_modseq`; they are due afterwards.

        Called before a command that changes flags, which separates earlier changes by others from
        its own. Their FETCH responses follow the command, with the flags of that time. A message
        whose APPEND and EXPUNGE are read by one call is never counted.

        Returns:
            True if there are more changes than one call reads: call again.
        """
        if source.modseq == self.known_modseq:
            self._unread = False
            return False
        changes = source.changes(self.known_modseq)
        mine = self.numbers.uids
        if changes.complete:
            expunged, flagged = changes.expunged, changes.flagged
            appended = (self._appended_due | changes.appended) - expunged
        else:
            # The change journal was trimmed: compare with the index instead.
            now = source.uid_map().uids
            expunged, appended = mine - now, now - mine
            flagged = source.modified(self.known_modseq)
        self._unread = changes.complete and changes.modseq != source.modseq
        before = self.known_modseq
        self.known_modseq = changes.modseq if changes.complete else source.modseq
        self._appended_due = appended
        self._expunges_due = (self._expunges_due | expunged) & mine
        self._flags_due = ((self._flags_due | flagged) & mine) - self._expunges_due
        if self.live is not None:
            self.live.note_expunged(expunged & mine)
            self.live.note_changed((flagged & mine) - self._expunges_due)
        self._fetch_due -= expunged
        if not self._is_holding:
            self._held_from = None  # what was appended may have been expunged since
        elif self._held_from is None:
            self._held_from = before
        return self._unread

    @property
    def _is_holding(self) -> bool:
        """True if changes are due that may be held back; flags are only if NOTIFY excludes them."""
        return bool(
            self._expunges_due or self._appended_due or (self._flags_due and not self.events.flags)
        )

    def note_synced(self, source: Source, txn_id: int) -> None:
        """Record a transaction as the last whose changes are written, if no change is due in it.

        After the response to a STORE: the end of the command then reads no changes.
        """
        if source.modseq == self.known_modseq and not self.has_due:
            self.synced = txn_id

    def note_claim(self, recent_from: int | None, up_to: int) -> None:
        r"""Record the result of a claim: the messages in it that exist are \Recent here.

        Args:
            recent_from: UID from which on the messages were unclaimed. None if the claim failed:
                all are \Recent, since it is unknown which session was notified first (RFC 3501
                section 2.3.2).
            up_to: highest UID of the claim.
        """
        if self.live is not None:
            self.live.note_changed(self.undecided)
        first = 1 if recent_from is None else recent_from
        self.recent |= self.undecided & _uids_between(first, up_to)
        self.undecided -= _uids_between(1, up_to)
        if recent_from is not None:
            counted = self.numbers.uids.last or 0
            self._claimed |= _uids_between(max(first, counted + 1), up_to)

    def _write_exists(self, out: ResponseWriter, source: Source, *, recent: bool) -> None:
        now, self._appended_due = self._appended_due, NONE
        if self.live is not None:
            # The last message so far is no longer "*" in a set of UIDs.
            self.live.note_changed(now | _last(self.numbers))
        self.numbers = self.numbers.appended(now)
        out.exists(len(self.numbers))
        if self.events.items is not None:
            self._fetch_due |= now - self._own
        if self.live is not None:
            self._arrived |= now - self._own
        self._own = NONE
        if recent:
            unclaimed = now & UidSet([(source.recent_from, UID_MAX)])
            if self.read_only:
                self.recent |= unclaimed
            else:
                self.recent |= now & self._claimed
                self.undecided |= unclaimed
                self._claimed -= now
            self._recent_due = True
        self._note_written()

    def _write_expunges(self, out: ResponseWriter, *, vanished: bool) -> None:
        now, self._expunges_due = self._expunges_due.split(EXPUNGE_UPDATES_MAX)
        self.numbers, numbers = self.numbers.without(now)
        if self.live is not None:
            self.live.note_changed(_last(self.numbers))  # "*" in a set of UIDs
        self.saved -= now
        self.undecided -= now
        self._fetch_due -= now
        before, self.recent = self.recent, self.recent - now
        if len(self.recent) < len(before):
            self._recent_due = True  # RFC 3501 section 7.3.2
        if vanished:
            out.vanished(now, earlier=False)
        else:
            out.expunged(numbers)
        self._highest_modseq_due = True
        self._note_written()

    def _note_written(self) -> None:
        if not self._is_holding:
            self._held_from = None

    def _write_new(self, out: ResponseWriter, source: Source, form: UpdateForm) -> None:
        """Write FETCH for new messages of others: items of NOTIFY, and of results with UPDATE.

        Those of one message are in one response, after ADDTO (RFC 5465 section 5.2).
        """
        if self._fetch_due or self._arrived:
            wanted: list[tuple[UidSet, FetchItems]] = []
            if self.events.items is not None:
                wanted.append((self._fetch_due, self.events.items))
            if self.live is not None:
                wanted.extend(self.live.take_new(self._arrived))
            self._fetch_parts += _joined_items(wanted)
            self._fetch_due = self._arrived = NONE
        if not self._fetch_parts:
            return
        uids, items = self._fetch_parts.pop(0)
        later, self.stream = source.fetch(
            out,
            form.apply(items),
            self.numbers,
            uids,
            recent=self.recent if form.recent else None,
        )
        if later:
            self._fetch_parts.insert(0, (later, items))

    def _write_flags(
        self, out: ResponseWriter, source: Source, items: FetchItems, *, recent: bool
    ) -> None:
        batch, later = self._flags_due.split(FLAG_UPDATES_MAX)
        written = 0
        while batch and written < UPDATE_BYTES_MAX:
            now, batch = batch.split(FLAGS_RENDERED)
            segments = source.segments(now)
            for piece in render_fetch(
                items,
                self.numbers,
                now,
                segments,
                keywords=source.keyword_text(keyword_sets(segments, now) - {0}),
                recent=self.recent if recent else None,
                metadata={},
            ):
                assert isinstance(piece, bytes), "FLAGS needs no bytes of a message"
                out.raw(piece)
                written += len(piece)
        self._flags_due = batch | later
        self._note_written()

    def write_keywords(self, out: ResponseWriter, source: Source) -> None:
        """Write FLAGS again if the mailbox has a keyword that it did not list (section 7.3.5).

        Call it before any FETCH response with flags: clients treat a keyword that FLAGS has not
        listed as an error.
        """
        if source.keyword_sets == self._keyword_sets:
            return
        names = source.keyword_names()
        self._keyword_sets = source.keyword_sets
        known = frozenset(name.lower() for name in names)
        if known != self._keywords:
            self._keywords = known
            out.untagged(b"FLAGS (%b)" % flag_list(names))


def _last(numbers: UidMap) -> UidSet:
    last = numbers.last_uid
    return NONE if last is None else UidSet([(last, last)])


def _joined_items(
    wanted: Iterable[tuple[UidSet, FetchItems]],
) -> list[tuple[UidSet, FetchItems]]:
    """Return messages with all items that are wanted of them, each message once."""
    parts: list[tuple[UidSet, FetchItems]] = []
    for uids, items in wanted:
        split: list[tuple[UidSet, FetchItems]] = []
        for part, others in parts:
            split += [(part & uids, others.joined(items)), (part - uids, others)]
            uids -= part
        parts = [(part, those) for part, those in (*split, (uids, items)) if part]
    return parts


def _uids_between(first: int, last: int) -> UidSet:
    return UidSet([(first, last)]) if first <= last else NONE


def permanent_flags(rights: Rights, keywords: Collection[str], *, read_only: bool) -> bytes:
    r"""Return PERMANENTFLAGS: what STORE can change (RFC 9051 section 7.1, RFC 4314 section 5.1.1).

    With the right `w`, the keywords and `\*`, for new ones.
    """
    if read_only:
        return b""
    if rights & FLAG_RIGHTS == FLAG_RIGHTS:
        return flag_list(keywords) + rb" \*"
    flags = [
        name
        for flag, name in SYSTEM_FLAG_NAMES.items()
        if _FLAG_RIGHT.get(flag, Rights.WRITE) in rights
    ]
    if Rights.WRITE in rights:
        flags += (*keywords, r"\*")
    return " ".join(flags).encode()


def flag_list(keywords: Collection[str]) -> bytes:
    """Return the system flags and the keywords, separated by spaces."""
    return " ".join((_SYSTEM_FLAGS, *keywords)).encode()
