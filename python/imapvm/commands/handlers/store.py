"""STORE, EXPUNGE and their UID forms (RFC 9051 sections 6.4.3, 6.4.6 and 6.4.9)."""

from imapvm._core import Expunge, FetchItems, Store
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.fetch.stream import fetch_stream
from imapvm.commands.outcome import DONE, Done, Refusal, messages_expunged


async def store(ctx: SelectedContext, command: Store) -> Done:
    r"""Change flags; unless SILENT, write FETCH FLAGS of all messages in the set.

    Of unchanged messages too: a client that sent `+FLAGS (\Seen)` gets the flags of each message
    that it named (RFC 9051 section 6.4.6).
    """
    if command.unchanged_since is not None:
        raise Refusal("unknown STORE modifier: CONDSTORE is not offered", bad=True)
    view = ctx.view
    ctx.require_writable()
    uids = ctx.uids(command.set, uid=command.uid)
    if not uids:
        return DONE
    stored = await ctx.store.store_flags(
        view.mailbox,
        uids,
        mode=command.mode,
        flags=command.flags,
        keywords=command.keywords,
    )
    view.note_own_change(stored.changed, stored.modseq)
    if not command.silent:
        items = FetchItems.flags(uid=command.uid, modseq=False)
        if await fetch_stream(ctx, items, uids) and not command.uid:
            raise messages_expunged()  # not with SILENT (RFC 2180 section 4.2)
    return DONE


async def expunge(ctx: SelectedContext, command: Expunge) -> Done:
    r"""Remove messages with \Deleted, among those that the client has counted.

    A message that was delivered and marked by another session since the last update stays: this
    client has never seen it. Dispatch writes the EXPUNGE responses.
    """
    view = ctx.view
    ctx.require_writable()
    counted = view.numbers.uids
    uids = counted if command.uids is None else ctx.uids(command.uids, uid=True)
    if uids:
        await ctx.store.expunge(view.mailbox, uids)
    return DONE
