"""STORE, EXPUNGE and their UID forms (RFC 9051 sections 6.4.3, 6.4.6 and 6.4.9)."""

from imapvm._core import Expunge, FetchItems, Store
from imapvm.commands.context import Context, Done, Refusal
from imapvm.commands.handlers.fetch.stream import Answering
from imapvm.commands.selected import gone, selected, wanted_uids, writable


async def store(ctx: Context, command: Store) -> Done:
    r"""Change flags, and unless SILENT tell the flags of all messages that were named.

    All are told, the unchanged too: a client that asked for `+FLAGS (\Seen)` sees the state of
    each message it named (RFC 9051 section 6.4.6).
    """
    if command.unchanged_since is not None:
        raise Refusal("UNCHANGEDSINCE needs CONDSTORE, which is not offered", bad=True)
    view, account_store = selected(ctx)
    writable(view)
    wanted = wanted_uids(ctx, command.set, uid=command.uid)
    if not wanted:
        return Done("no such messages")
    stored = await account_store.store_flags(
        view.mailbox,
        wanted,
        mode=command.mode,
        flags=command.flags,
        keywords=command.keywords,
    )
    view.made(stored.changed, stored.modseq)
    if not command.silent:
        items = FetchItems.flags(uid=command.uid, modseq=False)
        if await Answering(ctx, items, wanted).finish() and not command.uid:
            raise gone()  # what SILENT does not say (RFC 2180 section 4.2)
    return Done("stored")


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
