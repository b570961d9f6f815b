"""COPY, MOVE and their UID forms (RFC 9051 sections 6.4.7, 6.4.8 and 6.4.9)."""

from imapvm._core import Copy, Move
from imapvm.commands.context import Context, Done, Refusal
from imapvm.commands.selected import gone, selected, wanted_uids, writable
from imapvm.filepool.store import AccountStore, CopyResult
from imapvm.model.ids import MailboxId


async def copy(ctx: Context, command: Copy) -> Done:
    """Copy all of them or none; flags, dates and identity stay (RFC 9051 section 6.4.7).

    So none, where a message number stands for a message that has been expunged; a UID that is
    gone was never asked for.
    """
    view, store = selected(ctx)
    target = _target(store, command.mailbox)
    wanted = wanted_uids(ctx, command.set, uid=command.uid)
    if not wanted:
        return Done("no such messages")
    copied = await store.copy(view.mailbox, wanted, target, whole=not command.uid)
    return Done("copied", code=_copyuid(copied))


async def move(ctx: Context, command: Move) -> Done:
    """Move in one transaction.

    COPYUID comes in an untagged OK, before the EXPUNGEs that the place which announces everything
    will write (RFC 6851 section 4.3). NO tells of messages that were gone; the others have been
    moved all the same, as section 3.3 lets the server.
    """
    view, store = selected(ctx)
    writable(view)
    target = _target(store, command.mailbox)
    wanted = wanted_uids(ctx, command.set, uid=command.uid)
    if not wanted:
        return Done("no such messages")
    moved = await store.move(view.mailbox, wanted, target)
    code = _copyuid(moved)
    if code is not None:
        ctx.out.condition("OK", "moved", code)
    if not command.uid and len(moved.source) < len(wanted):
        raise gone()
    return Done("moved")


def _target(store: AccountStore, name: str) -> MailboxId:
    with store.reading() as reader:
        mailbox = reader.mailbox(name)
    if mailbox is None:
        raise Refusal("there is no such mailbox", code="TRYCREATE")
    return mailbox.id


def _copyuid(copied: CopyResult) -> str | None:
    """COPYUID of RFC 4315 section 3; None where nothing was copied."""
    if not copied.source:
        return None
    source, copies = copied.source.to_imap().decode(), copied.copies.to_imap().decode()
    return f"COPYUID {copied.uid_validity} {source} {copies}"
