"""EXPUNGE and UID EXPUNGE (RFC 9051 sections 6.4.3 and 6.4.9)."""

from imapvm._core import Expunge
from imapvm.commands.context import Context, Done
from imapvm.commands.selected import selected, wanted_uids, writable


async def expunge(ctx: Context, command: Expunge) -> Done:
    r"""Remove the messages with \Deleted, of those that the client knows.

    A message that was delivered, and marked by somebody else, after the client was last told is
    not removed by a client that never saw it. What is gone is announced in front of the OK, by the
    place that announces everything.
    """
    view, store = selected(ctx)
    writable(view)
    known = view.numbers.uids
    wanted = known if command.uids is None else wanted_uids(ctx, command.uids, uid=True)
    if wanted:
        await store.expunge(view.mailbox, wanted)
    return Done("expunged")
