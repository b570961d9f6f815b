"""APPEND and MULTIAPPEND (RFC 9051 section 6.3.12, RFC 3502), REPLACE (RFC 8508)."""

from imapvm._core import Append, Replace
from imapvm.commands.context import AccountContext, SelectedContext
from imapvm.commands.handlers.append.upload import Upload
from imapvm.commands.handlers.mailboxes.names import existing_name
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.filepool.store import AppendResult
from imapvm.model.ids import MailboxId


async def append(ctx: AccountContext, command: Append) -> Done:
    """Receive the messages, then append them in one transaction."""
    upload = Upload(ctx)
    try:
        mailbox = _target(ctx, command.mailbox)
        await upload.receive()
        appended = await ctx.store.append(
            mailbox, upload.messages, claim=_claims_recent(ctx, mailbox)
        )
        upload.keep()
        _note_claim(ctx, mailbox, appended)
        return Done(_appenduid(appended))
    except BaseException:
        ctx.reader.refuse_literal()  # the rest of this command is not the next one
        raise
    finally:
        await upload.discard()


async def replace(ctx: SelectedContext, command: Replace) -> Done:
    """Receive the message, then append it and expunge another one in one transaction.

    APPENDUID is in an untagged OK, before the EXPUNGE that dispatch writes (RFC 8508 section 4.3).
    """
    upload = Upload(ctx)
    try:
        ctx.require_writable()
        replaced = ctx.uids(command.set, uid=command.uid).first
        if replaced is None:
            raise Refusal("message does not exist", code="NONEXISTENT")
        mailbox = _target(ctx, command.mailbox)
        await upload.receive()
        (message,) = upload.messages
        appended = await ctx.store.replace(
            ctx.view.mailbox, replaced, mailbox, message, claim=_claims_recent(ctx, mailbox)
        )
        upload.keep()
        _note_claim(ctx, mailbox, appended)
        ctx.out.condition("OK", "replacement appended", _appenduid(appended))
        return DONE
    except BaseException:
        ctx.reader.refuse_literal()
        raise
    finally:
        await upload.discard()


def _target(ctx: AccountContext, name: str) -> MailboxId:
    """Return the mailbox to append to.

    Called before the first literal is accepted: a client that waits for "+" sends nothing if this
    fails (RFC 9051 section 6.3.12).
    """
    with ctx.store.reading() as reader:
        mailbox = reader.mailbox_id(existing_name(ctx, reader, name))
    if mailbox is None:
        raise Refusal("mailbox does not exist", code="TRYCREATE")
    return mailbox


def _claims_recent(ctx: AccountContext, mailbox: MailboxId) -> bool:
    view = ctx.session.view
    return view is not None and view.mailbox == mailbox and ctx.session.claims_recent


def _note_claim(ctx: AccountContext, mailbox: MailboxId, appended: AppendResult) -> None:
    view = ctx.session.view
    if view is not None and appended.uids.last is not None and _claims_recent(ctx, mailbox):
        view.note_claim(appended.recent_from, appended.uids.last)


def _appenduid(appended: AppendResult) -> str:
    return f"APPENDUID {appended.uid_validity} {appended.uids.to_imap().decode()}"
