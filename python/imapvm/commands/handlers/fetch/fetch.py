"""FETCH and UID FETCH (RFC 9051 sections 6.4.5 and 6.4.9)."""

from typing import Final

from imapvm._core import STORE_ADD, Fetch, FetchItems, UidSet, uids_with_flags
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.fetch.stream import fetch_stream
from imapvm.commands.outcome import DONE, Done, Refusal, messages_expunged
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.model.flags import SystemFlag

SEEN_BATCH: Final = 128
r"""Messages whose \Seen is set in one commit, before their responses are written."""


async def fetch(ctx: SelectedContext, command: Fetch) -> Done:
    """Write FETCH responses.

    A message number that belongs to an expunged message gets NO (RFC 2180 section 4.1.2, RFC 5530);
    an expunged UID is no error (RFC 9051 section 6.4.9).
    """
    if command.changed_since is not None or command.vanished or command.items.needs_modseq:
        raise Refusal("unknown FETCH item or modifier: CONDSTORE is not offered", bad=True)
    uids = ctx.uids(command.set, uid=command.uid)
    if command.items.sets_seen and not ctx.view.read_only:
        expunged = await _fetch_and_set_seen(ctx, command.items, uids)
    else:
        expunged = await fetch_stream(ctx, command.items, uids)
    if expunged and not command.uid:
        raise messages_expunged()
    return DONE


async def _fetch_and_set_seen(ctx: SelectedContext, items: FetchItems, uids: UidSet) -> bool:
    expunged = False
    while uids:
        batch, uids = uids.split(SEEN_BATCH)
        newly_seen = await _set_seen(ctx, batch)
        expunged |= await fetch_stream(ctx, items, batch, flags_too=newly_seen)
    return expunged


async def _set_seen(ctx: SelectedContext, uids: UidSet) -> UidSet:
    r"""Set \Seen; return the messages that did not have it, whose responses include FLAGS.

    If the disk is full, \Seen is not set; the messages are sent all the same.
    """
    view, store = ctx.view, ctx.store
    with store.reading() as reader:
        segments = reader.segments(ctx.mailbox_row(reader), uids)
    unseen = uids_with_flags(segments, SystemFlag.SEEN, 0) & uids
    if not unseen:
        return unseen
    try:
        stored = await store.store_flags(
            view.mailbox, unseen, mode=STORE_ADD, flags=SystemFlag.SEEN, keywords=()
        )
    except StoreUnavailableError:
        return UidSet()
    view.note_own_change(stored.changed, stored.modseq)
    return stored.changed
