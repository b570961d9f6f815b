"""RETURN (UPDATE) of SEARCH, SORT and ESEARCH, and CANCELUPDATE (RFC 5267 section 4.3).

`imapvm.session.live_results` keeps the results up to date.
"""

from imapvm._core import CancelUpdate, FetchItems, SearchProgram, SortedMessages, UidSet
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.search.results import esearch_head
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.model.limits import FETCH_FIELD_LISTS_MAX
from imapvm.session.live_results import LiveResult, LiveResults, write_no_update


class StartedUpdate:
    """Search with UPDATE that has begun."""

    __slots__ = ("is_done", "items", "now", "program", "tag")

    def __init__(
        self, program: SearchProgram, tag: bytes, now: float, items: FetchItems | None
    ) -> None:
        self.program = program
        """The search keys, with UIDs in place of message numbers and `$`."""
        self.items = items
        """Of FETCH for new messages."""
        self.tag = tag
        self.now = now
        """Time that OLDER and YOUNGER refer to, or earlier."""
        self.is_done = False
        """True after `keep_updated`."""


def start_updating(
    ctx: SelectedContext,
    program: SearchProgram | None,
    tag: bytes,
    items: FetchItems | None = None,
) -> StartedUpdate | None:
    """Prepare UPDATE before the search, which may change `$`.

    Returns:
        None if the charset is unknown, which the search refuses.

    Raises:
        Refusal: BAD, if a search with this tag is kept up to date already; NO, if the items are too
            expensive.
    """
    view = ctx.view
    if items is not None:
        check_kept_items(items)
    if view.live is not None and tag in view.live:
        raise Refusal("tag of a search with UPDATE is used again", bad=True)
    if program is None:
        return None
    program = program.with_uids(view.numbers, view.saved, collation=ctx.session.comparator.number)
    return StartedUpdate(program, tag, ctx.services.clock(), items)


def keep_updated(
    ctx: SelectedContext,
    started: StartedUpdate,
    *,
    uid: bool,
    uids: UidSet | None = None,
    order: SortedMessages | None = None,
    head: bytes | None = None,
    limited: bool = False,
) -> None:
    """Keep the result of a search up to date, or write NOUPDATE.

    The changes since the last updates are written after the result, in the same command: the search
    may have read a message before it changed.

    Args:
        ctx: the selected mailbox.
        started: by `start_updating`.
        uid: True for UIDs in responses.
        uids: the messages that match, in the order of the mailbox.
        order: the messages that match, in the order of SORT.
        head: start of the ESEARCH responses; None for `esearch_head`.
        limited: True if MESSAGELIMIT has limited the search.
    """
    started.is_done = True
    view = ctx.view
    live = LiveResults(ctx.services.clock) if view.live is None else view.live
    result = LiveResult(
        started.program,
        head=esearch_head(started.tag, uid=uid) if head is None else head,
        uid=uid,
        uids=uids or UidSet(),
        order=order,
        items=_items(started, uid=uid),
        now=started.now,
    )
    reason = "not all messages were searched" if limited else live.add(started.tag, result)
    if reason is not None:
        write_no_update(ctx.out, started.tag, reason)
    if live:
        view.live = live


def check_kept_items(items: FetchItems) -> None:
    """Check items of FETCH responses for new messages, of UPDATE and of NOTIFY.

    Raises:
        Refusal: they are too expensive.
    """
    if items.needs_decoding:
        raise Refusal("cannot notify with BINARY", code="NOTIFICATIONOVERFLOW")
    if items.field_lists > FETCH_FIELD_LISTS_MAX:
        text = f"more than {FETCH_FIELD_LISTS_MAX} lists of header fields"
        raise Refusal(text, code="NOTIFICATIONOVERFLOW")


def _items(started: StartedUpdate, *, uid: bool) -> FetchItems | None:
    if started.items is None:
        return None
    return started.items.with_uid() if uid else started.items


def cancel_update(ctx: SelectedContext, command: CancelUpdate) -> Done:
    """Stop updates (section 4.3.5).

    A tag without updates is no error: the server may have ended them with NOUPDATE meanwhile.
    """
    view = ctx.view
    if view.live is not None:
        for tag in command.tags:
            view.live.cancel(tag)
        if not view.live:
            view.live = None
    return DONE
