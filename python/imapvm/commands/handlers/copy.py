"""COPY, MOVE and their UID forms (RFC 9051 sections 6.4.7, 6.4.8 and 6.4.9)."""

from imapvm._core import Copy, Move
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.mailboxes.names import existing_name
from imapvm.commands.outcome import DONE, Done, Refusal, messages_expunged
from imapvm.filepool.store import BATCH_MESSAGES, CopyResult
from imapvm.model.ids import MailboxId


async def copy(ctx: SelectedContext, command: Copy) -> Done:
    """Copy all messages or none, with flags, dates and identity (RFC 9051 section 6.4.7).

    None, therefore, if a message number belongs to an expunged message. Expunged UIDs are skipped.
    """
    target = _target(ctx, command.mailbox)
    uids = ctx.uids(command.set, uid=command.uid)
    if not uids:
        return DONE
    ctx.start_progress(command.tag, len(uids))
    copied = await ctx.store.copy(
        ctx.view.mailbox, uids, target, whole=not command.uid, on_progress=ctx.report
    )
    return Done(_copyuid(copied))


async def move(ctx: SelectedContext, command: Move) -> Done:
    """Move messages, BATCH_MESSAGES in one transaction: each is moved or unaffected.

    COPYUID is in an untagged OK, before the EXPUNGE responses that dispatch writes (RFC 6851
    section 4.3). NO reports messages that were expunged before, or an error; the others have been
    moved, as section 3.3 allows.
    """
    ctx.require_writable()
    target = _target(ctx, command.mailbox)
    uids = ctx.uids(command.set, uid=command.uid)
    if not uids:
        return DONE
    remaining, moved = uids, None
    ctx.start_progress(command.tag, len(uids))
    try:
        while remaining:
            ctx.report(len(uids) - len(remaining))
            batch, remaining = remaining.split(BATCH_MESSAGES)
            now = await ctx.store.move(ctx.view.mailbox, batch, target)
            moved = now if moved is None else _joined(moved, now)
    finally:
        code = None if moved is None else _copyuid(moved)
        if code is not None:
            ctx.out.condition("OK", "messages moved", code)
    if not command.uid and moved is not None and len(moved.source) < len(uids):
        raise messages_expunged()
    return DONE


def _joined(before: CopyResult, now: CopyResult) -> CopyResult:
    """Return the result of two batches; UIDs of both sets ascend from batch to batch."""
    return CopyResult(
        now.uid_validity, before.source | now.source, before.copies | now.copies, now.modseq
    )


def _target(ctx: SelectedContext, name: str) -> MailboxId:
    with ctx.store.reading() as reader:
        mailbox = reader.mailbox_id(existing_name(ctx, reader, name))
    if mailbox is None:
        raise Refusal("mailbox does not exist", code="TRYCREATE")
    return mailbox


def _copyuid(copied: CopyResult) -> str | None:
    """Return the COPYUID code (RFC 4315 section 3); None if nothing was copied."""
    if not copied.source:
        return None
    source, copies = copied.source.to_imap().decode(), copied.copies.to_imap().decode()
    return f"COPYUID {copied.uid_validity} {source} {copies}"
