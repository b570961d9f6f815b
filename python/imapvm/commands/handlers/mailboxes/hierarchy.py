"""Selection of names for LIST and LSUB, in batches, with memory that does not depend on the client.

All names of the account are read and compared in small batches, between which other tasks run. The
result is packed, since it is kept for as long as the client takes to read the response. Mailboxes
that are created, renamed or deleted meanwhile may be listed or not.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from imapvm._core import ListMatcher, decode_utf7
from imapvm.commands.context import AccountContext
from imapvm.commands.handlers.mailboxes.names import existing_name
from imapvm.commands.outcome import Refusal
from imapvm.filepool.reading import Name
from imapvm.model.limits import LIST_PATTERNS_MAX, LIST_WILDCARDS_MAX
from imapvm.model.names import (
    INBOX,
    OTHER_USERS,
    SHARED,
    SHARED_NAMESPACES,
    canonical_name,
    parents,
)

NAMES_PER_READ: Final = 500
"""Names read in one transaction, in about half a millisecond."""
NAMES_PER_BATCH: Final = 16
"""Names compared before the clock is read again: at most some milliseconds, for the most expensive
patterns and the longest names."""
SHARED_MAILBOX: Final = -1
"""In place of the id of a mailbox of another user, which is found by its name."""
NAMES_PER_CHUNK: Final = 64
"""Names in one packed chunk, which is unpacked at once."""


@final
@dataclass(frozen=True, slots=True)
class Selection:
    """Arguments of LIST beside its patterns (RFC 9051 section 6.3.9)."""

    subscribed: bool = False
    special_use: bool = False
    recursive: bool = False

    @property
    def has_criteria(self) -> bool:
        return self.subscribed or self.special_use


@final
class Listed(NamedTuple):
    """Name to list."""

    name: str
    mailbox: int
    """Id of its mailbox; 0 if it has none, SHARED_MAILBOX if it is of another user."""
    meets_criteria: bool
    """False for a name that is listed because of names below it only."""
    subscribed: bool
    has_children: bool
    child_meets_criteria: bool
    """For CHILDINFO (RFC 9051 section 6.3.9.6)."""

    def pack(self) -> bytes:
        flags = (
            self.meets_criteria
            | self.subscribed << 1
            | self.has_children << 2
            | self.child_meets_criteria << 3
        )
        return b"%d %d %b" % (flags, self.mailbox, self.name.encode())

    @classmethod
    def unpack(cls, packed: bytes) -> "Listed":
        head, mailbox, name = packed.split(b" ", 2)
        flags = int(head)
        return cls(name.decode(), int(mailbox), *(bool(flags >> bit & 1) for bit in range(4)))


@final
class PackedNames:
    """Names to list, in order. All but the last ones are packed, with NUL between names."""

    __slots__ = ("_chunks", "_last")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._last: list[Listed] = []

    def append(self, listed: Listed) -> None:
        if len(self._last) == NAMES_PER_CHUNK:
            self._chunks.append(b"\0".join([each.pack() for each in self._last]))
            self._last.clear()
        self._last.append(listed)

    def chunks(self) -> Iterator[list[Listed]]:
        """Yield the names, a chunk at a time, and forget them."""
        self._chunks.reverse()
        while self._chunks:
            yield [Listed.unpack(packed) for packed in self._chunks.pop().split(b"\0")]
        yield self._last


def list_matcher(ctx: AccountContext, reference: str, patterns: tuple[str, ...]) -> ListMatcher:
    """Return the matcher for the patterns of a LIST or LSUB.

    Lenient: after ENABLE UTF8=ACCEPT also for patterns in modified UTF-7, as `existing_name`.

    Raises:
        Refusal: there are too many patterns, or too many wildcards in them.
    """
    if len(patterns) > LIST_PATTERNS_MAX:
        raise Refusal(f"more than {LIST_PATTERNS_MAX} patterns in one LIST", code="LIMIT")
    written = [reference + pattern for pattern in patterns if pattern]
    whole = [canonical_name(pattern) for pattern in written]
    if ctx.session.utf8 and any("&" in pattern for pattern in written):
        whole = _with_decoded(ctx, written)
    if sum(pattern.count("*") + pattern.count("%") for pattern in whole) > LIST_WILDCARDS_MAX:
        raise Refusal(f"more than {LIST_WILDCARDS_MAX} wildcards in one command", code="LIMIT")
    return ListMatcher(whole)


def _with_decoded(ctx: AccountContext, patterns: list[str]) -> list[str]:
    """Replace names that exist decoded only; add the decoded form to patterns with wildcards."""
    whole: list[str] = []
    with ctx.store.reading() as reader:
        for pattern in patterns:
            if not any(char in "*%" for char in pattern):
                whole.append(existing_name(ctx, reader, pattern))
                continue
            decoded = decode_utf7(pattern)
            forms = [pattern] if decoded is None else dict.fromkeys([pattern, decoded])
            whole += map(canonical_name, forms)
    return whole


def may_match_shared(reference: str, patterns: Iterable[str]) -> bool:
    """Return True if one of the patterns can match a name of a mailbox of another user."""
    for pattern in patterns:
        literal = (reference + pattern).split("*", 1)[0].split("%", 1)[0]
        if (
            OTHER_USERS.startswith(literal)
            or SHARED.startswith(literal)
            or literal.startswith(SHARED_NAMESPACES)
        ):
            return True
    return False


async def select_names(
    ctx: AccountContext, matcher: ListMatcher, selection: Selection, *, shared: bool
) -> PackedNames:
    """Select the names to list, in order (RFC 9051 section 6.3.9.3, rule 2 and table 3).

    Args:
        ctx: the user.
        matcher: of the patterns.
        selection: the other arguments.
        shared: False if no pattern can match a mailbox of another user.
    """
    first = _read(ctx, "")
    shared = shared and ctx.services.pool.has_grants()
    if len(first) < NAMES_PER_READ and not shared:
        names = {name.name: name for name in first}
        return await _Selecting(ctx, names, matcher, selection).run()
    async with AsyncExitStack() as stack:
        await ctx.start_long_list(stack)
        names = await _read_all(ctx, first)
        if shared:
            names = await _with_shared(ctx, names)
        return await _Selecting(ctx, names, matcher, selection).run()


async def _with_shared(ctx: AccountContext, names: dict[str, Name]) -> dict[str, Name]:
    """Return own names and those of mailboxes of others, in order."""
    for batch in ctx.access().visible_names():
        for name in batch:
            own = names.get(name)
            if own is None or not own.mailbox:
                names[name] = Name(name, SHARED_MAILBOX, own is not None and own.subscribed)
        await ctx.yield_control()
    return dict(sorted(names.items()))


def _read(ctx: AccountContext, after: str) -> list[Name]:
    with ctx.store.reading() as reader:
        return reader.names(after, NAMES_PER_READ)


async def _read_all(ctx: AccountContext, batch: list[Name]) -> dict[str, Name]:
    names: dict[str, Name] = {}
    while batch:
        names.update((name.name, name) for name in batch)
        if len(batch) < NAMES_PER_READ:
            break
        await ctx.yield_control()
        batch = _read(ctx, batch[-1].name)
    return names


@final
class _Selecting:
    """Selection among all names of an account."""

    def __init__(
        self,
        ctx: AccountContext,
        names: dict[str, Name],
        matcher: ListMatcher,
        selection: Selection,
    ) -> None:
        self.ctx = ctx
        self.names = names
        self.matcher = matcher
        self.selection = selection
        self.meets: Callable[[Name], bool] = self._criterion()
        self.with_children: set[str] = set()
        """Names above a mailbox; not all of them are mailboxes themselves."""
        self.above: set[str] = set()
        """Names above one that meets the criteria."""
        self.above_hidden: set[str] = set()
        """Names above one that meets the criteria and does not match."""
        self.matching: list[str] = []

    async def run(self) -> PackedNames:
        for number, name in enumerate(self.names.values(), 1):
            if number % NAMES_PER_BATCH == 0:
                await self.ctx.yield_control()
            self._examine(name)
        hidden = await self._hidden()
        order = self.matching
        if hidden:
            order = sorted({*order, *hidden})
        # INBOX first. The others are in order already, or sorted.
        if INBOX in order:
            order.remove(INBOX)
            order.insert(0, INBOX)
        packed = PackedNames()
        for number, one in enumerate(order, 1):
            if number % NAMES_PER_BATCH == 0:
                await self.ctx.yield_control()
            packed.append(self._listed(one, hidden=one in hidden))
        return packed

    def _examine(self, name: Name) -> None:
        above = parents(name.name)
        if above and name.mailbox:
            self.with_children.update(above)
        if self.meets(name):
            if above:
                self.above.update(above)
            if self.matcher.matches(name.name):
                self.matching.append(name.name)
            else:
                self.above_hidden.update(above)

    async def _hidden(self) -> set[str]:
        """Return names above a match that is not listed itself (rule 2 B)."""
        hidden: set[str] = set()
        if self.selection.recursive or not self.selection.has_criteria:
            for number, name in enumerate(self.above_hidden, 1):
                if number % NAMES_PER_BATCH == 0:
                    await self.ctx.yield_control()
                row = self.names.get(name)
                if (row is None or not self.meets(row)) and self.matcher.matches(name):
                    hidden.add(name)
        return hidden

    def _listed(self, name: str, *, hidden: bool) -> Listed:
        row = self.names.get(name)
        return Listed(
            name,
            0 if row is None else row.mailbox,
            not hidden,
            row is not None and row.subscribed,
            name in self.with_children,
            name in self.above,
        )

    def _criterion(self) -> Callable[[Name], bool]:
        """Return the function that decides whether a name meets all criteria."""
        selection = self.selection
        if not selection.has_criteria:
            return lambda name: name.mailbox != 0
        if not selection.special_use:
            return lambda name: name.subscribed
        return lambda name: (
            (name.subscribed or not selection.subscribed) and self._has_special_use(name)
        )

    def _has_special_use(self, name: Name) -> bool:
        if not name.mailbox:
            return False
        with self.ctx.store.reading() as reader:
            mailbox = reader.mailbox(name.name)
            return mailbox is not None and bool(mailbox.special_use)
