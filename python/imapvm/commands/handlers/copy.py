"""COPY, MOVE and their UID forms (RFC 9051 sections 6.4.7, 6.4.8 and 6.4.9)."""

from imapvm._core import Copy, Move, UidSet
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.mailboxes.names import can_read, existing_name
from imapvm.commands.handlers.transfer import copy_between_accounts, move_between_accounts
from imapvm.commands.outcome import DONE, Done, Refusal, messages_expunged
from imapvm.filepool.store import BATCH_MESSAGES, AccountStore, CopyResult
from imapvm.model.ids import MailboxId


async def copy(ctx: SelectedContext, command: Copy) -> Done:
    """Copy all messages or none, with flags, dates and identity (RFC 9051 section 6.4.7).

    None, therefore, if a message number belongs to an expunged message. Expunged UIDs are skipped.
    """
    store, target = _target(ctx, command.mailbox)
    uids = ctx.uids(command.set, uid=command.uid)
    if not uids:
        return DONE
    ctx.message_limit.check_saved(uids)
    if len(uids) > BATCH_MESSAGES:
        ctx.start_progress(command.tag, len(uids))
    whole = not command.uid
    if ctx.store.is_own and store.is_own:
        copied = await store.copy(
            ctx.view.mailbox, uids, target, whole=whole, on_progress=ctx.report
        )
    else:
        copied = await copy_between_accounts(ctx, uids, store, target, whole=whole)
    ctx.note_own_messages(store, target, copied.copies, copied.modseq)
    return Done(_copyuid(ctx, copied) if store.is_own or can_read(store, target) else None)


async def move(ctx: SelectedContext, command: Move) -> Done:
    """Move messages, BATCH_MESSAGES in one transaction: each is moved or unaffected.

    COPYUID is in an untagged OK, before the EXPUNGE responses that dispatch writes (RFC 6851
    section 4.3). NO reports messages that were expunged before, or an error; the others have been
    moved, as section 3.3 allows.
    """
    ctx.require_writable()
    store, target = _target(ctx, command.mailbox)
    uids = ctx.uids(command.set, uid=command.uid)
    if not uids:
        return DONE
    uids, limited = ctx.message_limit.newest(uids)
    if len(uids) > BATCH_MESSAGES:
        ctx.start_progress(command.tag, len(uids))
    if ctx.store.is_own and store.is_own:
        expunged = await _move_own(ctx, uids, target)
    else:
        moved = await move_between_accounts(ctx, uids, store, target)
        ctx.note_own_messages(store, target, moved.copies, moved.modseq)
        code = _copyuid(ctx, moved) if can_read(store, target) else None
        if code is not None:
            ctx.out.condition("OK", "messages moved", code)
        expunged = len(moved.source) < len(uids)
    if expunged and not command.uid:
        ctx.write_limited(limited)
        raise messages_expunged()
    return DONE if limited is None else Done(limited)


async def _move_own(ctx: SelectedContext, uids: UidSet, target: MailboxId) -> bool:
    """Move messages within the user's own account; return True if some had been expunged."""
    remaining, moved = uids, None
    try:
        while remaining:
            ctx.report(len(uids) - len(remaining))
            batch, remaining = remaining.split(BATCH_MESSAGES)
            now = await ctx.store.move(ctx.view.mailbox, batch, target)
            ctx.note_own_messages(ctx.store, target, now.copies, now.modseq)
            moved = now if moved is None else _joined(moved, now)
    finally:
        code = None if moved is None else _copyuid(ctx, moved)
        if code is not None:
            ctx.out.condition("OK", "messages moved", code)
    return moved is not None and len(moved.source) < len(uids)


def _joined(before: CopyResult, now: CopyResult) -> CopyResult:
    """Return the result of two batches; UIDs of both sets ascend from batch to batch."""
    return CopyResult(
        now.uid_validity, before.source | now.source, before.copies | now.copies, now.modseq
    )


def _target(ctx: SelectedContext, name: str) -> tuple[AccountStore, MailboxId]:
    store, name = ctx.locate(name)
    with store.reading() as reader:
        mailbox = reader.target_id(existing_name(ctx, reader, name))
    if mailbox is None:
        raise Refusal("mailbox does not exist", code="TRYCREATE")
    return store, mailbox


def _copyuid(ctx: SelectedContext, copied: CopyResult) -> str | None:
    """Return the COPYUID code (RFC 4315 section 3); None if nothing was copied."""
    if not copied.source or not ctx.session.offers("UIDPLUS"):
        return None
    source, copies = copied.source.to_imap().decode(), copied.copies.to_imap().decode()
    return f"COPYUID {copied.uid_validity} {source} {copies}"
