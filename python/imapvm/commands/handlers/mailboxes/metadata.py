"""GETMETADATA and SETMETADATA (RFC 5464), and the METADATA responses of LIST (RFC 9590).

Entries are read in steps of bounded size, between which responses are sent. The tree of a mailbox
or of the server is made of stored entries and of some that are computed: the special uses of a
mailbox (RFC 6154 section 4), and two shared entries of the server, which are in the configuration.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, final

from imapvm._core import GetMetadata, SetMetadata
from imapvm.commands.annotations import annotation_value, entry_name
from imapvm.commands.context import SEND_BYTES, AccountContext
from imapvm.commands.handlers.mailboxes.names import encoded, find_mailbox
from imapvm.commands.handlers.search.filters import is_filter, parse_filter
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import (
    SERVER,
    SHARED,
    SPECIAL_USE,
    AccountStore,
    Annotation,
    Scope,
)
from imapvm.model.ids import MailboxId
from imapvm.model.limits import ANNOTATION_NAME_MAX, ANNOTATIONS_PER_COMMAND_MAX
from imapvm.model.rights import Rights

LOG: Final = logging.getLogger(__name__)

CONFIGURED: Final = frozenset({b"/comment", b"/admin"})
"""Shared entries of the server that are in the configuration, if anywhere."""
ENTRIES_PER_READ: Final = 256
"""Entries below one that are read in one transaction, in less than a millisecond."""
RESPONSE_BYTES: Final = 16 * 1024
"""Entries and values of one METADATA response; the last value may exceed it."""
NOTHING: Final[Mapping[bytes, bytes]] = {}


class Requested(NamedTuple):
    """Entry that a client has named."""

    name: bytes
    """As written: responses repeat the client's spelling."""
    shared: bool
    path: bytes
    """Without its scope, in lower case; b"" for `/private` and `/shared`."""

    @classmethod
    def of(cls, written: str) -> "Requested":
        name = written.encode()
        scope, slash, path = name[1:].partition(b"/")
        return cls(name, scope.lower() == b"shared", (slash + path).lower())


def requested(names: Sequence[str]) -> list[Requested]:
    """Return the entries that a command names.

    Raises:
        Refusal: there are too many.
    """
    if len(names) > ANNOTATIONS_PER_COMMAND_MAX:
        raise Refusal(
            f"more than {ANNOTATIONS_PER_COMMAND_MAX} annotations in one command", code="LIMIT"
        )
    return [Requested.of(name) for name in names]


# --- reading ----------------------------------------------------------------------------------


async def getmetadata(ctx: AccountContext, command: GetMetadata) -> Done:
    """Write the values of entries, with DEPTH also of those below them (RFC 5464 section 4.2)."""
    entries = requested(command.entries)
    store, mailbox, name = ctx.own, SERVER, ""
    if command.mailbox:
        store, local = ctx.locate(command.mailbox)
        with store.reading() as reader:
            found = find_mailbox(ctx, reader, local, Rights.LOOKUP)
        mailbox, name = found.id, found.name
    answer = Answer(ctx, name, command.max_size)
    await write_annotations(ctx, answer, store, mailbox, entries, depth=command.depth)
    if answer.longest:
        return Done(f"METADATA LONGENTRIES {answer.longest}")
    return DONE


@final
class Answer:
    """METADATA responses of one mailbox or of the server; values over a size are left out."""

    def __init__(self, ctx: AccountContext, mailbox: str, max_size: int | None = None) -> None:
        self._ctx = ctx
        self._mailbox = encoded(ctx, mailbox)
        self._max_size = max_size
        self._pairs: list[bytes] = []
        self._bytes = 0
        self._seen: set[tuple[bool, bytes]] = set()
        self.longest = 0
        """Bytes of the longest value that was left out."""

    def add(self, tree: "Tree", name: bytes, path: bytes) -> bool:
        """Add an entry, once, if it has a value; return False if it has none."""
        size = tree.size(path)
        if size is None:
            return False
        if self._max_size is not None and size > self._max_size:
            self.longest = max(self.longest, size)
        elif (tree.shared, path) not in self._seen:
            self._seen.add((tree.shared, path))
            self._write(name, tree.value(path))
        return True

    def add_nil(self, entry: Requested) -> None:
        """Add an entry without a value, once; `/private` and `/shared` are no entries."""
        if entry.path and (entry.shared, entry.path) not in self._seen:
            self._seen.add((entry.shared, entry.path))
            self._write(entry.name, None)

    def _write(self, name: bytes, value: bytes | None) -> None:
        text = annotation_value(value, utf8=self._ctx.session.utf8)
        self._pairs.append(b"%b %b" % (entry_name(name), text))
        self._bytes += len(name) + len(text)
        if self._bytes >= RESPONSE_BYTES:
            self.end()

    def end(self) -> None:
        """Write the entries that were added since the last response, if there are any."""
        if self._pairs:
            self._ctx.out.untagged(b"METADATA %b (%b)" % (self._mailbox, b" ".join(self._pairs)))
            self._pairs.clear()
            self._bytes = 0


@final
class Tree:
    """Entries of one scope in one read transaction: stored and computed ones."""

    def __init__(
        self, ctx: AccountContext, reader: Reader, mailbox: MailboxId, *, shared: bool
    ) -> None:
        """Begin to read.

        Raises:
            Refusal: the mailbox does not exist.
            PermissionDeniedError: the user may not read its annotations.
        """
        self.shared = shared
        self._reader = reader
        self._scope = Scope(mailbox, SHARED if shared else ctx.own.account.id)
        self._computed = NOTHING
        if mailbox == SERVER:
            if shared:
                self._computed = ctx.services.annotations
            return
        row = reader.annotated(mailbox)
        if row is None:
            raise Refusal("mailbox does not exist", code="NONEXISTENT")
        if row.special_use and not shared:
            self._computed = {SPECIAL_USE: " ".join(row.special_use).encode()}

    def size(self, path: bytes) -> int | None:
        """Return the bytes of a value; None for NIL."""
        computed = self._computed.get(path)
        if computed is not None:
            return len(computed)
        if not path or len(path) > ANNOTATION_NAME_MAX:
            return None
        return self._reader.annotation_size(self._scope, path)

    def value(self, path: bytes) -> bytes | None:
        computed = self._computed.get(path)
        return self._reader.annotation(self._scope, path) if computed is None else computed

    def computed_below(self, path: bytes) -> Iterator[bytes]:
        return (entry for entry in self._computed if entry.startswith(path + b"/"))

    def stored_below(self, path: bytes, after: bytes) -> list[bytes]:
        """Return the first ENTRIES_PER_READ entries below one that come after another."""
        if len(path) > ANNOTATION_NAME_MAX:
            return []
        below = self._reader.annotations_below(self._scope, path, after, ENTRIES_PER_READ)
        return [entry for entry, _ in below]


async def write_annotations(
    ctx: AccountContext,
    answer: Answer,
    store: AccountStore,
    mailbox: MailboxId,
    entries: Sequence[Requested],
    *,
    depth: str = "0",
) -> None:
    """Write METADATA with the values of entries; NIL for one without a value and entries below.

    Raises:
        Refusal: the mailbox does not exist.
        PermissionDeniedError: the user may not read its annotations.
    """
    for entry in entries:
        if mailbox == SERVER:
            store = ctx.services.pool.server() if entry.shared else ctx.own
        with store.reading() as reader:
            tree = Tree(ctx, reader, mailbox, shared=entry.shared)
            found = answer.add(tree, entry.name, entry.path)
            if depth != "0":
                for path in tree.computed_below(entry.path):
                    if _is_within(path, entry.path, depth):
                        found |= answer.add(tree, _full_name(entry, path), path)
        if depth != "0":
            found |= await _write_below(ctx, answer, store, mailbox, entry, depth)
        if not found:
            answer.add_nil(entry)
        await _send(ctx)
    answer.end()
    await _send(ctx)


async def _write_below(
    ctx: AccountContext,
    answer: Answer,
    store: AccountStore,
    mailbox: MailboxId,
    entry: Requested,
    depth: str,
) -> bool:
    """Write all stored entries below one; return True if there are any."""
    found, after = False, b""
    while True:
        with store.reading() as reader:
            tree = Tree(ctx, reader, mailbox, shared=entry.shared)
            below = tree.stored_below(entry.path, after)
            for path in below:
                after = path
                if _is_within(path, entry.path, depth):
                    found |= answer.add(tree, _full_name(entry, path), path)
                    if len(ctx.out) >= SEND_BYTES:
                        break
            else:
                if len(below) < ENTRIES_PER_READ:
                    return found
        await _send(ctx)


def _is_within(path: bytes, above: bytes, depth: str) -> bool:
    """Return True if an entry is so far below another (RFC 5464 section 4.2.2)."""
    return depth != "1" or b"/" not in path[len(above) + 1 :]


def _full_name(entry: Requested, path: bytes) -> bytes:
    """Return the name of an entry below one, which is in the client's spelling."""
    return entry.name + path[len(entry.path) :]


async def _send(ctx: AccountContext) -> None:
    """Send what is in `out` if it is much; let other tasks run if the turn is over."""
    if len(ctx.out) >= SEND_BYTES:
        await ctx.flush()
    await ctx.yield_control()


# --- writing ----------------------------------------------------------------------------------


async def setmetadata(ctx: AccountContext, command: SetMetadata) -> Done:
    """Set and remove entries, all or none (RFC 5464 section 4.3)."""
    names = requested([name for name, _ in command.values])
    changes = [
        Annotation(entry.path, value, shared=entry.shared)
        for entry, (_, value) in zip(names, command.values, strict=True)
    ]
    origin = ctx.session.origin
    if not command.mailbox:
        await _set_server_annotations(ctx, changes, origin)
        return DONE
    store, name = ctx.locate(command.mailbox)
    with store.reading() as reader:
        mailbox = find_mailbox(ctx, reader, name, Rights.LOOKUP)
    others = await store.set_annotations(mailbox.id, changes, origin=origin)
    if others:
        _write_lost_uses(ctx, others)
    return DONE


async def _set_server_annotations(
    ctx: AccountContext, changes: Sequence[Annotation], origin: bytes
) -> None:
    """Set annotations of the server: shared ones by administrators only (RFC 5464 section 3.3).

    Raises:
        Refusal: one may not be set, or shared and private ones are mixed, which are in different
            environments.
    """
    shared = {change.shared for change in changes}
    if True in shared and not ctx.is_administrator:
        raise Refusal(
            "cannot SETMETADATA: only an administrator can set shared annotations of the server",
            code="NOPERM",
        )
    if len(shared) > 1:
        raise Refusal(
            "cannot SETMETADATA: shared and private annotations of the server in one command",
            code="CANNOT",
        )
    if True in shared and any(change.entry in CONFIGURED for change in changes):
        raise Refusal(
            "cannot SETMETADATA: the annotation is in the configuration of the server",
            code="NOPERM",
        )
    _check_filters(ctx, changes)
    if True not in shared:
        await ctx.own.set_annotations(SERVER, changes, origin=origin)
        return
    await ctx.services.pool.server().set_annotations(SERVER, changes, origin=origin)
    entries = [change.entry.decode() for change in changes]
    LOG.info(
        "server annotations changed", extra={**ctx.session.log_fields(), "annotations": entries}
    )


def _check_filters(ctx: AccountContext, changes: Sequence[Annotation]) -> None:
    """Refuse a filter that is not the keys of a SEARCH (RFC 5466 section 3.2)."""
    for change in changes:
        value = change.value
        if value is not None and is_filter(change.entry) and parse_filter(ctx, value) is None:
            name = f"/{'shared' if change.shared else 'private'}{change.entry.decode()}"
            raise Refusal(f"{name} is not the keys of a SEARCH", code="CANNOT")


def _write_lost_uses(
    ctx: AccountContext, others: Sequence[tuple[MailboxId, tuple[str, ...]]]
) -> None:
    """Write METADATA of mailboxes that have lost a special use (RFC 6154 section 5.4)."""
    with ctx.store.reading() as reader:
        for mailbox, uses in others:
            row = reader.mailbox_by_id(mailbox)
            if row is not None:
                value = " ".join(uses).encode() if uses else None
                text = annotation_value(value, utf8=ctx.session.utf8)
                name = encoded(ctx, row.name)
                ctx.out.untagged(b"METADATA %b (/private%b %b)" % (name, SPECIAL_USE, text))
