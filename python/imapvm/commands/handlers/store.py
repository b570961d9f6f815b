"""STORE, EXPUNGE and their UID forms (RFC 9051 sections 6.4.3, 6.4.6 and 6.4.9, RFC 7162)."""

from typing import Final

from imapvm._core import Expunge, FetchItems, Store, UidSet, uids_with_flags
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.fetch.stream import fetch_stream
from imapvm.commands.outcome import DONE, Done, messages_expunged
from imapvm.filepool.store import BATCH_MESSAGES
from imapvm.model.flags import SystemFlag
from imapvm.model.rights import Rights

STORE_BATCH: Final = 8 * BATCH_MESSAGES
"""Messages whose flags are changed in one transaction, about 5 ms. A longer STORE is applied in
several: RFC 9051 section 6.4.6 does not ask for more."""
UID_AND_MODSEQ: Final = FetchItems.uid_and_modseq()
SCAN_BATCH: Final = 8 * BATCH_MESSAGES
r"""Messages that are searched for \Deleted in one transaction, about a millisecond."""


async def store(ctx: SelectedContext, command: Store) -> Done:
    r"""Change flags; unless SILENT, write FETCH FLAGS of all messages in the set.

    Of unchanged messages too: a client that sent `+FLAGS (\Seen)` gets the flags of each message
    that it named (RFC 9051 section 6.4.6). With CONDSTORE, the messages that changed get their
    MODSEQ in any case.

    Messages that were changed after UNCHANGEDSINCE are left unchanged; their flags are sent, and
    they are listed in MODIFIED (RFC 7162 section 3.1.3).

    If the user has not the right to change all of the flags, .SILENT has no effect: the client does
    not know which were changed (RFC 4314 section 4).
    """
    view = ctx.view
    ctx.require_writable()
    uids = ctx.uids(command.set, uid=command.uid)
    if command.unchanged_since is not None:
        ctx.enable_condstore()
    if not uids:
        return DONE
    uids, limited = ctx.message_limit.newest(uids)
    remaining, changed, refused, silent = uids, UidSet(), UidSet(), command.silent
    if len(uids) > STORE_BATCH:
        ctx.start_progress(command.tag, len(uids))
    while remaining:
        if ctx.progress is not None:
            ctx.report(len(uids) - len(remaining))
        await ctx.read_changes()  # separates changes by others from those of this batch
        batch, remaining = remaining.split(STORE_BATCH)
        stored = await ctx.store.store_flags(
            view.mailbox,
            batch,
            mode=command.mode,
            flags=command.flags,
            keywords=command.keywords,
            unchanged_since=command.unchanged_since,
        )
        changed |= stored.changed
        refused |= stored.refused
        silent = silent and not stored.is_partial
        view.note_own_change(stored.changed, stored.modseq, stored.since)
    code = _modified(ctx, refused, uid=command.uid)
    condstore = ctx.session.condstore
    if silent and condstore:
        passed = changed if command.unchanged_since is None else uids - refused
        await fetch_stream(ctx, UID_AND_MODSEQ, passed)
    wanted = refused if silent else uids
    if wanted:
        items = FetchItems.flags(uid=command.uid or condstore, modseq=condstore)
        expunged = await fetch_stream(ctx, items, wanted)
        if expunged and not command.uid and not silent:  # RFC 2180 section 4.2
            ctx.write_limited(limited)
            raise messages_expunged(code)
    if code is not None:
        ctx.write_limited(limited)
        return Done(code)
    return DONE if limited is None else Done(limited)


def _modified(ctx: SelectedContext, refused: UidSet, *, uid: bool) -> str | None:
    """Return the MODIFIED code (RFC 7162 section 3.1.3); None if all messages passed the test."""
    if not refused:
        return None
    numbers = refused if uid else ctx.view.numbers.numbers(refused)
    return f"MODIFIED {numbers.to_imap().decode()}"


async def expunge(ctx: SelectedContext, command: Expunge) -> Done:
    r"""Remove messages with \Deleted, among those that the client has counted.

    A message that was delivered and marked by another session since the last update stays: this
    client has never seen it. Dispatch writes the EXPUNGE responses.
    """
    ctx.require_writable()
    counted = ctx.view.numbers.uids
    uids = counted if command.uids is None else ctx.uids(command.uids, uid=True)
    if len(uids) > SCAN_BATCH:
        ctx.start_progress(command.tag, len(uids))
    if command.uids is not None and ctx.message_limit.messages:
        uids, limited = ctx.message_limit.newest(await _deleted(ctx, uids))
        await expunge_deleted(ctx, uids)
        return DONE if limited is None else Done(limited)
    await expunge_deleted(ctx, uids)
    return DONE


async def _deleted(ctx: SelectedContext, uids: UidSet) -> UidSet:
    r"""Return those of some messages that have \Deleted."""
    deleted = UidSet()
    while uids:
        batch, uids = uids.split(SCAN_BATCH)
        with ctx.store.reading() as reader:
            segments = reader.segments(ctx.mailbox_row(reader), batch)
        deleted |= uids_with_flags(segments, SystemFlag.DELETED, SystemFlag.DELETED) & batch
        await ctx.yield_control()
    return deleted


async def expunge_deleted(ctx: SelectedContext, uids: UidSet) -> None:
    r"""Remove those of some messages that have \Deleted, in batches (RFC 9051 section 6.4.3)."""
    mailbox = ctx.view.mailbox
    deleted, goal = UidSet(), len(uids)
    while uids:
        await ctx.yield_control()
        ctx.report(goal - len(uids) - len(deleted))
        batch, uids = uids.split(SCAN_BATCH)
        with ctx.store.reading() as reader:
            row = reader.mailbox_by_id(mailbox)
            if row is not None:
                reader.require(mailbox, Rights.EXPUNGE)
            if row is None or not row.deleted:
                break
            segments = reader.segments(row, batch)
        deleted |= uids_with_flags(segments, SystemFlag.DELETED, SystemFlag.DELETED) & batch
        while len(deleted) >= BATCH_MESSAGES:
            now, deleted = deleted.split(BATCH_MESSAGES)
            await ctx.store.expunge(mailbox, now)
            ctx.report(goal - len(uids) - len(deleted))
    if deleted:
        await ctx.store.expunge(mailbox, deleted)
