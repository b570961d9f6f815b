"""STORE and UID STORE (RFC 9051 sections 6.4.6 and 6.4.9)."""

from imapvm._core import FetchItems, Store
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
