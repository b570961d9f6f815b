"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, NAMESPACE (RFC 9051 sections 6.3.4 to 6.3.10)."""

from imapvm._core import Create, Delete, Namespace, Rename, Subscribe, Unsubscribe
from imapvm.commands.context import Context
from imapvm.commands.handlers.names import mailbox_id, new_name, tell_normalized
from imapvm.commands.outcome import Done, Refusal
from imapvm.filepool.store import AccountStore
from imapvm.model.names import DELIMITER, INBOX, canonical_name, is_below


async def create(ctx: Context, command: Create) -> Done:
    """Make a mailbox, and those above it (RFC 9051 section 6.3.4, RFC 6154 section 3)."""
    name = new_name(command.mailbox)
    mailbox = await _store(ctx).create_mailbox(name, special_use=command.special_use)
    tell_normalized(ctx, command.mailbox, name)
    return Done("created", f"MAILBOXID ({mailbox_id(mailbox)})")


async def delete(ctx: Context, command: Delete) -> Done:
    """Remove a mailbox with all its messages; its children stay (RFC 9051 section 6.3.5)."""
    name = canonical_name(command.mailbox)
    if name == INBOX:
        raise Refusal("INBOX cannot be deleted", code="CANNOT")
    store = _store(ctx)
    with store.reading() as reader:
        mailbox = reader.mailbox(name)
        if mailbox is None:
            if any(is_below(other.name, name) for other in reader.mailboxes()):
                raise Refusal("this is only the name above other mailboxes", code="HASCHILDREN")
            raise Refusal("there is no such mailbox", code="NONEXISTENT")
    await store.delete_mailbox(mailbox.id)
    view = ctx.session.view
    if view is not None and view.mailbox == mailbox.id:
        ctx.session.view = None
        ctx.out.condition("OK", "it was the selected mailbox", "CLOSED")
    tell_normalized(ctx, command.mailbox, name, rb"\NonExistent")
    return Done("deleted")


async def rename(ctx: Context, command: Rename) -> Done:
    """Rename a mailbox and what is below it; INBOX gives its messages away (section 6.3.6)."""
    old, new = canonical_name(command.mailbox.removesuffix(DELIMITER)), new_name(command.to)
    await _store(ctx).rename_mailbox(old, new)
    if old == command.mailbox:
        tell_normalized(ctx, command.to, new, old=command.mailbox)
    else:
        tell_normalized(ctx, command.mailbox, new)
    return Done("renamed")


async def subscribe(ctx: Context, command: Subscribe) -> Done:
    """Remember a name, whether there is such a mailbox or not (RFC 9051 section 6.3.7)."""
    await _store(ctx).subscribe(new_name(command.mailbox))
    return Done("subscribed")


async def unsubscribe(ctx: Context, command: Unsubscribe) -> Done:
    """Forget a name; OK too where it was not remembered (RFC 9051 section 6.3.8)."""
    await _store(ctx).unsubscribe(canonical_name(command.mailbox.removesuffix(DELIMITER)))
    return Done("unsubscribed")


def _store(ctx: Context) -> AccountStore:
    store = ctx.session.store
    assert store is not None
    return store


def namespace(ctx: Context, _command: Namespace) -> Done:
    """One personal namespace; no other users', no shared ones."""
    ctx.out.untagged(f'NAMESPACE (("" "{DELIMITER}")) NIL NIL'.encode())
    return Done("that is all")
