"""NOTIFY (RFC 5465): choice of the events of which a client is notified, also between commands."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from imapvm._core import FetchItems, Notify
from imapvm.commands.annotations import watch_annotations
from imapvm.commands.context import SEND_BYTES, AccountContext, Context
from imapvm.commands.handlers.mailboxes.names import existing_name
from imapvm.commands.handlers.search.updating import check_kept_items
from imapvm.commands.notifications import AccountWatch, NotificationWriter
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.model.ids import MailboxId
from imapvm.model.limits import (
    NOTIFY_GROUPS_MAX,
    NOTIFY_NAMES_BYTES_MAX,
    NOTIFY_NAMES_MAX,
    NOTIFY_SHARED_MAX,
)
from imapvm.model.names import DELIMITER
from imapvm.session.interest import (
    EVENT_NAMES,
    EVENTS,
    MESSAGE_EVENTS,
    METADATA_EVENTS,
    NO_EVENTS,
    NO_SELECTED_EVENTS,
    NOTHING,
    EventGroup,
    Interest,
    NotifyEvent,
    SelectedEvents,
)
from imapvm.session.watch import Watch

_Group: TypeAlias = tuple[str, tuple[str, ...], tuple[str, ...], FetchItems | None]

SELECTED: Final = ("SELECTED", "SELECTED-DELAYED")
BADEVENT: Final = f"BADEVENT ({' '.join(EVENT_NAMES.values())})"
OVERFLOW: Final = "NOTIFICATIONOVERFLOW"
NAMES_PER_READ: Final = 200
"""Mailboxes whose STATUS is written in one transaction, in some milliseconds."""


async def notify(ctx: Context, command: Notify) -> Done:
    """Replace the events of which the client is notified; dispatch writes what has accumulated.

    With STATUS, write the state of all watched mailboxes but the selected one.
    """
    session = ctx.session
    if command.groups is None:
        session.set_interest(NOTHING, None)
        ctx.update_watchers()
        return DONE
    account = AccountContext(ctx)
    interest = _interest(account, command.groups)
    watch: AccountWatch = Watch(interest.all_events, account.access())
    writer = NotificationWriter(session, ctx.out, account.own, interest)
    if interest.may_match_shared:
        for _ in writer.compare(watch, initial=True):
            await ctx.yield_control()
        if watch.overflowed:
            text = f"more than {NOTIFY_SHARED_MAX} mailboxes of other users"
            raise Refusal(text, code=OVERFLOW)
        watch.stale = True  # changes since the comparison are found by the next one
    ctx.services.watchers.on_enter()  # changes up to here are of the interest before
    with account.own.reading() as reader:
        watch.names_seen = reader.name_changes(0, 0)[0].last
    session.set_interest(interest, watch)
    ctx.update_watchers()
    if watch.events & METADATA_EVENTS:
        watch_annotations(session, account.own)
    if command.status:
        await _write_statuses(account, interest, writer, watch)
    return DONE


# --- the arguments --------------------------------------------------------------------------------


def _interest(ctx: AccountContext, groups: Sequence[_Group]) -> Interest:
    """Return the arguments of NOTIFY SET, checked.

    Raises:
        Refusal: they are not valid, or too many.
    """
    if len(groups) > NOTIFY_GROUPS_MAX:
        raise Refusal(f"more than {NOTIFY_GROUPS_MAX} event groups", code=OVERFLOW)
    for _, _, words, _ in groups:
        unknown = [word for word in words if word not in EVENTS]
        if unknown:
            raise Refusal(f"unknown event {unknown[0]}", code=BADEVENT)
    if sum(len(names) for _, names, _, _ in groups) > NOTIFY_NAMES_MAX:
        raise Refusal(f"more than {NOTIFY_NAMES_MAX} mailboxes in one NOTIFY", code=OVERFLOW)
    selected, delayed = NO_SELECTED_EVENTS, False
    others: list[EventGroup] = []
    seen_selected = False
    size = 0
    for kind, names, words, items in groups:
        events = _events(words)
        if kind in SELECTED:
            if seen_selected:
                raise Refusal("SELECTED twice in one NOTIFY", bad=True)
            seen_selected, delayed = True, kind == "SELECTED-DELAYED"
            selected = _selected(events, items)
            continue
        if items is not None:
            raise Refusal("FETCH items of a mailbox that is not selected", bad=True)
        joined = _names(ctx, names)
        size += len(joined.encode())
        if size > NOTIFY_NAMES_BYTES_MAX:
            text = f"more than {NOTIFY_NAMES_BYTES_MAX} bytes of mailbox names in one NOTIFY"
            raise Refusal(text, code=OVERFLOW)
        if events:
            others.append(EventGroup(kind, joined, events))
    return Interest(selected, delayed, tuple(others))


def _events(words: Sequence[str]) -> NotifyEvent:
    """Return the events of a group.

    Raises:
        Refusal: BAD, if an event is missing that another one needs (RFC 5465 section 5).
    """
    events = NO_EVENTS
    for word in words:
        events |= EVENTS[word]
    both = NotifyEvent.MESSAGE_NEW | NotifyEvent.MESSAGE_EXPUNGE
    if events & MESSAGE_EVENTS and events & both != both:
        raise Refusal("MessageNew and MessageExpunge only together, also for FlagChange", bad=True)
    return events


def _selected(events: NotifyEvent, items: FetchItems | None) -> SelectedEvents:
    """Return the events of the selected mailbox.

    Raises:
        Refusal: BAD for other events than those of messages, NO for items that are too expensive.
    """
    if events & ~MESSAGE_EVENTS:
        raise Refusal("SELECTED with an event that is not of messages", bad=True)
    if items is not None:
        check_kept_items(items)
    return SelectedEvents(
        new=NotifyEvent.MESSAGE_NEW in events,
        expunges=NotifyEvent.MESSAGE_EXPUNGE in events,
        flags=NotifyEvent.FLAG_CHANGE in events,
        items=items,
    )


def _names(ctx: AccountContext, names: Sequence[str]) -> str:
    """Return names as `EventGroup.names` has them. They need not exist (section 3.1)."""
    found = []
    for written in names:
        name = written.removesuffix(DELIMITER)
        store, local = ctx.locate(name)
        with store.reading() as reader:
            canonical = store.prefix + existing_name(ctx, reader, local)
        found.append(canonical.removesuffix(DELIMITER))  # a user's name is a prefix only
    return "\0".join(["", *dict.fromkeys(found), ""])


# --- STATUS ---------------------------------------------------------------------------------------


async def _write_statuses(
    ctx: AccountContext, interest: Interest, writer: NotificationWriter, watch: AccountWatch
) -> None:
    """Write STATUS of all watched mailboxes with message events, except the selected one."""
    if not interest.all_events & MESSAGE_EVENTS:
        return
    modseq = "CONDSTORE" not in ctx.session.disabled.names
    after: str | None = ""
    while after is not None:
        with ctx.own.reading() as reader:
            names = reader.names(after, NAMES_PER_READ)
            for name in names:
                if not name.mailbox:
                    continue
                row = writer.watched_mailbox(ctx.own, reader, MailboxId(name.mailbox))
                if row is not None:
                    writer.write_status(ctx.own, reader, row, modseq=modseq)
        after = names[-1].name if len(names) == NAMES_PER_READ else None
        await _send(ctx)
    for number, (account, mailbox) in enumerate(list(watch.known)):
        store = watch.others.get(account)
        if store is None:
            continue
        with store.reading() as reader:
            row = writer.watched_mailbox(store, reader, mailbox)
            if row is not None:
                writer.write_status(store, reader, row, modseq=modseq)
        if number % NAMES_PER_READ == 0:
            await _send(ctx)


async def _send(ctx: AccountContext) -> None:
    if len(ctx.out) >= SEND_BYTES:
        await ctx.flush()
    await ctx.yield_control()
