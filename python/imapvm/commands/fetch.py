"""FETCH and UID FETCH (RFC 9051 sections 6.4.5 and 6.4.9).

A long answer goes batch by batch: one short read transaction, rendered in the extension, sent,
next. So neither the transaction nor the memory grows with what was asked for.
"""

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Final, cast

from imapvm._core import (
    STORE_ADD,
    BinarySlice,
    BodySlice,
    Fetch,
    FetchItems,
    UidSet,
    render_fetch,
    segment_bodies,
    segment_uids,
    uids_with_flags,
)
from imapvm.commands.announcing import MailboxSource
from imapvm.commands.bodies import send_pieces
from imapvm.commands.context import SEND_OCTETS, Context, Done, Refusal
from imapvm.commands.selected import gone, selected, selected_row, wanted_uids
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.filepool.store import AccountStore
from imapvm.model.flags import SystemFlag
from imapvm.session.view import View

if TYPE_CHECKING:
    from imapvm.model.ids import BodyId

INDEX_BATCH: Final = 4096
"""Messages a read transaction where the index alone answers: some 200 KiB of FLAGS answers."""
DIGEST_BATCH: Final = 128
"""Messages a read transaction where digests answer: at 1 to 2 KiB each, some 200 KiB."""
BODY_BATCH: Final = 128
"""Messages whose \\Seen is set, and whose pieces are laid out, at once: as DIGEST_BATCH, for
digests hold most of the header fields that are asked for."""


def fetch(ctx: Context, command: Fetch) -> Done | Awaitable[Done]:
    """Answer at once where one batch is enough; else as fast as the client reads."""
    if command.changed_since is not None or command.vanished or command.items.asks_modseq:
        raise Refusal("CHANGEDSINCE, VANISHED, MODSEQ: CONDSTORE is not offered", bad=True)
    view, store = selected(ctx)
    wanted = wanted_uids(ctx, command.set, uid=command.uid)
    items = command.items
    if items.reads_body or items.sets_seen:
        return _fetch_bodies(ctx, command, wanted)
    batch = DIGEST_BATCH if items.needs_digest else INDEX_BATCH
    if len(wanted) > batch:
        return _fetch_batches(ctx, command, wanted, batch)
    return _done(command, expunged=_answer(ctx, view, store, items, wanted))


async def _fetch_batches(ctx: Context, command: Fetch, wanted: UidSet, batch: int) -> Done:
    return _done(command, expunged=await _answer_all(ctx, command.items, wanted, batch))


async def _fetch_bodies(ctx: Context, command: Fetch, wanted: UidSet) -> Done:
    view, store = selected(ctx)
    expunged = False
    while wanted:
        now, wanted = wanted.split(BODY_BATCH)
        newly_seen = None
        if command.items.sets_seen and not view.read_only:
            newly_seen = await _set_seen(view, store, now)
        pieces, missing = _lay_out(ctx, view, store, command.items, now, flags_too=newly_seen)
        expunged |= missing
        await send_pieces(ctx, store, pieces)
    return _done(command, expunged=expunged)


async def send_flags(ctx: Context, items: FetchItems, wanted: UidSet) -> bool:
    """Tell the flags of messages, for STORE; return whether some are gone meanwhile."""
    return await _answer_all(ctx, items, wanted, INDEX_BATCH)


async def _answer_all(ctx: Context, items: FetchItems, wanted: UidSet, batch: int) -> bool:
    """Answer batch by batch; return whether some messages are gone meanwhile."""
    view, store = selected(ctx)
    expunged = False
    while wanted:
        now, wanted = wanted.split(batch)
        expunged |= _answer(ctx, view, store, items, now)
        if len(ctx.out) >= SEND_OCTETS:  # a batch of short answers is not worth a send by itself
            await ctx.flush()
    return expunged


def _answer(
    ctx: Context, view: View, store: AccountStore, items: FetchItems, wanted: UidSet
) -> bool:
    """Write the answers of one batch; return whether a message is gone meanwhile."""
    pieces, missing = _lay_out(ctx, view, store, items, wanted, flags_too=None)
    for piece in pieces:
        assert isinstance(piece, bytes), "an answer without bodies holds no slices"
        ctx.out.raw(piece)
    return missing


def _lay_out(
    ctx: Context,
    view: View,
    store: AccountStore,
    items: FetchItems,
    wanted: UidSet,
    *,
    flags_too: UidSet | None,
) -> tuple[list[bytes | BodySlice | BinarySlice], bool]:
    """Return the pieces of the answer, and whether a message is gone meanwhile."""
    digests: dict[int, bytes] = {}
    with store.reading() as reader:
        mailbox = selected_row(view, reader)
        view.tell_keywords(ctx.out, MailboxSource(reader, mailbox))
        segments = reader.segments(mailbox, wanted)
        if items.needs_digest:
            digests = reader.digests(cast("list[BodyId]", segment_bodies(segments, wanted)))
        keywords = reader.keyword_text(mailbox)
    pieces = render_fetch(
        items,
        view.numbers,
        wanted,
        segments,
        keywords=keywords,
        recent=None if ctx.session.rev2 else view.recent,
        digests=digests,
        flags_too=flags_too,
    )
    # Nothing can be missing when the client has been told everything there is.
    told_all = mailbox.highest_modseq == view.told and not view.expunged
    missing = not told_all and _lacks(segments, wanted)
    return pieces, missing


def _lacks(segments: Sequence[bytes], wanted: UidSet) -> bool:
    for segment in segments:
        wanted -= segment_uids(segment)
    return bool(wanted)


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
