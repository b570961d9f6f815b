"""FETCH and UID FETCH (RFC 9051 sections 6.4.5 and 6.4.9)."""

from collections.abc import Awaitable
from typing import Final

from imapvm._core import STORE_ADD, Fetch, UidSet, uids_with_flags
from imapvm.commands.context import Context, Done, Refusal
from imapvm.commands.handlers.fetch.stream import Answering
from imapvm.commands.selected import gone, selected, selected_row, wanted_uids
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.filepool.store import AccountStore
from imapvm.model.flags import SystemFlag
from imapvm.session.view import View

SEEN_BATCH: Final = 128
"""Messages whose \\Seen is set in one commit, before they are answered."""


def fetch(ctx: Context, command: Fetch) -> Done | Awaitable[Done]:
    """Answer at once where one batch is enough; else as fast as the client reads."""
    if command.changed_since is not None or command.vanished or command.items.asks_modseq:
        raise Refusal("CHANGEDSINCE, VANISHED, MODSEQ: CONDSTORE is not offered", bad=True)
    view, _ = selected(ctx)
    wanted = wanted_uids(ctx, command.set, uid=command.uid)
    if command.items.sets_seen and not view.read_only:
        return _fetch_and_see(ctx, command, wanted)
    answering = Answering(ctx, command.items, wanted)
    if answering.step():
        return _done(command, expunged=answering.missing)
    return _fetch_on(command, answering)


async def _fetch_on(command: Fetch, answering: Answering) -> Done:
    return _done(command, expunged=await answering.finish())


async def _fetch_and_see(ctx: Context, command: Fetch, wanted: UidSet) -> Done:
    view, store = selected(ctx)
    expunged = False
    while wanted:
        now, wanted = wanted.split(SEEN_BATCH)
        newly_seen = await _set_seen(view, store, now)
        answering = Answering(ctx, command.items, now, flags_too=newly_seen)
        expunged |= await answering.finish()
    return _done(command, expunged=expunged)


async def _set_seen(view: View, store: AccountStore, wanted: UidSet) -> UidSet:
    r"""Set \Seen where it is not; return where it was set: these answers say FLAGS too.

    Where the disk is full nothing is set: the message can be read all the same.
    """
    with store.reading() as reader:
        segments = reader.segments(selected_row(view, reader), wanted)
    unseen = uids_with_flags(segments, SystemFlag.SEEN, 0) & wanted
    if not unseen:
        return unseen
    try:
        stored = await store.store_flags(
            view.mailbox, unseen, mode=STORE_ADD, flags=SystemFlag.SEEN, keywords=()
        )
    except StoreUnavailableError:
        return UidSet()
    view.made(stored.changed, stored.modseq)
    return stored.changed


def _done(command: Fetch, *, expunged: bool) -> Done:
    """Say whether some of the messages are gone (RFC 2180 section 4.1.2, RFC 5530).

    Message numbers that still stand for an expunged message get NO; a UID that is gone is no
    error (RFC 9051 section 6.4.9).
    """
    if expunged and not command.uid:
        raise gone()
    return Done("fetched")
