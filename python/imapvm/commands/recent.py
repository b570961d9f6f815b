r"""\Recent: which session is the first to hear of a message (RFC 3501 section 2.3.2).

A read-write SELECT moves the mailbox's mark at once. Messages that arrive while the mailbox is
selected are recent to the session too, and the mark is moved when it leaves: one write a session
instead of one a message.
"""

from collections.abc import Awaitable

from imapvm.commands.context import Context
from imapvm.filepool.store import AccountStore
from imapvm.model.ids import MailboxId


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
    return _claim(store, view.mailbox)


async def _claim(store: AccountStore, mailbox: MailboxId) -> None:
    await store.claim_recent(mailbox)
