"""The extension as Python sees it: IMAP grammar, message metadata, index and search.

Nothing here reads a clock, starts a thread or calls back into Python, except that a response writer
calls its translation. `DataFile` maps a file that
is open already; everything else works on its arguments and on its own state. A client's error is a
value (`Malformed`, None); an exception is our own bug, except where `CorruptError` is named.

A parameter annotated `Buffer` takes `bytes` or a read-only memoryview, which is used during the
call only. Results are owned by the caller.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Protocol, TypeAlias, final

from typing_extensions import Buffer

from imapvm.model.ids import SeqNum, Uid

# --- errors ---------------------------------------------------------------------------------------

class CorruptError(ValueError):
    """Bytes read back from the filepool are not what this extension wrote."""

# --- numbers --------------------------------------------------------------------------------------

@final
class UidSet:
    """Immutable ascending set of UIDs (or message numbers), stored as runs of 8 bytes.

    Iteration and `len` count UIDs. Equality and hash are by content.
    """

    def __new__(cls, runs: Iterable[tuple[int, int]] = ()) -> UidSet:
        """Build from inclusive `(first, last)` runs in any order, overlapping or not.

        Raises:
            ValueError: a zero, a number above `UID_MAX`, or first > last.
        """
    @staticmethod
    def of(uids: Iterable[int]) -> UidSet:
        """Build from single UIDs in any order."""
    @staticmethod
    def from_bytes(stored: Buffer) -> UidSet:
        """Read what `__bytes__` wrote.

        Raises:
            CorruptError: other bytes.
        """
    def __bytes__(self) -> bytes:
        """Return the stored form: varint deltas of the runs; b"" for the empty set."""
    def to_imap(self) -> bytes:
        """Return the `uid-set` of RFC 9051 section 9, ascending: `b"1:3,7"`; b"" if empty."""
    def runs(self) -> list[tuple[int, int]]: ...
    @property
    def ranges(self) -> int:
        """Number of runs."""
    @property
    def first(self) -> int | None: ...
    @property
    def last(self) -> int | None: ...
    def split(self, count: int) -> tuple[UidSet, UidSet]:
        """Return the `count` lowest UIDs, and the remaining ones."""
    def window(self, one: int, other: int) -> UidSet:
        """Return the UIDs between two positions: 1 is the lowest UID, -1 the highest.

        Both ends have the same sign (RFC 9394 section 3.1).
        """
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
    """`sequence-set` as a client wrote it: numbers, ranges, `*` and `$`, not yet resolved."""

    @staticmethod
    def parse(text: bytes) -> SequenceSet | None:
        """Parse `text`; return None if it is not a sequence-set (RFC 9051 section 9)."""
    @property
    def is_saved(self) -> bool:
        """True for `$` (SEARCHRES)."""
    def __bytes__(self) -> bytes:
        """Return the text that the client wrote."""

@final
class UidMap:
    """Message number ↔ UID of one mailbox as one client has counted it. Immutable, stored as runs.

    Message numbers are 1-based positions (RFC 9051 section 2.3.1.2).
    """

    def __new__(cls, uids: UidSet = ...) -> UidMap: ...
    @staticmethod
    def from_segments(segments: Iterable[Buffer]) -> UidMap:
        """Build from index segments in ascending order; a million messages take some milliseconds.

        Reads the iterable lazily and keeps no segment.

        Raises:
            CorruptError: a segment is corrupt, or the segments do not ascend.
        """
    def __len__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    @property
    def uids(self) -> UidSet: ...
    @property
    def last_uid(self) -> Uid | None: ...
    def uid(self, number: SeqNum) -> Uid | None:
        """Return the UID of a message number; None past the end."""
    def number(self, uid: int) -> SeqNum | None:
        """Return the message number of a UID; None if the client has not counted the message."""
    def select(self, wanted: SequenceSet, *, uid: bool, saved: UidSet) -> UidSet | None:
        """Resolve a client's sequence-set to UIDs of this map.

        `*` is the last message, also where the other end of its range is above it. UIDs that do
        not exist are skipped.

        Args:
            wanted: as the client wrote it.
            uid: True if the numbers are UIDs.
            saved: the value of `$`.

        Returns:
            None if a message number does not exist (RFC 9051 section 9, `seq-number`: BAD).
        """
    def appended(self, uids: UidSet) -> UidMap:
        """Return a map with UIDs added after the last one.

        Raises:
            ValueError: one is not above `last_uid`.
        """
    def without(self, gone: UidSet) -> tuple[UidMap, list[int]]:
        """Return a map without some UIDs, and the numbers for one EXPUNGE each, in sending order.

        Highest first, so that no number changes before it is sent (RFC 9051 section 7.5.1). UIDs
        that are not in the map are skipped.
        """
    def numbers(self, uids: UidSet) -> UidSet:
        """Return the message numbers of UIDs as a set of numbers (for ESEARCH and `to_imap`)."""

# --- commands -------------------------------------------------------------------------------

@final
class Limits:
    """Bounds of a `CommandReader`, in bytes unless named otherwise."""

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
            line: one line without its literals, also while its end has not arrived.
            literal: one literal that is not a message.
            command: all lines and literals of one command together, messages excepted.
            append: one message of APPEND (the value of APPENDLIMIT).
            nesting: parentheses, and NOT/OR, in each other.
            items: elements of one list: search keys, fetch items, flags, sequence ranges; and
                literals of one command.
        """

@final
class DisabledSyntax:
    """Commands, keywords in commands, and literals that are treated as unknown: BAD."""

    def __new__(cls, entries: Sequence[str]) -> DisabledSyntax:
        """Collect entries.

        Args:
            entries: `MOVE` (with UID MOVE) or `UID EXPUNGE` for a command, `FETCH MODSEQ` for a
                keyword (SELECT for EXAMINE, SEARCH also in SORT and THREAD, STATUS also in LIST),
                `$` in all commands, `LITERAL+` for non-synchronizing literals over 4096 bytes,
                `LITERAL-` for all of them.

        Raises:
            ValueError: an entry is unknown.
        """

@final
class CommandReader:
    """Input of one connection: bytes in, commands out, in the order received.

    Input is framed first (a line, its literals, a line …), then parsed, so a malformed command
    affects no other. Pass bytes to `feed`, then call `next` until it returns None. Input over a
    bound is skipped, not stored.
    """

    def __new__(cls, limits: Limits = ...) -> CommandReader: ...
    limits: Limits
    """May be replaced between commands; they are narrower before login."""
    utf8: bool
    """True after ENABLE UTF8=ACCEPT or IMAP4rev2: quoted strings and mailbox names are UTF-8."""
    def disable(self, syntax: DisabledSyntax) -> None:
        """Treat syntax as unknown from the next command on, instead of what was disabled before."""
    def feed(self, data: bytes) -> None: ...
    def next(self) -> _Event | None:
        """Return the next event; None if more bytes are needed.

        `Idle` is followed by `IdleDone` or `Malformed` only; `Append` by the parts of its
        messages, up to `AppendEnd` or `Malformed`. That `Malformed` has the tag of the IDLE or
        APPEND that it ends; a line in the place of DONE is read next, as a command. After
        `StartTls`, `Authenticate` and `Idle` the caller decides how the following bytes are read:
        call `next` only when the command has ended.

        Raises:
            RuntimeError: an `AppendMessage` was neither accepted nor refused.
        """
    def expect_sasl(self) -> None:
        """Read the next line as a SASL response: `SaslResponse`."""
    def accept_literal(self) -> None:
        """Accept the message of an `AppendMessage`; send "+" if it `waits`. `AppendData` follows.

        Raises:
            RuntimeError: no message is pending, or it is `too_big`.
        """
    def refuse_literal(self) -> None:
        """Skip what remains of this APPEND; do nothing if it has ended.

        If the client waits for "+", the tagged NO ends the command (RFC 9051 section 2.2.1); else
        its bytes are counted and never executed. This APPEND causes no further event.
        """
    def refuse_idle(self) -> None:
        """Refuse an `Idle`: commands follow. Does nothing in another place.

        If the client did not wait for "+", its DONE is skipped.
        """
    @property
    def buffered(self) -> int:
        """Bytes received and not yet parsed."""
    def clear(self) -> int:
        """Discard unparsed bytes (STARTTLS: RFC 9051 section 6.2.1); return their number."""
    @property
    def partial(self) -> bool:
        """True in the middle of a command."""

@final
class Malformed:
    """Input that is not a command. The reader continues with the next line."""

    tag: Final[bytes | None]
    """None if no tag was found: answer with `* BAD`."""
    message: Final[str]
    """Text for the client, printable ASCII: the expected syntax and place, or the bound."""
    name: Final[str | None]
    """Name of the command in upper case, if it was recognised."""
    code: Final[str | None]
    """Response code without brackets: TOOBIG, BADCHARSET …, LIMIT; None for a plain BAD."""
    is_no: Final[bool]
    """Answer NO, not BAD: the command was well-formed and over a bound."""
    fatal: Final[bool]
    """Framing is lost (no line end within `line` bytes, or the client speaks HTTP): BYE."""

@final
class LiteralWanted:
    """Synchronising literal of a command other than APPEND was accepted: send "+" now."""

    size: Final[int]

@final
class IdleDone:
    """DONE (RFC 9051 section 6.3.13)."""

@final
class SaslResponse:
    """Line of an AUTHENTICATE exchange, base64 decoded; None if the client cancelled (`*`)."""

    data: Final[bytes | None]
    """b"" for an empty line. A line that is not base64 is `Malformed`."""

@final
class AppendMessage:
    """Head of one message of APPEND.

    Without `catenate`, `accept_literal` or `refuse_literal` must follow.
    """

    flags: Final[int]
    keywords: Final[tuple[str, ...]]
    date: Final[tuple[int, int] | None]
    """Seconds since 1970 UTC, and the zone in minutes east; None if not given."""
    size: Final[int]
    waits: Final[bool]
    """The literal is synchronising: the client waits for "+"."""
    binary: Final[bool]
    """`~{n}`: NUL is allowed (RFC 3516)."""
    utf8: Final[bool]
    """`UTF8 (~{n})` (RFC 9755)."""
    catenate: Final[bool]
    """CATENATE: its parts follow as `AppendText` and `AppendUrl`; `size` is 0 (RFC 4469)."""
    too_big: Final[bool]
    """Larger than `Limits.append`: it can only be refused."""

@final
class AppendText:
    """TEXT of CATENATE; `accept_literal` or `refuse_literal` must follow, then its bytes do."""

    size: Final[int]
    waits: Final[bool]
    """As of `AppendMessage`."""
    too_big: Final[bool]
    """As of `AppendMessage`."""

@final
class AppendUrl:
    """URL of CATENATE."""

    received: Final[bytes]
    target: Final[MessageUrl | None]
    """None if it is not the URL of a message on this server, or of a part of one."""

@final
class MessageUrl:
    """URL of a message or of a part of one (RFC 5092), relative to this server."""

    @property
    def mailbox(self) -> str | None:
        """Name; None for the selected mailbox."""
    @property
    def uid_validity(self) -> int | None: ...
    @property
    def uid(self) -> int: ...

@final
class AppendData:
    """Bytes of a message, in order, at most as many as one `feed` passed. May contain NUL."""

    data: Final[bytes]

@final
class AppendMessageEnd:
    """End of one message; of CATENATE, of its parts."""

@final
class AppendEnd:
    """End of APPEND or REPLACE: store its messages now."""

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
    """SASL-IR, base64 decoded (`=` is b""); None if absent."""

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
class Language:
    """LANGUAGE (RFC 5255)."""

    tag: Final[bytes]
    ranges: Final[tuple[str, ...]]
    """As received; invalid UTF-8 is replaced."""

@final
class Comparator:
    """COMPARATOR (RFC 5255)."""

    tag: Final[bytes]
    orders: Final[tuple[str, ...]]
    """As received; invalid UTF-8 is replaced."""

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
    """A trailing hierarchy delimiter is kept (RFC 9051 section 6.3.4)."""
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
class SetAcl:
    """`rights` has the prefix "+" or "-", if there is one (RFC 4314 section 3.1)."""

    tag: Final[bytes]
    mailbox: Final[str]
    identifier: Final[bytes]
    rights: Final[bytes]

@final
class DeleteAcl:
    tag: Final[bytes]
    mailbox: Final[str]
    identifier: Final[bytes]

@final
class GetAcl:
    tag: Final[bytes]
    mailbox: Final[str]

@final
class ListRights:
    tag: Final[bytes]
    mailbox: Final[str]
    identifier: Final[bytes]

@final
class MyRights:
    tag: Final[bytes]
    mailbox: Final[str]

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
    """Items of RETURN (STATUS (…)), upper case; None if absent."""
    metadata: Final[tuple[str, ...] | None]
    """Entries of RETURN (METADATA (…)), as written; None if absent."""

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
class GetMetadata:
    """GETMETADATA (RFC 5464 section 4.2). Entry names are valid, and as written."""

    tag: Final[bytes]
    mailbox: Final[str]
    """"" for the server."""
    entries: Final[tuple[str, ...]]
    """At least one."""
    max_size: Final[int | None]
    depth: Final[str]
    """0, 1 or infinity."""

@final
class SetMetadata:
    """SETMETADATA (RFC 5464 section 4.3). Entry names are valid, and as written."""

    tag: Final[bytes]
    mailbox: Final[str]
    """"" for the server."""
    values: Final[tuple[tuple[str, bytes | None], ...]]
    """At least one. None removes the entry."""

@final
class Notify:
    """NOTIFY (RFC 5465)."""

    tag: Final[bytes]
    status: Final[bool]
    """STATUS of NOTIFY SET."""
    groups: Final[
        tuple[tuple[str, tuple[str, ...], tuple[str, ...], FetchItems | None], ...] | None
    ]
    """Filter, mailboxes of SUBTREE and MAILBOXES, events in upper case (unknown ones too; none for
    NONE), and items of MessageNew. None for NOTIFY NONE."""

@final
class Append:
    """APPEND and MULTIAPPEND; the messages follow as events."""

    tag: Final[bytes]
    mailbox: Final[str]

@final
class Replace:
    """REPLACE and UID REPLACE (RFC 8508); the message follows as events."""

    tag: Final[bytes]
    uid: Final[bool]
    set: Final[SequenceSet]
    """One message number or UID."""
    mailbox: Final[str]
    """The mailbox of the new message."""

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
class Unauthenticate:
    tag: Final[bytes]

@final
class GetQuota:
    """GETQUOTA (RFC 9208 section 4.1.1)."""

    tag: Final[bytes]
    root: Final[str]

@final
class GetQuotaRoot:
    """GETQUOTAROOT (RFC 9208 section 4.1.2). The mailbox need not exist."""

    tag: Final[bytes]
    mailbox: Final[str]

@final
class SetQuota:
    """SETQUOTA (RFC 9208 section 4.1.3)."""

    tag: Final[bytes]
    root: Final[str]
    limits: Final[tuple[tuple[str, int], ...]]
    """Resources in upper case, each with its limit below 2^63; any name, also twice."""

@final
class Compress:
    """COMPRESS DEFLATE, the only algorithm (RFC 4978)."""

    tag: Final[bytes]

@final
class Expunge:
    """EXPUNGE, or UID EXPUNGE if `uids` is given."""

    tag: Final[bytes]
    uids: Final[SequenceSet | None]

@final
class Search:
    tag: Final[bytes]
    uid: Final[bool]
    returns: Final[frozenset[str] | None]
    """MIN, MAX, ALL, COUNT, SAVE, PARTIAL, RELEVANCY of RETURN; an empty set for RETURN (); None
    without RETURN."""
    window: Final[tuple[int, int] | None]
    """Range of PARTIAL, as the client wrote it; for `UidSet.window`."""
    update: Final[bool]
    """True for UPDATE (RFC 5267 section 4.3)."""
    update_items: Final[FetchItems | None]
    """Of UPDATE, for new messages (RFC 5465 section 7)."""
    program: Final[SearchProgram | None]
    """None if the charset is unknown: NO [BADCHARSET]."""

@final
class Sort:
    tag: Final[bytes]
    uid: Final[bool]
    returns: Final[frozenset[str] | None]
    """As of `Search`."""
    window: Final[tuple[int, int] | None]
    update: Final[bool]
    update_items: Final[FetchItems | None]
    """Of UPDATE, for new messages (RFC 5465 section 7)."""
    arrangement: Final[Arrangement]
    """The sort criteria."""
    program: Final[SearchProgram | None]
    """None if the charset is unknown, or not UTF-8 while `CommandReader.utf8` is set."""

@final
class Thread:
    tag: Final[bytes]
    uid: Final[bool]
    arrangement: Final[Arrangement]
    """The threading algorithm."""
    program: Final[SearchProgram | None]
    """As of `Sort`."""

@final
class MultiSearch:
    """ESEARCH (RFC 7377)."""

    tag: Final[bytes]
    sources: Final[tuple[tuple[str, tuple[str, ...]], ...] | None]
    """SELECTED, INBOXES, PERSONAL, SUBSCRIBED without names; SUBTREE, SUBTREE-ONE, MAILBOXES with
    at least one. None without IN."""
    returns: Final[frozenset[str] | None]
    """As of `Search`."""
    window: Final[tuple[int, int] | None]
    update: Final[bool]
    update_items: Final[FetchItems | None]
    """Of UPDATE, for new messages (RFC 5465 section 7)."""
    program: Final[SearchProgram | None]

@final
class CancelUpdate:
    """CANCELUPDATE (RFC 5267)."""

    tag: Final[bytes]
    tags: Final[tuple[bytes, ...]]
    """Of the commands with UPDATE; not empty."""

@final
class UidBatches:
    """UIDBATCHES (RFC 10022)."""

    tag: Final[bytes]
    size: Final[int]
    """Messages in a batch, at least 1."""
    batches: Final[tuple[int, int] | None]
    """First and last batch, as the client wrote them; None for all."""

@final
class Fetch:
    tag: Final[bytes]
    uid: Final[bool]
    set: Final[SequenceSet]
    items: Final[FetchItems]
    """UID FETCH includes UID."""
    changed_since: Final[int | None]
    vanished: Final[bool]
    window: Final[tuple[int, int] | None]
    """As of `Search`."""

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

class _Command(Protocol):
    """Any of the commands above, which `imapvm.commands.table` lists."""

    @property
    def tag(self) -> bytes: ...

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

FUZZY_NONE: Final[int]
FUZZY_WORDS: Final[int]
FUZZY_EDITS: Final[int]
UNICODE_CASEMAP: Final[int]
ASCII_CASEMAP: Final[int]
COMPARE_BYTES: Final[int]
STORE_REPLACE: Final[int]
STORE_ADD: Final[int]
STORE_REMOVE: Final[int]

# --- names, patterns, responses ------------------------------------------------------------------

def mailbox_name(name: str, *, utf8: bool) -> bytes:
    """Encode a mailbox name for a response: an atom, a quoted string or a literal.

    Modified UTF-7 (RFC 3501 section 5.1.3), or UTF-8 where the client enabled it.
    """

def decode_utf7(name: str) -> str | None:
    """Decode a mailbox name from modified UTF-7, strictly; None for other names.

    A name without encoded characters, and `&` that nothing of one follows, is itself.
    """

def imap_string(text: Buffer, *, utf8: bool = False) -> bytes:
    """Encode a `string`: quoted if possible, else a literal. The bytes are unchanged."""

@final
class ListMatcher:
    """LIST patterns over decoded names: `*`, and `%`, which does not match the delimiter.

    Matching is linear in the length of the name for each pattern, without backtracking.
    """

    def __new__(cls, patterns: Sequence[str], delimiter: str = "/") -> ListMatcher: ...
    def matches(self, name: str) -> bool:
        """Return True if any pattern matches; INBOX in any case (RFC 9051 section 5.1)."""

@final
class ResponseWriter:
    """Buffer of responses of one connection. Each method adds CRLF to its line."""

    def __new__(cls) -> ResponseWriter: ...
    def __len__(self) -> int:
        """Return the number of buffered bytes."""
    def take(self) -> bytes:
        """Return and remove all buffered bytes; the buffer's memory is released."""
    def discard_unfinished(self) -> bool:
        """Remove a response of which only a part has been written, by FETCH, if there is one.

        Returns:
            False if its start was taken: nothing can be sent any more, and the buffer is empty.
        """
    def raw(self, data: Buffer) -> None:
        """Write bytes unchanged, line ends included."""
    def untagged(self, text: Buffer) -> None:
        """Write `* text`."""
    def search(self, numbers: UidSet) -> None:
        """Write `* SEARCH 2 3 6`; 10,000 numbers take 0.1 ms."""
    def tagged(self, tag: Buffer, status: str, text: str, code: str | None = None) -> None:
        """Write `tag OK [code] text`; other than printable ASCII in `text` becomes `?`."""
    def condition(self, status: str, text: str, code: str | None = None) -> None:
        """Write `* OK [code] text`."""
    def set_translation(self, translate: Callable[[str], str] | None) -> None:
        """Translate the texts of `tagged`, `condition` and `prompt`, and write them in UTF-8."""
    def prompt(self, text: str) -> None:
        """Write `+ text` with human-readable text."""
    def continuation(self, text: Buffer = b"") -> None:
        """Write `+ text`."""
    def exists(self, count: int) -> None: ...
    def recent(self, count: int) -> None: ...
    def expunged(self, numbers: Sequence[int]) -> None:
        """Write one `* n EXPUNGE` for each number, in the order given."""
    def vanished(self, uids: UidSet, *, earlier: bool) -> None: ...

# --- index segments -------------------------------------------------------------------------------

SEGMENT_RECORDS: Final[int]
"""Maximum number of records in a segment."""

@final
class Record:
    """One message in the index; 56 bytes when packed."""

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
    """RFC822.SIZE, in bytes."""
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
    """Return a segment with records added after its last one; b"" is an empty segment.

    Raises:
        ValueError: UIDs do not ascend, or more than SEGMENT_RECORDS.
        CorruptError: the segment is corrupt.
    """

def segment_records(segment: Buffer, uids: UidSet | None = None) -> list[Record]:
    """Return all records, or those of some UIDs, ascending."""

def segment_uids(segment: Buffer) -> UidSet: ...
def segment_remove(segment: Buffer, uids: UidSet) -> tuple[bytes, list[Record]]:
    """Return the segment without some UIDs (b"" if empty), and the removed records."""

def segment_renumber(segment: Buffer, first: int, modseq: int) -> bytes:
    """Return the segment with consecutive UIDs from `first`, and one MODSEQ in all records.

    Raises:
        ValueError: `first` is 0, or no UIDs are left.
        CorruptError: the segment is corrupt.
    """

def segment_seen_by_reader(segment: Buffer, seen: UidSet) -> bytes:
    r"""Return the segment as a reader sees it whose \Seen is not that of the records.

    Args:
        segment: as stored.
        seen: the messages that have \Seen.

    Raises:
        CorruptError: the segment is corrupt.
    """

def segments_store(
    segments: Iterable[Buffer],
    uids: UidSet,
    *,
    mode: int,
    flags: int,
    keyword_map: Mapping[int, int],
    modseq: int,
) -> tuple[list[bytes | None], UidSet, int, int]:
    """Apply STORE: return the segments with changed flags, and MODSEQ set in changed records.

    Args:
        segments: as stored, ascending.
        uids: records to change; UIDs that are in no segment are skipped.
        mode: STORE_REPLACE, STORE_ADD or STORE_REMOVE, for the system flags.
        flags: system flag bits.
        keyword_map: old keyword-set id → new one; an id that is missing stays unchanged.
        modseq: for records that change.

    Returns:
        The segments, None for each that is unchanged; UIDs that changed; change of the unseen
        count; change of the deleted count.

    Raises:
        CorruptError: a segment is corrupt, or they do not ascend.
    """

def segment_counts(segment: Buffer) -> tuple[int, int, int, int]:
    """Return the counts of messages, unseen, deleted, and the bytes of all messages."""

def keyword_sets(segments: Iterable[Buffer], uids: UidSet | None = None) -> set[int]:
    """Return the keyword-set ids in use."""

def uids_with_flags(segments: Iterable[Buffer], mask: int, value: int) -> UidSet:
    """Return UIDs with `flags & mask == value`: `(DELETED, DELETED)`, unseen `(SEEN, 0)`."""

def uids_modified(segments: Iterable[Buffer], since: int) -> UidSet:
    """Return UIDs with a MODSEQ above `since`."""

# --- FETCH ----------------------------------------------------------------------------------------

@final
class FetchItems:
    """Data items of a FETCH, parsed."""

    @staticmethod
    def flags(*, uid: bool, modseq: bool) -> FetchItems:
        """Build the items of unsolicited FETCH responses: FLAGS."""
    @staticmethod
    def uid_and_modseq() -> FetchItems:
        """Build the items of the response to STORE with .SILENT (RFC 7162 section 3.1.3)."""
    @property
    def needs_metadata(self) -> bool: ...
    @property
    def reads_body(self) -> bool:
        """True if the response contains message text."""
    @property
    def needs_decoding(self) -> bool:
        """True for BINARY[…] and BINARY.SIZE[…]."""
    @property
    def field_lists(self) -> int:
        """Number of HEADER.FIELDS and HEADER.FIELDS.NOT."""
    @property
    def sets_seen(self) -> bool:
        """True for BODY[…], BINARY[…], RFC822 and RFC822.TEXT without PEEK."""
    @property
    def needs_modseq(self) -> bool: ...
    def as_uid_fetch(self) -> FetchItems:
        """Return the items for UIDFETCH responses (RFC 9586 section 3.3).

        UID is left out unless the client asked for it, or there is no other item.
        """
    def joined(self, other: FetchItems) -> FetchItems:
        """Return the items of both, each once."""
    def with_uid(self) -> FetchItems: ...
    def with_modseq(self) -> FetchItems: ...

@final
class BodySlice:
    """Range of a stored message that belongs at this place of the response.

    The literal's head counts it already. A literal cannot contain NUL (RFC 9051 section 4.3.1):
    the caller replaces it by another byte.
    """

    body: Final[int]
    offset: Final[int]
    length: Final[int]

@final
class BinarySlice:
    """Part that the caller decodes and writes at this place of the response (RFC 3516).

    Write the decoded bytes, as a literal8 if they contain NUL and else as a string; if
    `size_only`, write their number.
    """

    body: Final[int]
    offset: Final[int]
    length: Final[int]
    encoding: Final[int]
    """Argument of `TransferDecoder`; -1: unknown, the FETCH ends with NO [UNKNOWN-CTE]."""
    start: Final[int]
    """First decoded byte of a partial fetch."""
    count: Final[int | None]
    """Maximum number of decoded bytes; None: all."""
    size_only: Final[bool]

def render_fetch(
    items: FetchItems,
    numbers: UidMap,
    wanted: UidSet,
    segments: Sequence[Buffer],
    *,
    keywords: Mapping[int, bytes],
    recent: UidSet | None,
    metadata: Mapping[int, bytes],
    flags_too: UidSet | None = None,
) -> list[bytes | BodySlice | BinarySlice]:
    r"""Render FETCH responses of the wanted messages, ascending, as pieces to send in order.

    At most one piece without `reads_body`, and where message metadata has all requested header
    fields. Literal heads count the slices already.

    Args:
        items: the data items.
        numbers: the client's message numbers; a UID that is not in it is skipped.
        wanted: UIDs of the messages.
        segments: those that hold the wanted UIDs, ascending.
        keywords: keyword-set id → names joined by spaces, for each non-zero id that occurs.
        recent: for \Recent; None if the client does not get it (IMAP4rev2).
        metadata: body id → stored metadata; of each wanted message if `needs_metadata`.
        flags_too: UIDs that get FLAGS in any case (\Seen was just set).

    Raises:
        KeyError: metadata or a keyword set is missing: our bug.
        CorruptError: a segment or metadata is corrupt.
    """

# --- the data file --------------------------------------------------------------------------------

VALUE_BYTES: Final[int]
"""Maximum bytes of a value of `bodies` and `digests`: one overflow page."""
BODY_MAX: Final[int]
"""Maximum bytes of a message: 80 MiB."""

def body_rows(row0: Buffer) -> int:
    """Return the number of rows of a message, row 0 included, from row 0.

    Raises:
        CorruptError: the row is corrupt.
    """

@final
class DataFile:
    """Second map of a storage group's `data.mdb`, to read its pages without LMDB.

    Reasons and safety: docs/decisions, 0002.
    """

    def __new__(cls, file: int, map_size: int) -> DataFile:
        """Map an open file, which may be closed afterwards.

        Args:
            file: its descriptor.
            map_size: bytes of address space, as for LMDB: the file never grows beyond them.

        Raises:
            OSError: it cannot be mapped.
        """
    def check_size(self) -> None:
        """Check that the file is not shorter than it was. Takes about 0.8 us.

        While the file is mapped, SIGBUS has a handler: if the file is truncated, it writes an error
        to standard error and ends the process with exit code 3.

        Raises:
            CorruptError: the file is truncated.
        """
    def used_bytes(self) -> int:
        """Return the bytes up to the end of the last page in use.

        Only inside a write transaction: no process changes them meanwhile.
        """
    def latest_txn_id(self) -> int:
        """Return the id of the latest transaction, which may still be committing.

        A read transaction that begins later has at least this id. Costs no transaction. Does not
        check the size of the file: only its first two pages are read.

        Raises:
            CorruptError: the file is corrupt.
        """
    def snapshot(self, txn_id: int) -> Snapshot | None:
        """Return the state that an open read transaction sees.

        Checks the size of the file, once in a tick of the kernel's clock (1 to 4 ms).

        Args:
            txn_id: of the transaction (`Transaction.id`).

        Returns:
            None if commits have overtaken the transaction: begin another one.

        Raises:
            CorruptError: not a data file of LMDB, or it is truncated.
        """

@final
class Snapshot:
    """One state of a storage group; valid while its transaction is open.

    Raises:
        CorruptError: from every method: stored data is corrupt.
    """

    def get(self, table: str, key: Buffer) -> bytes | None:
        """Return the value of a key."""
    def items(self, table: str, start: Buffer, count: int) -> list[tuple[bytes, bytes]]:
        """Return at most `count` keys and values, ascending, from the first key >= `start`."""
    def item_at_or_before(self, table: str, key: Buffer) -> tuple[bytes, bytes] | None:
        """Return the last key <= `key`, and its value."""
    def segments(self, mailbox: int, uids: UidSet | None = None) -> list[bytes]:
        """Return index segments that contain any of some UIDs, ascending; without UIDs, all."""
    def uid_map(self, mailbox: int) -> UidMap:
        """Return all UIDs of a mailbox; a million take some milliseconds."""
    def first_with_flags(self, mailbox: int, mask: int, value: int) -> int | None:
        """Return the lowest UID with `flags & mask == value`."""
    def deleted_size(self, mailbox: int, start: int, max_messages: int) -> tuple[int, int | None]:
        r"""Return the bytes of messages with \Deleted from UID `start` on.

        Args:
            mailbox: id of the mailbox.
            start: the first UID, from 1.
            max_messages: messages after which the count ends, 30 ns each.

        Returns:
            The bytes, and the UID at which to continue, or None.
        """
    def section(self, mailbox: int, url: MessageUrl) -> SectionStream | None:
        """Return the bytes that a URL names; None if there is no such message or part."""
    def modified(self, mailbox: int, since: int) -> UidSet:
        """Return UIDs with a MODSEQ above `since`."""
    def highest_modseq(self, mailbox: int, uids: UidSet) -> int:
        """Return the highest MODSEQ of some messages; 0 if none of them exists."""
    def changes(
        self, mailbox: int, since: int, highest: int, max_rows: int, user: int | None
    ) -> tuple[int, UidSet, UidSet, UidSet]:
        r"""Return the changes after the MODSEQ `since`, merged: appended, flagged, expunged UIDs.

        Without those of the private \Seen of other accounts than `user`; with them if it is None.

        First the MODSEQ up to which these are all changes: `highest`, or less if there are more
        than `max_rows` rows. Costs about 0.1 µs a row.
        """
    def keyword_names(self, mailbox: int, first: int, last: int, max_names: int) -> list[str]:
        """Return the different keywords in some sets, in order, each in its first spelling.

        Costs about 30 ns for each keyword of each set; ends when it has `max_names`.
        """
    def metadata(self, body: int) -> bytes | None:
        """Return the stored metadata of a body."""
    def body_layout(self, body: int) -> tuple[int, int, str | None]:
        """Return the bytes of a message, the number of its rows, and a wrong length, if any.

        Reads all rows.

        Raises:
            KeyError: there is no row 0.
        """
    def body(self, body: int, offset: int, length: int) -> bytes:
        """Return a range of a message, cut at its end; costs its length and at most one frame.

        Raises:
            KeyError: it was expunged, and the grace period is over.
        """
    def undecodable(self, mailbox: int, items: FetchItems, wanted: UidSet) -> tuple[UidSet, UidSet]:
        """Return UIDs of which BINARY or BINARY.SIZE requests a part with an unknown encoding.

        Also return those that are not checked: a call takes some milliseconds.
        """
    def fetch(
        self,
        out: ResponseWriter,
        mailbox: int,
        items: FetchItems,
        numbers: UidMap,
        wanted: UidSet,
        *,
        recent: UidSet | None,
        flags_too: UidSet | None,
        max_bytes: int,
        seen: UidSet | None = None,
        id_bits: int = 0,
    ) -> tuple[UidSet, bool, FetchStream | None]:
        r"""Write FETCH responses of wanted messages, ascending, up to about `max_bytes`.

        Args:
            out: receives the responses, message text included.
            mailbox: id of the mailbox.
            items: the data items.
            numbers: the client's message numbers; a UID that is not in it is skipped.
            wanted: UIDs of the messages.
            recent: for \Recent; None if the client does not get it (IMAP4rev2).
            flags_too: UIDs that get FLAGS in any case (\Seen was just set).
            max_bytes: no further message is started at this length of `out`.
            seen: messages with \Seen, for a reader with flags of its own; None for that of the
                records.
            id_bits: added to the ids of EMAILID and THREADID.

        Returns:
            The wanted UIDs that are not started; whether some of the others are not in the index;
            and the unwritten remainder of the responses, or None.

        Raises:
            KeyError: the text of a message is missing.
        """

@final
class FetchStream:
    """Unwritten remainder of FETCH responses: message text, and parts to decode."""

    def write(self, out: ResponseWriter, snapshot: Snapshot, max_bytes: int) -> bool:
        """Write until `out` has `max_bytes`; NUL becomes 0x80 (RFC 9051 section 4.3.1).

        Returns:
            True if all is written. Else `out` is full, or `take_binary` is due.

        Raises:
            KeyError: the text of a message has been removed.
        """
    def take_binary(self) -> BinarySlice | None:
        """Return the part that the caller has to decode and write before it calls `write`."""

@final
class SectionStream:
    """Bytes of `BODY[…]` that are not read yet; NUL stays NUL."""

    @property
    def length(self) -> int:
        """Number of all bytes."""
    def read(self, snapshot: Snapshot, max_bytes: int) -> bytes:
        """Return the next bytes, `max_bytes` or a few KiB of header fields more; b"" at the end.

        Raises:
            KeyError: the text of the message has been removed.
        """

# --- SEARCH ---------------------------------------------------------------------------------------

@final
class SearchProgram:
    """Search keys of one SEARCH, parsed, with strings decoded from their charset."""

    @property
    def needs_metadata(self) -> bool: ...
    @property
    def has_extensions(self) -> bool:
        """True if there is a key FILTER, FUZZY or MODSEQ."""
    @property
    def needs_modseq(self) -> bool: ...
    @property
    def fuzzy_texts(self) -> int | None:
        """Number of texts after FUZZY; None without FUZZY (RFC 6203)."""
    @property
    def has_numbers(self) -> bool:
        """True if there are message numbers among the keys; `$` has none."""
    def with_uids(self, numbers: UidMap, saved: UidSet, *, collation: int = 0) -> SearchProgram:
        """Replace message numbers and `$` by UIDs, for a search that is repeated.

        Args:
            numbers: the client's message numbers.
            saved: value of `$`.
            collation: of `bind`, if that is given none.
        """
    @property
    def ranges(self) -> int:
        """Number of ranges in all sets of message numbers and UIDs."""
    def aged(self, seconds: int) -> SearchProgram | None:
        """Return keys for the messages whose OLDER or YOUNGER has changed in so many seconds.

        None without these keys.
        """
    @property
    def filters(self) -> tuple[str, ...]:
        """Names in FILTER keys (RFC 5466), in lower case, each once; empty if there are none."""
    def replace_filters(
        self, known: Mapping[str, SearchProgram], max_keys: int
    ) -> SearchProgram | None:
        """Replace FILTER keys by stored keys, as if these were in parentheses.

        Filters in the stored keys, and unknown ones, stay; they match nothing.

        Returns:
            None if there would be more than `max_keys` keys, those with others in them excepted.
        """
    def bind(
        self,
        *,
        numbers: UidMap,
        saved: UidSet,
        recent: UidSet,
        keywords: tuple[Snapshot, int, int] | None,
        now: int,
        seen: UidSet | None = None,
        id_bits: int = 0,
        tolerance: int = 2,
        collation: int | None = None,
    ) -> BoundSearch:
        r"""Resolve sets, keywords and relative dates; unknown message numbers match nothing.

        Args:
            numbers: the client's message numbers.
            saved: value of `$`.
            recent: messages with \Recent.
            keywords: state of the storage group, the mailbox, and the number of its keyword sets;
                None if it has none. A search with KEYWORD keys reads them all.
            now: seconds since 1970 UTC.
            seen: messages with \Seen, for a reader with flags of its own; None for that of the
                records.
            id_bits: in the ids of EMAILID and THREADID, beside those that are stored.
            tolerance: differences that texts after FUZZY may have: FUZZY_NONE, FUZZY_WORDS (order
                of words, diacritics), FUZZY_EDITS (one edit of each word as well).
            collation: by which texts are compared: UNICODE_CASEMAP, ASCII_CASEMAP,
                COMPARE_BYTES.

        Raises:
            CorruptError: a keyword set cannot be read.
        """

@final
class HeaderColumns:
    """In-memory columns of From, To, Cc, Bcc and Subject, built where SEARCH needs them.

    A UID names one message for ever, so an entry never becomes wrong (docs/decisions, 0005).
    Thread-safe.
    """

    def __new__(cls, max_bytes: int) -> HeaderColumns:
        """Use at most `max_bytes`; the least recently used column is dropped for a new one."""
    def of_group(self, group: int) -> HeaderColumns:
        """Return a handle for another storage group on the same memory; this one's is 0."""
    @property
    def memory_bytes(self) -> int:
        """Memory in use, by all groups."""

@final
class BoundSearch:
    """Search over one mailbox as one client has counted it."""

    @property
    def candidates(self) -> UidSet:
        """UIDs that can match."""
    @property
    def keys(self) -> int:
        """Number of keys, AND, OR and NOT included: the cost of `scan` for a message."""
    @property
    def lookups(self) -> int:
        """Number of keys that header columns can answer."""
    @property
    def texts(self) -> int:
        """Number of keys that read metadata or bytes of messages."""
    def scan(
        self,
        snapshot: Snapshot,
        mailbox: int,
        uids: UidSet,
        columns: HeaderColumns | None = None,
    ) -> tuple[UidSet, UndecidedMessages]:
        """Decide some UIDs by index and columns: return the matches, and the undecided messages.

        Args:
            snapshot: of the mailbox's storage group.
            mailbox: id of the mailbox.
            uids: a batch of the candidates, or all.
            columns: of the mailbox's storage group.

        Raises:
            CorruptError: a segment is corrupt.
        """

@final
class UndecidedMessages:
    """Messages that index and columns cannot decide, by UID; some 60 bytes each."""

    def __len__(self) -> int: ...
    def column_builders(self, snapshot: Snapshot, limit: int) -> list[ColumnBuilder]:
        """Return at most `limit` builders that together bring the searched columns up to date.

        None if that reads many more metadata than `search_tasks` has to read, or if there is no
        memory for more.

        Raises:
            CorruptError: a segment is corrupt.
        """
    def store_columns(self, built: Sequence[ColumnBuilder]) -> None:
        """Store all builders' results in the columns, each built to its end; then `scan` again.

        Entries that another search has stored meanwhile are not stored twice.
        """
    def search_tasks(self, limit: int) -> list[SearchTask]:
        """Return at most `limit` tasks that together decide, each for a thread of its own."""

@final
class SearchTask:
    """Search through metadata and text of some messages, in bounded memory."""

    def step(self, snapshot: Snapshot, max_bytes: int) -> bool:
        """Read about `max_bytes` of metadata and text, without the GIL.

        Call it again, with any later snapshot, until it returns True. A message whose text has
        been removed meanwhile does not match.

        Raises:
            CorruptError: metadata or a message is corrupt.
        """
    @property
    def found(self) -> UidSet:
        """UIDs found to match so far."""

@final
class ColumnBuilder:
    """Builder of missing entries of header columns from the metadata of some messages."""

    def __len__(self) -> int: ...
    def step(self, snapshot: Snapshot, max_bytes: int) -> bool:
        """Read about `max_bytes` of metadata, without the GIL.

        Call it again, with any later snapshot, until it returns True. Corrupt metadata is skipped:
        a search that needs it raises.
        """

# --- SORT and THREAD ------------------------------------------------------------------------------

@final
class KeyColumns:
    """In-memory columns of sort keys, Message-IDs and references, built by SORT and THREAD.

    A UID names one message for ever, so an entry never becomes wrong (docs/decisions, 0010).
    Thread-safe.
    """

    def __new__(cls, max_bytes: int) -> KeyColumns:
        """Keep at most `max_bytes`; the least recently used column is dropped for a new one."""
    def of_group(self, group: int) -> KeyColumns:
        """Return a handle for another storage group on the same memory; this one's is 0."""
    @property
    def memory_bytes(self) -> int:
        """Memory in use, by all groups."""

@final
class Arrangement:
    """Criteria of SORT, or algorithm of THREAD."""

    @property
    def by_relevancy(self) -> bool:
        """True if RELEVANCY is a criterion: call `Arranger.score` (RFC 6203 section 6)."""
    def arranger(
        self,
        *,
        found: UidSet,
        numbers: UidMap,
        columns: KeyColumns,
        mailbox: int,
        collation: int = 0,
        descending: bool = False,
    ) -> Arranger:
        """Start to arrange messages.

        Args:
            found: UIDs of the messages.
            numbers: the client's message numbers, which include all of `found`.
            columns: of the mailbox's storage group.
            mailbox: id of the mailbox.
            collation: by which texts are compared: UNICODE_CASEMAP, ASCII_CASEMAP,
                COMPARE_BYTES.
            descending: True to invert the order of texts.
        """

@final
class Arranger:
    """One SORT or THREAD: some 80 bytes for each message.

    Call `read_index` for all of `wanted`, bring the builders to their ends, then call `arrange`.
    """

    @property
    def wanted(self) -> UidSet:
        """UIDs to pass to `read_index`, in ascending batches."""
    def read_index(self, snapshot: Snapshot, uids: UidSet) -> None:
        """Read the index of some messages. Expunged messages are left out.

        Raises:
            CorruptError: a segment is corrupt.
        """
    def score(self, uids: UidSet, score: int) -> None:
        """Set the relevancy, 1 to 100, of messages that have none yet (RFC 6203 section 4)."""
    def key_builders(self, limit: int, max_bytes: int) -> list[KeyBuilder]:
        """Return at most `limit` builders of missing keys, each for a thread of its own.

        Call it once, after all of `read_index`.

        Together they take at most `max_bytes` of memory, and what one step of each adds.
        """
    def arrange(
        self,
        built: Sequence[KeyBuilder],
        *,
        numbers: UidMap | None = None,
        esearch: Buffer | None = None,
        returns: AbstractSet[str] | None = None,
        window: tuple[int, int] | None = None,
        modseq: int | None = None,
    ) -> ArrangedMessages:
        """Cache the new keys, arrange the messages and write the response, without the GIL.

        Args:
            built: the builders, each at its end.
            numbers: for message numbers in the response; None for UIDs.
            esearch: start of an ESEARCH response to SORT, up to the data.
            returns: data in the ESEARCH response: MIN, MAX, ALL, COUNT, RELEVANCY.
            window: positions in the order that PARTIAL returns.
            modseq: write the highest MODSEQ of the messages (RFC 7162 section 3.1.9), at most this
                one; None for no MODSEQ.

        Raises:
            CorruptError: the metadata of a message is missing or corrupt.
            ValueError: called twice.
        """

@final
class KeyBuilder:
    """Builder of sort keys from the metadata of some messages."""

    def __len__(self) -> int: ...
    def step(self, snapshot: Snapshot, max_bytes: int) -> bool:
        """Read about `max_bytes` of metadata, without the GIL.

        Call it again, with any later snapshot, until it returns True. Corrupt metadata is skipped:
        `Arranger.arrange` raises if it is needed.

        Raises:
            OverflowError: the keys need more memory than allowed.
        """

@final
class ArrangedMessages:
    """Messages in order, and the response."""

    @property
    def first(self) -> int | None:
        """UID of the first message after SORT."""
    @property
    def last(self) -> int | None:
        """UID of the last message after SORT."""
    def window(self, one: int, other: int) -> UidSet:
        """Return the UIDs at some positions after SORT; see `UidSet.window`."""
    def order(
        self, arrangement: Arrangement, *, collation: int = 0, descending: bool = False
    ) -> SortedMessages:
        """Return the order of SORT, to keep it up to date.

        Args:
            arrangement: of the command; not by relevancy.
            collation: as for `arranger`.
            descending: as for `arranger`.
        """
    def write(self, out: ResponseWriter, max_bytes: int) -> bool:
        """Write the next part of the response; return True if it was the last."""

@final
class SortedMessages:
    """UIDs in the order of a SORT whose messages change: 4 bytes for each (RFC 5267 section 4.3).

    Methods return pairs of positions and messages, as ADDTO and REMOVEFROM have them; b"" for none.
    With `numbers`, these are message numbers, else UIDs.
    """

    def __len__(self) -> int: ...
    def remove(
        self, changed: UidSet, found: UidSet, numbers: UidMap | None
    ) -> tuple[bytes, UidSet]:
        """Remove those of some messages that are not in `found`.

        Linear in the number of messages: about a millisecond for 200,000.

        Returns:
            The pairs, and the messages of both sets that are in the order.
        """
    def insert(
        self,
        snapshot: Snapshot,
        mailbox: int,
        uids: UidSet,
        columns: KeyColumns,
        numbers: UidMap | None,
        max_bytes: int,
    ) -> tuple[bytes, UidSet]:
        """Insert messages by binary search, until `max_bytes` are read.

        Keys are read from the columns in memory, else from message metadata. All messages of the
        order must exist in the snapshot; new ones without a record are left out.

        Returns:
            The pairs, and the messages that remain.

        Raises:
            CorruptError: metadata of a message is missing or corrupt.
        """

# --- messages -------------------------------------------------------------------------------------

@final
class Scanner:
    """One pass over a message in portions of any size; memory is bounded at any depth."""

    def __new__(cls) -> Scanner: ...
    def feed(self, data: Buffer) -> None: ...
    def finish(self) -> bytes:
        """Return the metadata, as stored.

        Raises:
            ValueError: the scanner is finished; also from `feed`.
        """

@final
class MessageEncoder:
    """Encoder of a message as it arrives: scans it, and cuts it into values of the table `bodies`.

    Uses memory for one frame, for encoded values that were not taken, and for one `feed`.
    """

    def __new__(cls) -> MessageEncoder: ...
    @property
    def size(self) -> int:
        """Bytes of the message so far."""
    @property
    def held(self) -> int:
        """Bytes in memory."""
    def feed(self, data: Buffer) -> int:
        """Encode the next bytes; return the number of encoded bytes that were not taken."""
    def take_values(self) -> list[bytes]:
        """Return whole encoded values, to store before the message is complete."""
    def finish(
        self, first: int, references: int
    ) -> tuple[list[tuple[int, bytes]], bytes, tuple[int, ...]]:
        """Complete the message; the encoder is empty afterwards.

        Args:
            first: number of the next chunk after row 0: 1 if no value was taken.
            references: maximum number of References that count for the thread.

        Returns:
            Chunk numbers and values of the table `bodies`; the metadata; hashes of the Message-IDs
            that decide the message's thread, in order of weight: its own (a reply may have arrived
            before it), then its references, nearest first. Of many references the nearest count,
            and the first, which started the thread.
        """

METADATA_VERSION: Final[int]
"""First byte of the result of `Scanner.finish`; that of stored metadata may be older."""

@final
class MessageMetadata:
    """Message metadata, as `Scanner.finish` wrote it."""

    def __new__(cls, stored: bytes) -> MessageMetadata:
        """Open stored metadata.

        Raises:
            CorruptError: no metadata, or corrupt: scan the message again.
        """
    @property
    def size(self) -> int: ...
    @property
    def header_size(self) -> int:
        """Bytes of the message's header, its empty line included."""
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
        """Return offset and length of `""`, `"HEADER"`, `"TEXT"`, `"1.2"` or `"1.2.MIME"`."""

@final
class TransferDecoder:
    """Decoder of base64 and quoted-printable, in portions; skips bytes outside the alphabet."""

    def __new__(cls, encoding: int) -> TransferDecoder:
        """Create a decoder.

        Args:
            encoding: of a `BinarySlice`. 0: unchanged, 1: base64, 2: quoted-printable.

        Raises:
            ValueError: another value, such as -1.
        """
    def feed(self, data: Buffer) -> bytes: ...
    def finish(self) -> bytes: ...

@final
class DotReader:
    """Reader of the message after DATA: removes dot-stuffing, finds the end (RFC 5321 s. 4.5.2)."""

    def __new__(cls) -> DotReader: ...
    def feed(self, data: Buffer) -> bytes:
        """Return the bytes of the message found in `data`."""
    @property
    def done(self) -> bool:
        """True after `CRLF . CRLF`."""
    @property
    def tail(self) -> bytes:
        """Bytes after the end."""
