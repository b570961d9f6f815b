"""STATUS (RFC 9051 section 6.3.11), and STATUS responses of LIST (RFC 5819)."""

from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any, Final

from imapvm._core import Status, UidSet, segment_uids
from imapvm.commands.context import AccountContext, Context
from imapvm.commands.handlers.mailboxes.names import encoded, find_mailbox, mailbox_id
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import AccountStore, Mailbox
from imapvm.model.ids import MailboxId
from imapvm.model.limits import MESSAGE_MAX

COUNTED_IN_SEGMENTS: Final = 2048
r"""UIDs among which \Recent messages are counted in the index, in 0.1 ms. More are counted in the
map of all UIDs, which is kept for the next time."""


def _recent(reader: Reader, mailbox: Mailbox) -> int:
    r"""Count the messages that a SELECT would claim as \Recent (RFC 3501 section 6.3.10)."""
    if mailbox.recent_from >= mailbox.uid_next:
        return 0
    new = UidSet([(mailbox.recent_from, mailbox.uid_next - 1)])
    if len(new) > COUNTED_IN_SEGMENTS:
        return len(reader.uid_map(mailbox).uids & new)
    return sum(len(segment_uids(s) & new) for s in reader.segments(mailbox, new))


DELETED_STORAGE: Final = "DELETED-STORAGE"
COUNTED_IN_A_STEP: Final = 16_384
r"""Messages among which the sizes of those with \Deleted are added in one step, in 0.5 ms."""

ITEMS: Final[dict[str, Callable[[Reader, Mailbox], int | str]]] = {
    "MESSAGES": lambda _, mailbox: mailbox.messages,
    "UIDNEXT": lambda _, mailbox: mailbox.uid_next,
    "UIDVALIDITY": lambda _, mailbox: mailbox.uid_validity,
    "UNSEEN": lambda reader, mailbox: reader.unseen(mailbox),
    "DELETED": lambda _, mailbox: mailbox.deleted,
    "SIZE": lambda _, mailbox: mailbox.size,
    "RECENT": _recent,
    "HIGHESTMODSEQ": lambda _, mailbox: mailbox.highest_modseq,
    "APPENDLIMIT": lambda _reader, _mailbox: MESSAGE_MAX,
    "MAILBOXID": lambda _, mailbox: f"({mailbox_id(mailbox)})",
}
"""All but RECENT are in the mailbox's row, and need no counting (RFC 8438, 7889, 8474,
7162)."""


def status(ctx: AccountContext, command: Status) -> Done | Coroutine[Any, Any, Done]:
    """Write STATUS of a mailbox, which may be the selected one."""
    check_items(ctx, command.items)
    if DELETED_STORAGE in command.items:
        return _counted_status(ctx, command)
    store, name = ctx.locate(command.mailbox)
    with store.reading() as reader:
        mailbox = find_mailbox(ctx, reader, name)
        write_status(ctx, reader, mailbox, command.items)
    return DONE


async def _counted_status(ctx: AccountContext, command: Status) -> Done:
    """Write STATUS with DELETED-STORAGE, which is counted in steps."""
    store, name = ctx.locate(command.mailbox)
    with store.reading() as reader:
        mailbox = find_mailbox(ctx, reader, name)
    size = await deleted_size(ctx, store, mailbox.id)
    with store.reading() as reader:
        mailbox = find_mailbox(ctx, reader, name)
        write_status(ctx, reader, mailbox, command.items, deleted_size=size)
    return DONE


async def deleted_size(ctx: AccountContext, store: AccountStore, mailbox: MailboxId) -> int:
    r"""Return the bytes of all messages with \Deleted (RFC 9208 section 4.1.4).

    Messages that change meanwhile may be counted or not.
    """
    size, start = 0, 1
    while True:
        with store.reading() as reader:
            row = reader.mailbox_by_id(mailbox)
            if row is None or not row.deleted:
                return 0
            if row.deleted == row.messages:
                return row.size
            more, following = reader.snapshot.deleted_size(mailbox, start, COUNTED_IN_A_STEP)
        size += more
        if following is None:
            return size
        start = following
        await ctx.yield_control()


def check_items(ctx: Context, items: Collection[str]) -> None:
    """Refuse unknown items; HIGHESTMODSEQ enables CONDSTORE (RFC 7162 section 3.1)."""
    for item in items:
        if item not in ITEMS and item != DELETED_STORAGE:
            raise Refusal(f"unknown STATUS item {item}", bad=True)
    if "HIGHESTMODSEQ" in items:
        ctx.enable_condstore()


def write_status(
    ctx: Context,
    reader: Reader,
    mailbox: Mailbox,
    items: Iterable[str],
    *,
    deleted_size: int = 0,
) -> None:
    """Write a STATUS response (RFC 9051 section 7.3.3); each item once.

    Args:
        ctx: gets the response.
        reader: state of the account.
        mailbox: the mailbox.
        items: of the command, checked.
        deleted_size: value of DELETED-STORAGE.
    """
    values = " ".join(
        f"{item} {deleted_size if item == DELETED_STORAGE else ITEMS[item](reader, mailbox)}"
        for item in dict.fromkeys(items)
    )
    ctx.out.untagged(b"STATUS %b (%b)" % (encoded(ctx, mailbox.name), values.encode()))
