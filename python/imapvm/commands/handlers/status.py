"""STATUS (RFC 9051 section 6.3.11), and STATUS as LIST returns it (RFC 5819)."""

from collections.abc import Callable, Iterable
from typing import Final

from imapvm._core import Status, UidSet, segment_uids
from imapvm.commands.context import Context
from imapvm.commands.handlers.names import mailbox_id, wanted_mailbox, written
from imapvm.commands.outcome import Done, Refusal
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import Mailbox
from imapvm.model.limits import MESSAGE_MAX


def _recent(reader: Reader, mailbox: Mailbox) -> int:
    r"""How many messages would be \Recent to who selects now (RFC 3501 section 6.3.10)."""
    if mailbox.recent_from >= mailbox.uid_next:
        return 0
    new = UidSet([(mailbox.recent_from, mailbox.uid_next - 1)])
    return sum(len(segment_uids(s) & new) for s in reader.segments(mailbox, new))


ITEMS: Final[dict[str, Callable[[Reader, Mailbox], int | str]]] = {
    "MESSAGES": lambda _, mailbox: mailbox.messages,
    "UIDNEXT": lambda _, mailbox: mailbox.uid_next,
    "UIDVALIDITY": lambda _, mailbox: mailbox.uid_validity,
    "UNSEEN": lambda _, mailbox: mailbox.unseen,
    "DELETED": lambda _, mailbox: mailbox.deleted,
    "SIZE": lambda _, mailbox: mailbox.size,
    "RECENT": _recent,
    "APPENDLIMIT": lambda _reader, _mailbox: MESSAGE_MAX,
    "MAILBOXID": lambda _, mailbox: f"({mailbox_id(mailbox)})",
}
"""All but RECENT stand in the mailbox's row: nothing is counted (RFC 8438, 7889, 8474)."""


def status(ctx: Context, command: Status) -> Done:
    """Say how a mailbox stands; the selected one too."""
    check_items(command.items)
    store = ctx.session.store
    assert store is not None
    with store.reading() as reader:
        mailbox = wanted_mailbox(reader, command.mailbox)
        status_line(ctx, reader, mailbox, command.items)
    return Done("that is all")


def check_items(items: Iterable[str]) -> None:
    """Refuse items that nobody offered."""
    for item in items:
        if item not in ITEMS:
            raise Refusal(f"there is no status item {item} here", bad=True)


def status_line(ctx: Context, reader: Reader, mailbox: Mailbox, items: Iterable[str]) -> None:
    """Write a STATUS response (RFC 9051 section 7.3.3); each item once."""
    told = " ".join(f"{item} {ITEMS[item](reader, mailbox)}" for item in dict.fromkeys(items))
    ctx.out.untagged(b"STATUS %b (%b)" % (written(ctx, mailbox.name), told.encode()))
