r"""\Recent: which session is the first to hear of a message (RFC 3501 section 2.3.2).

A read-write SELECT moves the mailbox's mark at once. Messages that arrive while the mailbox is
selected are recent to the session too, and the mark is moved when it leaves: one write a session
instead of one a message. Where the disk is full the mark stays: reading mail is more important than
who reads it first.
"""

from collections.abc import Awaitable

from imapvm.commands.context import Context
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.filepool.operations.mailboxes import Mailbox
from imapvm.filepool.store import AccountStore


def claim_arrivals(ctx: Context) -> Awaitable[None] | None:
    """Move the mark behind what this session saw arrive; None where there is nothing to move."""
    view, store = ctx.session.view, ctx.session.store
    if view is None or store is None or view.read_only or not view.saw_arrivals:
        return None
    with store.reading() as reader:
        mailbox = reader.mailbox_by_id(view.mailbox)
    if mailbox is None or mailbox.recent_from >= mailbox.uid_next:
        return None
    view.saw_arrivals = False
    return _claim_arrivals(store, mailbox)


async def _claim_arrivals(store: AccountStore, mailbox: Mailbox) -> None:
    await claim(store, mailbox)


async def claim(store: AccountStore, mailbox: Mailbox) -> int:
    r"""Move the mark behind the last message; return where it was, from which all is \Recent."""
    try:
        return await store.claim_recent(mailbox.id)
    except StoreUnavailableError:
        return mailbox.recent_from
