"""FETCH and UID FETCH (RFC 9051 sections 6.4.5 and 6.4.9, RFC 7162 sections 3.1.4 and 3.2.6).

PARTIAL (RFC 9394 section 3.3) selects the messages first; CHANGEDSINCE then applies to those of its
window (section 3.4).
"""

from typing import Final

from imapvm._core import STORE_ADD, Fetch, FetchItems, UidSet, uids_with_flags
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.fetch.changes_since import changes_since, write_vanished
from imapvm.commands.handlers.fetch.stream import fetch_stream
from imapvm.commands.outcome import DONE, Done, Refusal, messages_expunged
from imapvm.filepool.errors import PermissionDeniedError, StoreUnavailableError
from imapvm.filepool.store import StoreResult
from imapvm.model.flags import SystemFlag
from imapvm.model.limits import FETCH_FIELD_LISTS_MAX

BATCH: Final = 128
r"""Messages whose \Seen is set in one commit, or whose encodings are read in one step, before
their responses are written."""


async def fetch(ctx: SelectedContext, command: Fetch) -> Done:
    """Write FETCH responses.

    A message number that belongs to an expunged message gets NO (RFC 2180 section 4.1.2, RFC 5530);
    an expunged UID is no error (RFC 9051 section 6.4.9).
    """
    if command.vanished and not ctx.session.qresync:
        raise Refusal("cannot FETCH VANISHED before ENABLE QRESYNC", bad=True)
    if command.items.field_lists > FETCH_FIELD_LISTS_MAX:
        raise Refusal(
            f"more than {FETCH_FIELD_LISTS_MAX} lists of header fields in one FETCH", code="LIMIT"
        )
    items, uids = command.items, ctx.uids(command.set, uid=command.uid)
    if command.window is not None:
        one, other = command.window
        ctx.message_limit.check(abs(one - other) + 1)
        uids = uids.window(one, other)
    if command.changed_since is not None:
        items = items.with_modseq()
    if items.needs_modseq:
        ctx.enable_condstore()
    if command.changed_since is not None:
        changes = await changes_since(ctx, command.changed_since)
        if command.vanished:
            wanted = changes.uids(command.set, saved=ctx.view.saved)
            await write_vanished(ctx, changes.vanished & wanted)
        uids &= changes.changed
    uids, limited = ctx.message_limit.newest(uids)
    sets_seen = items.sets_seen and not ctx.view.read_only
    if sets_seen or items.needs_decoding:
        expunged = await _fetch_in_batches(ctx, items, uids, sets_seen=sets_seen)
    else:
        expunged = await fetch_stream(ctx, items, uids)
    if expunged and not command.uid:
        ctx.write_limited(limited)
        raise messages_expunged()
    return DONE if limited is None else Done(limited)


async def _fetch_in_batches(
    ctx: SelectedContext, items: FetchItems, uids: UidSet, *, sets_seen: bool
) -> bool:
    r"""Write the responses of messages whose parts can be decoded; return True if some are gone.

    Raises:
        Refusal: UNKNOWN-CTE (RFC 3516 section 4.3), after the responses of the others.
    """
    view = ctx.view
    expunged = undecodable = False
    while uids:
        batch, uids = uids.split(BATCH)
        if items.needs_decoding:
            with ctx.store.reading() as reader:
                unknown, unchecked = reader.undecodable(ctx.mailbox_row(reader), items, batch)
            batch -= unknown | unchecked
            uids |= unchecked
            undecodable |= bool(unknown)
        stored = await _set_seen(ctx, batch) if sets_seen else None
        if stored is None:
            expunged |= await fetch_stream(ctx, items, batch)
        else:
            # RFC 7162 section 3.2.4 asks for UID and MODSEQ.
            more = items.with_uid().with_modseq() if ctx.session.condstore else items
            expunged |= await fetch_stream(ctx, more, batch, flags_too=stored.changed)
            # Not before: after an error the flags are still due.
            view.note_own_change(stored.changed, stored.modseq, stored.since)
    if undecodable:
        raise Refusal("unknown content transfer encoding", code="UNKNOWN-CTE")
    return expunged


async def _set_seen(ctx: SelectedContext, uids: UidSet) -> StoreResult | None:
    r"""Set \Seen of the messages that do not have it; their responses include FLAGS.

    If the disk is full, or the user has not the right `s` (RFC 4314 section 4), \Seen is not set;
    the messages are sent all the same.

    Returns:
        None if there are none, or if \Seen is not set.
    """
    view, store = ctx.view, ctx.store
    with store.reading() as reader:
        segments = reader.segments(ctx.mailbox_row(reader), uids)
    unseen = uids_with_flags(segments, SystemFlag.SEEN, 0) & uids
    if not unseen:
        return None
    try:
        return await store.store_flags(
            view.mailbox, unseen, mode=STORE_ADD, flags=SystemFlag.SEEN, keywords=()
        )
    except (StoreUnavailableError, PermissionDeniedError):
        return None
