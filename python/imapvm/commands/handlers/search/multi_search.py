"""ESEARCH: search of several mailboxes, which are not selected (RFC 7377).

One mailbox is searched after the other, each like a mailbox of EXAMINE; the selected one as its
client has counted it. Only mailboxes with matches are written.
"""

from array import array
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from imapvm._core import MultiSearch, SearchProgram, UidSet, imap_string
from imapvm.commands.context import SEND_BYTES, AccountContext, SelectedContext
from imapvm.commands.handlers.mailboxes.names import encoded, existing_name
from imapvm.commands.handlers.search.filters import with_filters
from imapvm.commands.handlers.search.results import (
    EVERYTHING,
    RESULT_NUMBERS,
    returned,
    send_result,
    write_result,
)
from imapvm.commands.handlers.search.search import (
    check_fuzzy,
    empty_saved_result,
    find_newest,
    highest_modseq,
    modseq_limit,
    relevancy,
    require_uids,
    search_done,
)
from imapvm.commands.handlers.search.updating import (
    StartedUpdate,
    keep_updated,
    start_updating,
)
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.filepool.errors import PermissionDeniedError
from imapvm.filepool.reading import Name
from imapvm.filepool.store import Mailbox
from imapvm.model.ids import UID_MAX, MailboxId
from imapvm.model.limits import ESEARCH_NAMES_MAX
from imapvm.model.names import DELIMITER, INBOX, SHARED_NAMESPACES, parents
from imapvm.model.rights import Rights
from imapvm.session.live_results import write_no_update
from imapvm.session.view import NONE, View

_Sources: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]

SELECTED_SHARED: Final = MailboxId(0)
"""In place of the id of the selected mailbox if that is of another account."""
NAMES_PER_READ: Final = 500
"""Names read in one transaction, in about half a millisecond."""


@dataclass(slots=True)
class UidReply:
    """Options of ESEARCH for its responses, which always have UIDs (RFC 7377 section 2.1)."""

    tag: bytes
    returns: frozenset[str]
    window: tuple[int, int] | None
    update: StartedUpdate | None
    """With UPDATE, for the selected mailbox (section 6)."""
    uid: bool = True
    limited: str | None = None
    """Code of MESSAGELIMIT if only the newest messages of a mailbox were examined."""


async def multi_search(ctx: AccountContext, command: MultiSearch) -> Done:
    """Search mailboxes, and write ESEARCH for each that has matches."""
    filters = _filters(ctx, command.sources or (("SELECTED", ()),))
    view = ctx.session.view
    if filters.selected and view is None:
        raise Refusal("cannot ESEARCH: no mailbox is selected", bad=True)
    returns = EVERYTHING if command.returns is None else command.returns
    if command.update and view is None:
        raise Refusal("cannot UPDATE: no mailbox is selected", bad=True)  # RFC 7377 section 6
    if "SAVE" in returns and not filters.only_selected:
        raise Refusal("cannot SAVE a search of other mailboxes than the selected one", bad=True)
    update = None
    try:
        program = await with_filters(ctx, command.program)
        require_uids(ctx, program)
        check_fuzzy(program, returns)
        if command.update:
            update = start_updating(
                SelectedContext(ctx), program, command.tag, command.update_items
            )
        reply = UidReply(command.tag, returns, command.window, update)
        mailboxes = await _mailboxes(ctx, filters)
        for mailbox in mailboxes:
            await _search(ctx, program, reply, _open(ctx, MailboxId(mailbox)))
            await ctx.yield_control()  # after an empty mailbox, too
        await _search_shared(ctx, program, reply, filters)
    except BaseException as error:
        if view is not None:
            empty_saved_result(SelectedContext(ctx), returns, error)
        raise
    if update is not None and not update.is_done:
        write_no_update(ctx.out, command.tag, "the selected mailbox is not searched")
    limited = reply.limited
    if limited is not None and not filters.only_selected:
        limited = f"MESSAGELIMIT {ctx.message_limit.messages}"  # no UID: of which mailbox?
    done = DONE if view is None else search_done(SelectedContext(ctx), program)
    if limited is None:
        return done
    if view is None or done is DONE:
        return Done(limited)
    SelectedContext(ctx).write_limited(limited)
    return done


async def _search_shared(
    ctx: AccountContext, program: SearchProgram | None, reply: UidReply, filters: "_Filters"
) -> None:
    """Search mailboxes of other users; `r` is needed.

    Also `l`, for those that the command does not name (RFC 7377 section 2.2). A mailbox without
    these rights is ignored, like one that does not exist.
    """
    for name in filters.shared_names:
        await _search(ctx, program, reply, _open_shared(ctx, filters, name, Rights.READ))
        await ctx.yield_control()
    if not filters.has_shared_trees:
        return
    for batch in ctx.access().visible_names():
        await ctx.yield_control()
        for name in batch:
            if name not in filters.shared_names and filters.match_shared(name):
                both = Rights.READ | Rights.LOOKUP
                await _search(ctx, program, reply, _open_shared(ctx, filters, name, both))
                await ctx.yield_control()


async def _search(
    ctx: AccountContext,
    program: SearchProgram | None,
    reply: UidReply,
    opened: tuple[Mailbox, SelectedContext] | None,
) -> None:
    """Search one mailbox, if it is not gone or empty; write ESEARCH if there are matches."""
    if opened is None:
        return
    row, searched = opened
    try:
        limit = modseq_limit(searched, program)
        found, limited = await find_newest(searched, program)
        reply.limited = limited or reply.limited
        modseq = None
        if limit is not None:
            modseq = await highest_modseq(searched, returned(reply, found), limit)
        scores = None
        if "RELEVANCY" in reply.returns:
            scores = await relevancy(searched, program, found)
    except Refusal as error:
        if error.code == "NONEXISTENT":
            return  # deleted meanwhile
        raise
    head = b"ESEARCH (TAG %b MAILBOX %b UIDVALIDITY %d) UID" % (
        imap_string(reply.tag),
        encoded(ctx, row.name),
        row.uid_validity,
    )
    if found:
        if len(found) <= RESULT_NUMBERS:
            write_result(searched, reply, found, modseq, head, scores)
        else:
            await send_result(searched, reply, found, modseq, head, scores)
    elif "SAVE" in reply.returns:
        searched.view.saved = UidSet()
    if reply.update is not None and searched.view is ctx.session.view:
        keep_updated(searched, reply.update, uids=found, uid=True, head=head)
    if len(ctx.out) >= SEND_BYTES:
        await ctx.flush()


def _open(ctx: AccountContext, mailbox: MailboxId) -> tuple[Mailbox, SelectedContext] | None:
    r"""Return a mailbox and the context of a search in it; None if it was deleted or is empty.

    In IMAP4rev1, the messages that no session has claimed are \Recent, as in EXAMINE.
    """
    if mailbox == SELECTED_SHARED:
        searched = SelectedContext(ctx)
        with searched.store.reading() as reader:
            return searched.mailbox_row(reader), searched
    with ctx.store.reading() as reader:
        row = reader.mailbox_by_id(mailbox)
        if row is None:
            return None
        if ctx.is_selected(ctx.store, mailbox):
            return row, SelectedContext(ctx)
        if not row.messages:
            return None
        numbers = reader.snapshot.uid_map(mailbox)  # not those of `reader`, which SELECT shares
    recent = NONE
    if not ctx.session.rev2 and row.recent_from < row.uid_next:
        recent = numbers.uids & UidSet([(row.recent_from, UID_MAX)])
    view = View(
        mailbox, numbers=numbers, known_modseq=row.highest_modseq, recent=recent, read_only=True
    )
    return row, SelectedContext(ctx, view)


def _open_shared(
    ctx: AccountContext, filters: "_Filters", name: str, needed: Rights
) -> tuple[Mailbox, SelectedContext] | None:
    """Return a mailbox of another user and the context of a search in it.

    Returns:
        None if it is empty, or was searched as the selected one; or if the user has not the rights.
    """
    store, local = ctx.locate(name)
    if store.is_own:
        return None
    with store.reading() as reader, suppress(PermissionDeniedError):
        row = reader.find(local, needed)
        if row is None or not row.messages:
            return None
        if ctx.is_selected(store, row.id):
            return None if filters.selected else (row, SelectedContext(ctx))
        numbers = reader.snapshot.uid_map(row.id)
        view = View(row.id, numbers=numbers, known_modseq=row.highest_modseq, read_only=True)
        return row, SelectedContext(ctx, view, store)
    return None


async def _mailboxes(ctx: AccountContext, filters: "_Filters") -> Collection[int]:
    """Return the ids of the mailboxes to search, each once, by name; the selected one first."""
    found: dict[int, None] = {}
    if filters.selected and ctx.mailbox is not None:
        own = ctx.is_selected(ctx.store, ctx.mailbox)
        found[ctx.mailbox if own else SELECTED_SHARED] = None
    after: str | None = None if filters.only_selected else ""
    while after is not None:
        with ctx.store.reading() as reader:
            names = reader.names(after, NAMES_PER_READ)
        filters.note_subscriptions(names)
        wanted = (name for name in names if name.mailbox and filters.match(name))
        found.update((name.mailbox, None) for name in wanted)
        after = names[-1].name if len(names) == NAMES_PER_READ else None
        await ctx.yield_control()
    return array("Q", found)  # kept for as long as the client takes to read


def _filters(ctx: AccountContext, sources: _Sources) -> "_Filters":
    """Return the source options with names as they are stored.

    Raises:
        Refusal: there are too many names.
    """
    if sum(len(names) for _, names in sources) > ESEARCH_NAMES_MAX:
        raise Refusal(f"more than {ESEARCH_NAMES_MAX} mailboxes in one ESEARCH", code="LIMIT")
    return _Filters(
        [(word, {_stored_name(ctx, name) for name in names}) for word, names in sources]
    )


def _stored_name(ctx: AccountContext, name: str) -> str:
    store, local = ctx.locate(name)
    with store.reading() as reader:
        return (store.prefix + existing_name(ctx, reader, local)).removesuffix(DELIMITER)


class _Filters:
    """Source options of a command (RFC 7377 section 2.2, RFC 5465 section 6)."""

    def __init__(self, sources: list[tuple[str, set[str]]]) -> None:
        words = {word for word, _ in sources}
        self.selected = "SELECTED" in words
        self.only_selected = words == {"SELECTED"}
        self._personal = "PERSONAL" in words
        self._subscribed = "SUBSCRIBED" in words
        self._names: set[str] = set().union(*(names for _, names in sources))
        if "INBOXES" in words:
            self._names.add(INBOX)
        self._roots = _names_of(sources, "SUBTREE")
        self._parents = _names_of(sources, "SUBTREE-ONE")
        self.shared_names = sorted(
            name for name in _names_of(sources, "MAILBOXES") if name.startswith(SHARED_NAMESPACES)
        )
        """Names of mailboxes of others in the command."""
        self._subscribed_shared: set[str] = set()

    @property
    def has_shared_trees(self) -> bool:
        """True if mailboxes of others may match that the command does not name."""
        return bool(self._subscribed_shared) or any(
            (name + DELIMITER).startswith(SHARED_NAMESPACES) for name in self._roots | self._parents
        )

    def note_subscriptions(self, names: Sequence[Name]) -> None:
        """Note subscribed mailboxes of others."""
        if self._subscribed:
            self._subscribed_shared.update(
                name.name
                for name in names
                if name.subscribed and not name.mailbox and name.name.startswith(SHARED_NAMESPACES)
            )

    def match_shared(self, name: str) -> bool:
        """Return True if a mailbox of another user has to be searched that was not named."""
        return (
            name in self._subscribed_shared
            or name in self._roots
            or name in self._parents
            or self._is_below(name)
        )

    def match(self, name: Name) -> bool:
        """Return True if a mailbox with this name has to be searched."""
        if self._personal or name.name in self._names or (self._subscribed and name.subscribed):
            return True
        return bool(self._roots or self._parents) and self._is_below(name.name)

    def _is_below(self, name: str) -> bool:
        """Return True if a name is below one of SUBTREE, or one level below one of SUBTREE-ONE."""
        above = parents(name)
        return not self._roots.isdisjoint(above) or (bool(above) and above[-1] in self._parents)


def _names_of(sources: list[tuple[str, set[str]]], wanted: str) -> set[str]:
    return set().union(*(names for word, names in sources if word == wanted))
