"""APPEND and MULTIAPPEND (RFC 9051 section 6.3.12, RFC 3502), REPLACE (RFC 8508)."""

from imapvm._core import Append, Replace, UidSet
from imapvm.commands.context import AccountContext, SelectedContext
from imapvm.commands.handlers.append.upload import Upload
from imapvm.commands.handlers.mailboxes.names import can_read, existing_name
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.filepool.errors import MessageGoneError
from imapvm.filepool.store import AccountStore, AppendResult, NewMessage
from imapvm.model.ids import MailboxId
from imapvm.model.rights import Rights


async def append(ctx: AccountContext, command: Append) -> Done:
    """Receive the messages, then append them in one transaction."""
    store, name = ctx.locate(command.mailbox)
    upload = Upload(ctx, store)
    try:
        mailbox = _target(ctx, store, name)
        await upload.receive()
        claim = _claims_recent(ctx, store, mailbox)
        appended = await store.append(mailbox, upload.messages, claim=claim)
        upload.keep()
        ctx.note_own_messages(store, mailbox, appended.uids, appended.modseq)
        if claim:
            _note_claim(ctx, appended)
        return Done(_appenduid(ctx, store, mailbox, appended))
    except BaseException:
        ctx.reader.refuse_literal()  # the rest of this command is not the next one
        raise
    finally:
        await upload.discard()


async def replace(ctx: SelectedContext, command: Replace) -> Done:
    """Receive the message, then append it and expunge another one in one transaction.

    APPENDUID is in an untagged OK, before the EXPUNGE that dispatch writes (RFC 8508 section 4.3).
    """
    store, name = ctx.locate(command.mailbox)
    upload = Upload(ctx, store, replaces=True)
    try:
        ctx.require_writable()
        replaced = ctx.uids(command.set, uid=command.uid).first
        if replaced is None:
            raise Refusal("message does not exist", code="NONEXISTENT")
        mailbox = _target(ctx, store, name)
        await upload.receive()
        (message,) = upload.messages
        claim = _claims_recent(ctx, store, mailbox)
        if store.account.id == ctx.store.account.id:
            appended = await ctx.store.replace(
                ctx.view.mailbox, replaced, mailbox, message, claim=claim
            )
        else:
            appended = await _replace_between_accounts(ctx, replaced, store, mailbox, message)
        upload.keep()
        ctx.note_own_messages(store, mailbox, appended.uids, appended.modseq)
        if claim:
            _note_claim(ctx, appended)
        code = _appenduid(ctx, store, mailbox, appended)
        if code is not None:
            ctx.out.condition("OK", "replacement appended", code)
        return DONE
    except BaseException:
        ctx.reader.refuse_literal()
        raise
    finally:
        await upload.discard()


async def _replace_between_accounts(
    ctx: SelectedContext, replaced: int, store: AccountStore, to: MailboxId, message: NewMessage
) -> AppendResult:
    """Append, then expunge: if the server stops in between, both messages exist."""
    with ctx.store.reading() as reader:
        row = ctx.mailbox_row(reader)
        reader.require(ctx.view.mailbox, Rights.DELETE_MESSAGES | Rights.EXPUNGE)
        uids = UidSet([(replaced, replaced)])
        if not reader.uid_map(row).uids & uids:
            raise MessageGoneError("the message has been expunged")
    appended = await store.append(to, [message])
    await ctx.store.remove(ctx.view.mailbox, uids)
    return appended


def _target(ctx: AccountContext, store: AccountStore, name: str) -> MailboxId:
    """Return the mailbox to append to.

    Called before the first literal is accepted: a client that waits for "+" sends nothing if this
    fails (RFC 9051 section 6.3.12).
    """
    with store.reading() as reader:
        mailbox = reader.target_id(existing_name(ctx, reader, name))
    if mailbox is None:
        raise Refusal("mailbox does not exist", code="TRYCREATE")
    return mailbox


def _claims_recent(ctx: AccountContext, store: AccountStore, mailbox: MailboxId) -> bool:
    return store.is_own and ctx.is_selected(store, mailbox) and ctx.session.claims_recent


def _note_claim(ctx: AccountContext, appended: AppendResult) -> None:
    view = ctx.session.view
    if view is not None and appended.uids.last is not None:
        view.note_claim(appended.recent_from, appended.uids.last)


def _appenduid(
    ctx: AccountContext, store: AccountStore, mailbox: MailboxId, appended: AppendResult
) -> str | None:
    """Return the APPENDUID code; None if the user cannot read the mailbox, or without UIDPLUS."""
    if not ctx.session.offers("UIDPLUS"):
        return None
    if not store.is_own and not can_read(store, mailbox):
        return None
    return f"APPENDUID {appended.uid_validity} {appended.uids.to_imap().decode()}"
