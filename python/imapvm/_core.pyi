"""The extension as Python sees it: the IMAP language, message digests and index arithmetic.

Everything here is a function of its arguments. Nothing opens a file, reads a clock, starts a thread
or calls back into Python. A client's mistake is a value (`Malformed`, None); an exception raised
from here is our own bug, except where `CorruptError` is named.

A parameter annotated `Buffer` takes `bytes` or a read-only memoryview and is only looked at during
the call; what is returned is always owned.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, final

from typing_extensions import Buffer

# --- errors ---------------------------------------------------------------------------------------

class CorruptError(ValueError):
    """Bytes read back from the filepool are not what this extension wrote."""

# --- numbers --------------------------------------------------------------------------------------

@final
class UidSet:
    """An immutable ascending set of UIDs, kept as runs; 8 octets a run.

    Iteration and `len` are over UIDs. Compares and hashes by content.
    """

    def __new__(cls, runs: Iterable[tuple[int, int]] = ()) -> UidSet:
        """Build from inclusive `(first, last)` runs in any order, overlapping or not.

        Raises:
            ValueError: a zero, a number above 4294967295, or first > last.
        """
    @staticmethod
    def of(uids: Iterable[int]) -> UidSet:
        """Build from single UIDs in any order."""
    @staticmethod
    def from_bytes(stored: Buffer) -> UidSet:
        """Read what `__bytes__` wrote.

        Raises:
            CorruptError: not such bytes.
        """
    def __bytes__(self) -> bytes:
        """Compact stored form: varint deltas of the runs. Empty set: empty bytes."""
    def to_imap(self) -> bytes:
        """`uid-set` of RFC 9051 section 9, ascending: `b"1:3,7"`. Empty set: `b""`."""
    def runs(self) -> list[tuple[int, int]]: ...
    @property
    def first(self) -> int | None: ...
    @property
    def last(self) -> int | None: ...
    def split(self, count: int) -> tuple[UidSet, UidSet]:
        """The `count` lowest UIDs, and the rest: for working in batches."""
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __contains__(self, uid: int, /) -> bool: ...
    def __iter__(self) -> Iterator[int]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __or__(self, other: UidSet, /) -> UidSet: ...
    def __and__(self, other: UidSet, /) -> UidSet: ...
    def __sub__(self, other: UidSet, /) -> UidSet: ...
    def __ror__(self, other: UidSet, /) -> UidSet: ...
    def __rand__(self, other: UidSet, /) -> UidSet: ...
    def __rsub__(self, other: UidSet, /) -> UidSet: ...

@final
class SequenceSet:
    """`sequence-set` as a client wrote it: numbers, ranges, `*` and `$`, not yet looked up."""

    @staticmethod
    def parse(text: bytes) -> SequenceSet | None:
        """Return None where `text` is no sequence-set (RFC 9051 section 9)."""
    @property
    def is_saved(self) -> bool:
        """True for `$` (SEARCHRES)."""
    def __bytes__(self) -> bytes:
        """As the client wrote it."""

@final
class UidMap:
    """Message number ↔ UID for one mailbox as one client knows it. Immutable, shared, run-length.

    Message numbers are 1-based positions (RFC 9051 section 2.3.1.2).
    """

    def __new__(cls, uids: UidSet = ...) -> UidMap: ...
    @staticmethod
    def from_segments(segments: Iterable[Buffer]) -> UidMap:
        """Read the UIDs of index segments, ascending; a million messages in some milliseconds.

        The one call that takes an iterable lazily: each segment is looked at and let go.

        Raises:
            CorruptError: a segment is damaged, or they do not ascend.
        """
    def __len__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    @property
    def uids(self) -> UidSet: ...
    @property
    def last_uid(self) -> int | None: ...
    def uid(self, number: int) -> int | None:
        """The UID of a message number; None past the end."""
    def number(self, uid: int) -> int | None:
        """The message number of a UID; None where the client has no such message."""
    def select(self, wanted: SequenceSet, *, uid: bool, saved: UidSet) -> UidSet | None:
        """Resolve what a client wrote to UIDs that exist here.

        `*` is the last message, even where the other end of its range lies above it. UIDs that do
        not exist are passed over.

        Args:
            wanted: from the command.
            uid: True where the numbers are UIDs.
            saved: what `$` stands for.

        Returns:
            None where a message number does not exist (RFC 9051 section 9, `seq-number`: BAD).
        """
    def appended(self, uids: UidSet) -> UidMap:
        """With UIDs behind the last one.

        Raises:
            ValueError: one is not above `last_uid`.
        """
    def without(self, gone: UidSet) -> tuple[UidMap, list[int]]:
        """Without some UIDs, and the numbers to announce in this order, one EXPUNGE each.

        Highest first, so that no number moves before it is said (RFC 9051 section 7.5.1). UIDs
        that are not here are passed over.
        """
    def numbers(self, uids: UidSet) -> UidSet:
        """Message numbers of UIDs, as a set of numbers (for ESEARCH and `to_imap`)."""

# --- the command language ---------------------------------------------------------------------

@final
class Limits:
    """Bounds of a `CommandReader`, in octets unless named otherwise."""

    def __new__(
        cls,
        *,
        line: int = 65536,
        literal: int = 65536,
        command: int = 262144,
        append: int = 67108864,
        nesting: int = 64,
        items: int = 8192,
    ) -> Limits:
        """Set the bounds.

        Args:
            line: one line without its literals, and the text kept to look for a line's end.
            literal: one literal that is not a message.
            command: all lines and literals of one command together, messages excepted.
            append: one message of APPEND (what APPENDLIMIT says).
            nesting: parentheses, and NOT/OR, in each other.
            items: elements of one list: search keys, fetch items, flags, sequence ranges; and
                literals of one command.
        """

@final
class CommandReader:
    """One connection's input: octets in, commands out, in the order received.

    Framed first (a line, its literals, a line …), then parsed, so that a command that is malformed
    loses nothing but itself. Give it octets with `feed`, then call `next` until it says None.

    The reader never asks for more than its bounds: what is over a bound is skipped, not kept.
    """

    def __new__(cls, limits: Limits = ...) -> CommandReader: ...
    limits: Limits
    """May be exchanged between commands (they are narrower before login)."""
    utf8: bool
    """True after ENABLE UTF8=ACCEPT or IMAP4rev2: quoted strings and mailbox names are UTF-8."""
    def feed(self, data: bytes) -> None: ...
    def next(self) -> _Event | None:
        """The next thing the client said; None until there are more octets.

        After `Idle` only `IdleDone` or `Malformed` comes next; after `Append` the parts of
        its messages, up to `AppendEnd` or `Malformed`. The `Malformed` has the tag of the IDLE or
        APPEND that it ends; a line in the place of DONE is read next, as a command. After
        `StartTls`, `Authenticate` and `Idle` the caller decides how the octets behind are read, so
        call `next` only when the command has been carried out.

        Raises:
            RuntimeError: an `AppendMessage` was neither accepted nor refused.
        """
    def expect_sasl(self) -> None:
        """The next line is a client's SASL response: it comes as `SaslResponse`."""
    def accept_literal(self) -> None:
        """After `AppendMessage`: take the message; `AppendData` follows. Say "+" if it waits.

        Raises:
            RuntimeError: no message waits, or it is `too_big`.
        """
    def refuse_literal(self) -> None:
        """Skip the rest of this APPEND from wherever it stands; nothing where it has ended.

        Where the client waits for "+", the tagged NO ends the command (RFC 9051 section 2.2.1);
        where it does not wait, its octets are counted off and never executed. No further event
        comes from this APPEND.
        """
    def refuse_idle(self) -> None:
        """After `Idle`: it is not carried out, and commands follow; nothing in another place.

        A client that did not wait for "+" has sent DONE behind it, which is passed over.
        """
    @property
    def buffered(self) -> int:
        """Octets held and not yet understood."""
    def clear(self) -> int:
        """Forget what is held (after STARTTLS: RFC 9051 section 6.2.1); return how much it was."""
    @property
    def partial(self) -> bool:
        """True in the middle of a command: the client owes us octets."""

@final
class Malformed:
    """What was received is not a command. The reader stands at the next line."""

    tag: Final[bytes | None]
    """None where not even a tag was found; answer with `* BAD`."""
    message: Final[str]
    """What was expected and where, or which bound was passed; printable ASCII, for the client."""
    name: Final[str | None]
    """The command's name in upper case, if that was understood."""
    code: Final[str | None]
    """A response code without brackets: TOOBIG, BADCHARSET …, LIMIT; None for a plain BAD."""
    is_no: Final[bool]
    """Answer NO, not BAD: the command was well-formed and over a bound."""
    fatal: Final[bool]
    """The stream cannot be followed any more (no line end in `line` octets, or it is HTTP): BYE."""

@final
class LiteralWanted:
    """A synchronising literal of an ordinary command was accepted: say "+" now."""

    size: Final[int]

@final
class IdleDone:
    """DONE (RFC 9051 section 6.3.13)."""

@final
class SaslResponse:
    """A line of an AUTHENTICATE exchange, base64 undone; None when the client cancelled (`*`)."""

    data: Final[bytes | None]
    """b"" for an empty line. A line that is not base64 is `Malformed`."""

@final
class AppendMessage:
    """The head of one message of APPEND; `accept_literal` or `refuse_literal` must follow."""

    flags: Final[int]
    keywords: Final[tuple[str, ...]]
    date: Final[tuple[int, int] | None]
    """Seconds since 1970 UTC, and the zone's minutes east; None where not given."""
    size: Final[int]
    waits: Final[bool]
    """The literal is synchronising: the client waits for "+"."""
    binary: Final[bool]
    """`~{n}`: NUL is allowed (RFC 3516)."""
    utf8: Final[bool]
    """`UTF8 (~{n})` (RFC 9755)."""
    too_big: Final[bool]
    """Over `Limits.append`: it can only be refused."""

@final
class AppendData:
    """Octets of a message, in order; as they came, at most as many as one `feed` gave."""

    data: Final[bytes]

@final
class AppendMessageEnd:
    """All octets of one message are here."""

    has_nul: Final[bool]
    """A NUL stood in a literal that may not hold one: refuse the message."""

@final
class AppendEnd:
    """The line of APPEND ended: now it may be carried out."""

# Commands, one class each. `tag` is as received. Mailbox names are decoded (modified UTF-7, or
# UTF-8 when `utf8`), INBOX in any case is "INBOX", also as the first level of a name.

@final
class Capability:
    tag: Final[bytes]

@final
class Noop:
    tag: Final[bytes]

@final
class Logout:
    tag: Final[bytes]

@final
class Id:
    """RFC 2971."""

    tag: Final[bytes]
    params: Final[tuple[tuple[str, str | None], ...]]

@final
class StartTls:
    tag: Final[bytes]

@final
class Authenticate:
    tag: Final[bytes]
    mechanism: Final[str]
    """Upper case."""
    initial: Final[bytes | None]
    """SASL-IR, base64 undone (`=` is b""); None where there is none."""

@final
class Login:
    tag: Final[bytes]
    user: Final[bytes]
    password: Final[bytes]

@final
class Enable:
    tag: Final[bytes]
    names: Final[tuple[str, ...]]
    """Upper case."""

@final
class Select:
    """SELECT and EXAMINE."""

    tag: Final[bytes]
    mailbox: Final[str]
    read_only: Final[bool]
    condstore: Final[bool]
    qresync: Final[
        tuple[int, int, SequenceSet | None, tuple[SequenceSet, SequenceSet] | None] | None
    ]
    """UIDVALIDITY, MODSEQ, known UIDs, (numbers, UIDs): RFC 7162 section 3.2.5."""

@final
class Create:
    tag: Final[bytes]
    mailbox: Final[str]
    """A trailing hierarchy delimiter is kept: it says that children will follow."""
    special_use: Final[tuple[str, ...]]
    """As `\\Sent`."""

@final
class Delete:
    tag: Final[bytes]
    mailbox: Final[str]

@final
class Rename:
    tag: Final[bytes]
    mailbox: Final[str]
    to: Final[str]

@final
class Subscribe:
    tag: Final[bytes]
    mailbox: Final[str]

@final
class Unsubscribe:
    tag: Final[bytes]
    mailbox: Final[str]

@final
class List:
    """LIST, basic and extended (RFC 9051 section 6.3.9, RFC 5258, 5819, 6154, 8440, 9590)."""

    tag: Final[bytes]
    reference: Final[str]
    patterns: Final[tuple[str, ...]]
    extended: Final[bool]
    """Any of the extended syntax was used."""
    selection: Final[frozenset[str]]
    """SUBSCRIBED, REMOTE, RECURSIVEMATCH, SPECIAL-USE; upper case."""
    returns: Final[frozenset[str]]
    """SUBSCRIBED, CHILDREN, SPECIAL-USE, MYRIGHTS; upper case."""
    status: Final[tuple[str, ...] | None]
    """Items of RETURN (STATUS (…)), upper case; None where not asked."""

@final
class Lsub:
    tag: Final[bytes]
    reference: Final[str]
    pattern: Final[str]

@final
class Namespace:
    tag: Final[bytes]

@final
class Status:
    tag: Final[bytes]
    mailbox: Final[str]
    items: Final[tuple[str, ...]]
    """Upper case, as written: MESSAGES, UIDNEXT, …"""

@final
class Append:
    """APPEND and MULTIAPPEND began; its messages follow as events."""

    tag: Final[bytes]
    mailbox: Final[str]

@final
class Idle:
    tag: Final[bytes]

@final
class Check:
    tag: Final[bytes]

@final
class Close:
    tag: Final[bytes]

@final
class Unselect:
    tag: Final[bytes]

@final
class Expunge:
    """EXPUNGE, and UID EXPUNGE where `uids` is given."""

    tag: Final[bytes]
    uids: Final[SequenceSet | None]

@final
class Search:
    tag: Final[bytes]
    uid: Final[bool]
    returns: Final[frozenset[str] | None]
    """MIN, MAX, ALL, COUNT, SAVE of RETURN; an empty set for RETURN (); None without RETURN."""
    program: Final[SearchProgram | None]
    """None where the charset is not known: NO [BADCHARSET]."""

@final
class Fetch:
    tag: Final[bytes]
    uid: Final[bool]
    set: Final[SequenceSet]
    items: Final[FetchItems]
    """UID FETCH includes UID."""
    changed_since: Final[int | None]
    vanished: Final[bool]

@final
class Store:
    tag: Final[bytes]
    uid: Final[bool]
    set: Final[SequenceSet]
    mode: Final[int]
    """STORE_REPLACE, STORE_ADD or STORE_REMOVE."""
    silent: Final[bool]
    flags: Final[int]
    keywords: Final[tuple[str, ...]]
    unchanged_since: Final[int | None]

@final
class Copy:
    tag: Final[bytes]
    uid: Final[bool]
    set: Final[SequenceSet]
    mailbox: Final[str]

@final
class Move:
    tag: Final[bytes]
    uid: Final[bool]
    set: Final[SequenceSet]
    mailbox: Final[str]

_Command: TypeAlias = (
    Append
    | Authenticate
    | Capability
    | Check
    | Close
    | Copy
    | Create
    | Delete
    | Enable
    | Expunge
    | Fetch
    | Id
    | Idle
    | List
    | Login
    | Logout
    | Lsub
    | Move
    | Namespace
    | Noop
    | Rename
    | Search
    | Select
    | StartTls
    | Status
    | Store
    | Subscribe
    | Unselect
    | Unsubscribe
)
_Event: TypeAlias = (
    _Command
    | Malformed
    | LiteralWanted
    | IdleDone
    | SaslResponse
    | AppendMessage
    | AppendData
    | AppendMessageEnd
    | AppendEnd
)

STORE_REPLACE: Final[int]
STORE_ADD: Final[int]
STORE_REMOVE: Final[int]

# --- names, patterns, answers ---------------------------------------------------------------------

def mailbox_name(name: str, *, utf8: bool) -> bytes:
    """A mailbox name as it stands in a response: an atom, a quoted string or a literal.

    Modified UTF-7 (RFC 3501 section 5.1.3), or UTF-8 where the client enabled it.
    """

def imap_string(text: Buffer, *, utf8: bool = False) -> bytes:
    """`string`: quoted where it may be, else a literal. Octets are kept as they are."""

@final
class ListMatcher:
    """LIST patterns over decoded names: `*`, and `%` that stops at the delimiter.

    Linear in the name for every pattern: no backtracking blow-up.
    """

    def __new__(cls, patterns: Sequence[str], delimiter: str = "/") -> ListMatcher: ...
    def matches(self, name: str) -> bool:
        """INBOX matches in any case (RFC 9051 section 5.1)."""

@final
class ResponseWriter:
    """Answers of one connection, until they are sent. Lines end with CRLF by themselves."""

    def __new__(cls) -> ResponseWriter: ...
    def __len__(self) -> int:
        """Octets waiting."""
    def take(self) -> bytes:
        """All that waits; the writer is empty, and its buffer let go, afterwards."""
    def raw(self, data: Buffer) -> None:
        """Octets as they are, line ends included."""
    def untagged(self, text: Buffer) -> None:
        """`* text`."""
    def search(self, numbers: UidSet) -> None:
        """`* SEARCH 2 3 6`; 10,000 numbers in some 0.1 ms."""
    def tagged(self, tag: Buffer, status: str, text: str, code: str | None = None) -> None:
        """`tag OK [code] text`; what is not printable ASCII in text becomes `?`."""
    def condition(self, status: str, text: str, code: str | None = None) -> None:
        """`* OK [code] text`."""
    def continuation(self, text: Buffer = b"") -> None:
        """`+ text`."""
    def exists(self, count: int) -> None: ...
    def recent(self, count: int) -> None: ...
    def expunged(self, numbers: Sequence[int]) -> None:
        """One `* n EXPUNGE` each, in the order given."""
    def vanished(self, uids: UidSet, *, earlier: bool) -> None: ...

# --- index segments -------------------------------------------------------------------------------

SEGMENT_RECORDS: Final[int]
"""The most records one segment holds."""

@final
class Record:
    """One message in the index: fixed width when packed."""

    def __new__(
        cls,
        *,
        uid: int,
        size: int,
        flags: int,
        keyword_set: int,
        modseq: int,
        date: int,
        zone: int,
        saved: int,
        body: int,
        thread: int,
    ) -> Record: ...
    uid: Final[int]
    size: Final[int]
    """RFC822.SIZE, octets."""
    flags: Final[int]
    """Bits of `imapvm.model.flags.SystemFlag`."""
    keyword_set: Final[int]
    """0 is the empty set."""
    modseq: Final[int]
    date: Final[int]
    """INTERNALDATE, seconds since 1970 UTC; may be negative."""
    zone: Final[int]
    """Minutes east of UTC that INTERNALDATE was given in."""
    saved: Final[int]
    """SAVEDATE, seconds since 1970 UTC."""
    body: Final[int]
    """Body id; also EMAILID."""
    thread: Final[int]
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def segment_append(segment: Buffer, records: Sequence[Record]) -> bytes:
    """A segment with records behind its last; b"" is an empty segment.

    Raises:
        ValueError: UIDs do not ascend, or more than SEGMENT_RECORDS.
        CorruptError: the segment is damaged.
    """

def segment_records(segment: Buffer, uids: UidSet | None = None) -> list[Record]:
    """All records, or those of some UIDs, ascending."""

def segment_uids(segment: Buffer) -> UidSet: ...
def segment_remove(segment: Buffer, uids: UidSet) -> tuple[bytes, list[Record]]:
    """The segment without some UIDs (b"" where none is left), and the records taken out."""

def segment_store(
    segment: Buffer,
    uids: UidSet,
    *,
    mode: int,
    flags: int,
    keyword_map: Mapping[int, int],
    modseq: int,
) -> tuple[bytes, UidSet, int, int]:
    """STORE: the segment with flags changed and MODSEQ set where something changed.

    Args:
        segment: as stored.
        uids: those to change; what is not here is passed over.
        mode: STORE_REPLACE, STORE_ADD or STORE_REMOVE, for the system flags.
        flags: system flag bits.
        keyword_map: old keyword-set id → new; an id that is missing stays as it is.
        modseq: for records that change.

    Returns:
        The segment, UIDs that really changed, change of the unseen count, of the deleted count.
    """

def segment_counts(segment: Buffer) -> tuple[int, int, int, int]:
    """Messages, unseen, deleted, octets of all messages."""

def keyword_sets(segments: Iterable[Buffer], uids: UidSet | None = None) -> set[int]:
    """Keyword-set ids in use."""

def uids_with_flags(segments: Iterable[Buffer], mask: int, value: int) -> UidSet:
    """UIDs whose `flags & mask == value`: `(DELETED, DELETED)`, or the unseen `(SEEN, 0)`."""

def uids_modified(segments: Iterable[Buffer], since: int) -> UidSet:
    """UIDs whose MODSEQ is above `since`."""

# --- FETCH ----------------------------------------------------------------------------------------

@final
class FetchItems:
    """What FETCH asks for, parsed."""

    @staticmethod
    def flags(*, uid: bool, modseq: bool) -> FetchItems:
        """FLAGS, for announcements."""
    @property
    def needs_digest(self) -> bool: ...
    @property
    def reads_body(self) -> bool:
        """Octets of bodies are in the answer: go message by message."""
    @property
    def sets_seen(self) -> bool:
        """BODY[…], BINARY[…], RFC822, RFC822.TEXT without PEEK."""
    @property
    def asks_modseq(self) -> bool: ...
    def with_uid(self) -> FetchItems: ...
    def with_modseq(self) -> FetchItems: ...

@final
class BodySlice:
    """A stretch of a stored message that belongs here in the answer, without NUL.

    It is counted in the head of a literal already, which cannot have NUL in it (RFC 9051 section
    4.3.1): the caller puts another octet there.
    """

    body: Final[int]
    offset: Final[int]
    length: Final[int]

@final
class BinarySlice:
    """A part whose transfer encoding, if it has one, is to be undone here (RFC 3516).

    The caller writes the decoded octets, as a literal8 if NUL is among them and else as a string,
    or where `size_only` their number.
    """

    body: Final[int]
    offset: Final[int]
    length: Final[int]
    encoding: Final[int]
    """For `TransferDecoder`; -1: unknown, the FETCH ends with NO [UNKNOWN-CTE]."""
    start: Final[int]
    """First decoded octet of a partial fetch."""
    count: Final[int | None]
    """How many at most; None: all."""
    size_only: Final[bool]

def render_fetch(
    items: FetchItems,
    numbers: UidMap,
    wanted: UidSet,
    segments: Sequence[Buffer],
    *,
    keywords: Mapping[int, bytes],
    recent: UidSet | None,
    digests: Mapping[int, bytes],
    flags_too: UidSet | None = None,
) -> list[bytes | BodySlice | BinarySlice]:
    r"""FETCH responses of the wanted messages, ascending, as pieces to send one behind the other.

    Without `reads_body` it is at most one piece, and so it is where the digests hold all the header
    fields that are asked for. Literal heads already count what the slices hold.

    Args:
        items: what to say.
        numbers: the client's message numbers; a UID that is not in it is passed over.
        wanted: which.
        segments: those that hold the wanted UIDs, ascending.
        keywords: keyword-set id → names joined by spaces, for each non-zero id that occurs.
        recent: for \Recent; None where the client is not to see it (IMAP4rev2).
        digests: body id → digest; each wanted one where `needs_digest`.
        flags_too: UIDs that get FLAGS even if not asked (\Seen was just set).

    Raises:
        KeyError: a digest or keyword set is missing: our bug.
        CorruptError: a segment or digest is damaged.
    """

# --- the data file --------------------------------------------------------------------------------

@final
class DataFile:
    """A storage group's `data.mdb`, mapped once more, to read pages of it without LMDB.

    See docs/decisions/0002-reading-pages.md.
    """

    def __new__(cls, file: int, map_size: int) -> DataFile:
        """Map an open file, which may be closed afterwards.

        Args:
            file: its descriptor.
            map_size: octets of address space, as for LMDB: the file never grows beyond them.

        Raises:
            OSError: it cannot be mapped.
        """
    def newest(self) -> int:
        """The number of the latest transaction, perhaps of one that is being committed just now.

        No read transaction that begins later has an older one. Costs no transaction.

        Raises:
            CorruptError: the file is damaged.
        """
    def snapshot(self, transaction: int) -> Snapshot | None:
        """What a read transaction that is open now can see.

        Returns:
            None where commits have overtaken the transaction already: begin another one.

        Args:
            transaction: its number (`Transaction.id`).

        Raises:
            CorruptError: it is no such file.
        """

@final
class Snapshot:
    """One state of a storage group, lent for as long as its transaction is open.

    Raises:
        CorruptError: from every method: what is stored is damaged.
    """

    def get(self, table: str, key: Buffer) -> bytes | None:
        """The value of a key."""
    def items(self, table: str, start: Buffer, count: int) -> list[tuple[bytes, bytes]]:
        """At most so many keys and values, ascending, from the first key not below `start`."""
    def item_back(self, table: str, key: Buffer) -> tuple[bytes, bytes] | None:
        """The last key that is not above `key`, and its value."""
    def segments(self, mailbox: int, uids: UidSet | None = None) -> list[bytes]:
        """Index segments that hold any of some UIDs, ascending; without UIDs, all."""
    def uid_map(self, mailbox: int) -> UidMap:
        """All UIDs of a mailbox; a million in some milliseconds."""
    def first_with_flags(self, mailbox: int, mask: int, value: int) -> int | None:
        """The lowest UID whose `flags & mask == value`."""
    def modified(self, mailbox: int, since: int) -> UidSet:
        """UIDs whose MODSEQ is above `since`."""
    def digest(self, body: int) -> bytes | None: ...
    def body(self, body: int, offset: int, length: int) -> bytes:
        """A stretch of a message, cut off at its end; costs in proportion, and a frame at most.

        Raises:
            KeyError: it was expunged, and the grace period is over.
        """
    def body_size(self, body: int) -> int:
        """Octets of a message.

        Raises:
            KeyError: as `body`.
        """
    def fetch(
        self,
        out: ResponseWriter,
        mailbox: int,
        items: FetchItems,
        numbers: UidMap,
        wanted: UidSet,
        *,
        keywords: Mapping[int, bytes],
        recent: UidSet | None,
        flags_too: UidSet | None,
        most: int,
    ) -> tuple[UidSet, bool, FetchAnswer | None]:
        r"""Write FETCH responses of wanted messages, ascending, until there are `most` octets.

        Args:
            out: gets them, octets of messages included.
            mailbox: where.
            items: what to say.
            numbers: the client's message numbers; a UID that is not in it is passed over.
            wanted: which.
            keywords: keyword-set id → names joined by spaces, for each non-zero id that occurs.
            recent: for \Recent; None where the client is not to see it (IMAP4rev2).
            flags_too: UIDs that get FLAGS even if not asked (\Seen was just set).
            most: the answer ends with the message with which it gets so long.

        Returns:
            The wanted UIDs of which nothing was said yet; whether some of the others are not in the
            index; and what of the answer is not written: None where all is.

        Raises:
            KeyError: a keyword set is missing, or the octets of a message.
        """

@final
class FetchAnswer:
    """The rest of a FETCH answer: octets of messages that were too many, parts to be decoded."""

    @property
    def unknown_encoding(self) -> bool:
        """BINARY asks for a part whose transfer encoding is not known: NO [UNKNOWN-CTE]."""
    def write(self, out: ResponseWriter, snapshot: Snapshot, most: int) -> bool:
        """Write on, until `out` holds `most` octets; NUL is written as 0x80 (RFC 9051 s. 4.3.1).

        Returns:
            True when all is written. Else there are `most` octets, or `take_binary` is due.

        Raises:
            KeyError: the octets of a message have been removed.
        """
    def take_binary(self) -> BinarySlice | None:
        """A part that the caller is to decode and write before it calls `write` again."""

# --- SEARCH ---------------------------------------------------------------------------------------

@final
class SearchProgram:
    """The search keys of one SEARCH, parsed, strings decoded from their charset."""

    @property
    def needs_digest(self) -> bool: ...
    @property
    def asks_modseq(self) -> bool: ...
    def bind(
        self,
        *,
        numbers: UidMap,
        saved: UidSet,
        recent: UidSet,
        keyword_sets: Mapping[int, tuple[str, ...]],
        now: int,
    ) -> BoundSearch | None:
        """Look up sets, keywords and relative dates; None where a message number does not exist."""

@final
class HeaderColumns:
    """What messages say in From, To, Cc, Bcc and Subject, where SEARCH has asked, in memory.

    A UID names one message for ever, so nothing here is ever wrong, and nothing need be forgotten;
    see docs/decisions/0005-header-columns.md. Any thread may use it.
    """

    def __new__(cls, most: int) -> HeaderColumns:
        """Keep so many octets at most: a column not used for long makes room for another."""
    def of_group(self, group: int) -> HeaderColumns:
        """The same memory, for the mailboxes of another storage group; this one's is 0."""
    @property
    def octets(self) -> int:
        """In use, by all groups."""

@final
class BoundSearch:
    """A search over one mailbox as one client knows it."""

    @property
    def candidates(self) -> UidSet:
        """Nothing outside can match: read only segments that hold these."""
    @property
    def lookups(self) -> int:
        """Keys that header columns can answer; `scan` looks through a column for each."""
    def scan(
        self,
        snapshot: Snapshot,
        mailbox: int,
        uids: UidSet,
        columns: HeaderColumns | None = None,
    ) -> tuple[UidSet, Undecided]:
        """What index and columns decide of some UIDs: those that match, and what is left open.

        Args:
            snapshot: of the mailbox's storage group.
            mailbox: where.
            uids: one batch of the candidates, or all of them.
            columns: of the mailbox's storage group.

        Raises:
            CorruptError: a segment is damaged.
        """

@final
class Undecided:
    """Messages that index and columns cannot decide about, by UID: some 60 octets each."""

    def __len__(self) -> int: ...
    def gather(self, snapshot: Snapshot, parts: int) -> list[Gathering]:
        """What would bring the columns up to date that `scan` has asked; at most so many parts.

        Nothing where it would read much more digests than `parts` has to read in any case, or
        where there is no room for more.

        Raises:
            CorruptError: a segment is damaged.
        """
    def keep(self, gathered: Sequence[Gathering]) -> None:
        """Put all parts, each gathered to the end, into the columns: `scan` again.

        What another search has put there meanwhile is not put there twice.
        """
    def parts(self, count: int) -> list[Searching]:
        """At most so many searches that together decide, each for a thread of its own."""

@final
class Searching:
    """Some messages whose digests or octets decide. Memory is bounded whatever their size."""

    def step(self, snapshot: Snapshot, most: int) -> bool:
        """Read digests and octets, without holding the interpreter, until they are `most`.

        Call it again, with any later snapshot, until it returns True. A message whose octets have
        been removed meanwhile does not match.

        Raises:
            CorruptError: a digest or message is damaged.
        """
    @property
    def found(self) -> UidSet:
        """UIDs that match, as far as is known."""

@final
class Gathering:
    """Some messages whose digests say what is lacking in header columns."""

    def __len__(self) -> int: ...
    def step(self, snapshot: Snapshot, most: int) -> bool:
        """Read digests, without holding the interpreter, until they are `most` octets.

        Call it again, with any later snapshot, until it returns True. A digest that cannot be read
        is passed over: whoever needs it finds out.
        """

# --- messages -------------------------------------------------------------------------------------

@final
class Scanner:
    """One pass over a message as it arrives, in any portions; memory is bounded, at any depth."""

    def __new__(cls) -> Scanner: ...
    def feed(self, data: Buffer) -> None: ...
    def finish(self) -> bytes:
        """The digest, as stored.

        Raises:
            ValueError: it is finished already; so does `feed`.
        """

@final
class Packer:
    """A message as it arrives: scanned, and cut into values of the table `bodies`.

    Holds at most one frame, what is packed and was not taken, and what one `feed` brought.
    """

    def __new__(cls) -> Packer: ...
    @property
    def size(self) -> int:
        """Octets of the message so far."""
    @property
    def held(self) -> int:
        """Octets in memory."""
    def feed(self, data: Buffer) -> int:
        """Take the next octets, in any portions; return how many are packed and were not taken."""
    def take_values(self) -> list[bytes]:
        """Whole values of what is packed, to be stored before the message is complete."""
    def finish(
        self, first: int, references: int
    ) -> tuple[list[tuple[int, bytes]], bytes, tuple[int, ...]]:
        """The message is complete; the packer is empty afterwards.

        Args:
            first: number of the next chunk behind row 0: 1 where nothing was taken.
            references: how many Message-IDs of those that it refers to count for its thread.

        Returns:
            Chunk numbers and values of the table `bodies`; the digest; hashes of the Message-IDs
            that tell the message's thread, the most telling first: its own (an answer may have
            come before it), then what it refers to, nearest first. Of many references the nearest
            count, and the first, which began the thread.
        """

@final
class Digest:
    """What is known of a message without its octets; reads what `Scanner.finish` wrote."""

    def __new__(cls, stored: bytes) -> Digest:
        """Open a digest.

        Raises:
            CorruptError: no digest, or damaged. Scan the message again.
        """
    @property
    def size(self) -> int: ...
    @property
    def header_size(self) -> int:
        """Octets of the message's header, its empty line included."""
    @property
    def envelope(self) -> bytes: ...
    @property
    def body(self) -> bytes:
        """BODY, without the extension data."""
    @property
    def bodystructure(self) -> bytes: ...
    @property
    def preview(self) -> str:
        """At most 200 characters (RFC 8970)."""
    @property
    def sent(self) -> int | None:
        """The Date field, seconds since 1970 UTC."""
    @property
    def subject(self) -> str:
        """Decoded."""
    @property
    def base_subject(self) -> str:
        """RFC 5256 section 2.1."""
    @property
    def message_id(self) -> bytes | None:
        """Without angle brackets."""
    @property
    def references(self) -> list[bytes]:
        """Message-IDs of References, else of In-Reply-To, oldest first; bounded."""
    @property
    def part_count(self) -> int: ...
    def locate(self, section: str) -> tuple[int, int] | None:
        """Offset and length of `""`, `"HEADER"`, `"TEXT"`, `"1.2"`, `"1.2.MIME"` …, or None."""

@final
class TransferDecoder:
    """Undo base64 or quoted-printable in portions; what is not in the alphabet is passed over."""

    def __new__(cls, encoding: int) -> TransferDecoder:
        """Begin to decode.

        Args:
            encoding: of a `BinarySlice`. 0: as it is, 1: base64, 2: quoted-printable.

        Raises:
            ValueError: another one, such as -1.
        """
    def feed(self, data: Buffer) -> bytes: ...
    def finish(self) -> bytes: ...

@final
class DotReader:
    """The message behind DATA: dot-stuffing undone, its end found (RFC 5321 section 4.5.2)."""

    def __new__(cls) -> DotReader: ...
    def feed(self, data: Buffer) -> bytes:
        """Octets of the message found in `data`."""
    @property
    def done(self) -> bool:
        """`CRLF . CRLF` was seen."""
    @property
    def rest(self) -> bytes:
        """What came behind the end."""

def decompress(data: Buffer, *, size: int) -> bytes:
    """Undo Zstandard of one frame; `size` is the exact length that comes out.

    Raises:
        CorruptError: damaged, or another length.
    """
