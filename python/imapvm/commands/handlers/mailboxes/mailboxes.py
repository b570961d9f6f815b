"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, NAMESPACE (RFC 9051 sections 6.3.4 to 6.3.10)."""

from imapvm._core import Create, Delete, Namespace, Rename, Subscribe, Unsubscribe, mailbox_name
from imapvm.commands.context import AccountContext, Context
from imapvm.commands.handlers.mailboxes.names import (
    existing_name,
    mailbox_id,
    new_name,
    write_old_name,
)
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.filepool.store import AccountStore
from imapvm.model.names import DELIMITER, INBOX, OTHER_USERS, SHARED
from imapvm.model.rights import Rights


async def create(ctx: AccountContext, command: Create) -> Done:
    """Create a mailbox, and missing ones above it (RFC 9051 section 6.3.4, RFC 6154 section 3)."""
    name = new_name(ctx, command.mailbox)
    store, local = ctx.locate(name)
    mailbox = await store.create_mailbox(
        local, special_use=command.special_use, origin=ctx.session.origin
    )
    _note_own_names(ctx, store, name)
    write_old_name(ctx, command.mailbox, name)
    return Done(f"MAILBOXID ({mailbox_id(mailbox)})") if ctx.session.offers("OBJECTID") else DONE


async def delete(ctx: AccountContext, command: Delete) -> Done:
    """Delete a mailbox with its messages; its children stay (RFC 9051 section 6.3.5)."""
    store, local = ctx.locate(command.mailbox)
    with store.reading() as reader:
        local = existing_name(ctx, reader, local)
        name = store.prefix + local
        if name == INBOX:
            raise Refusal("cannot delete INBOX", code="CANNOT")
        mailbox = reader.find(local, Rights.DELETE_MAILBOX)
        if mailbox is None:
            if store.is_own and reader.has_children(name):
                raise Refusal("cannot delete a name with children", code="HASCHILDREN")
            raise Refusal("mailbox does not exist", code="NONEXISTENT")
    await store.delete_mailbox(mailbox.id, origin=ctx.session.origin)
    _note_own_names(ctx, store, name)
    if ctx.is_selected(store, mailbox.id):
        ctx.session.view = None
        ctx.write_closed("selected mailbox was deleted")
    write_old_name(ctx, command.mailbox, name, r"\NonExistent")
    return DONE


async def rename(ctx: AccountContext, command: Rename) -> Done:
    """Rename a mailbox and its children; of INBOX, move the messages (RFC 9051 section 6.3.6)."""
    store, old_local = ctx.locate(command.mailbox.removesuffix(DELIMITER))
    with store.reading() as reader:
        old_local = existing_name(ctx, reader, old_local)
    old, new = store.prefix + old_local, new_name(ctx, command.to)
    other, new_local = ctx.locate(new)
    if other.account.id != store.account.id:
        raise Refusal("cannot rename a mailbox to another account", code="CANNOT")
    await store.rename_mailbox(old_local, new_local, origin=ctx.session.origin)
    _note_own_names(ctx, store, old, new)
    if old == command.mailbox:
        write_old_name(ctx, command.to, new, old=command.mailbox)
    else:
        write_old_name(ctx, command.mailbox, new)
    return DONE


async def subscribe(ctx: AccountContext, command: Subscribe) -> Done:
    """Subscribe a name, with or without a mailbox (RFC 9051 section 6.3.7)."""
    await ctx.store.subscribe(new_name(ctx, command.mailbox), origin=ctx.session.origin)
    return DONE


async def unsubscribe(ctx: AccountContext, command: Unsubscribe) -> Done:
    """Unsubscribe a name; OK also if it was not subscribed (RFC 9051 section 6.3.8)."""
    with ctx.store.reading() as reader:
        name = existing_name(ctx, reader, command.mailbox.removesuffix(DELIMITER))
    await ctx.store.unsubscribe(name, origin=ctx.session.origin)
    return DONE


def _note_own_names(ctx: AccountContext, store: AccountStore, *names: str) -> None:
    """Record names that this client has changed, of which NOTIFY does not notify it.

    Names of its own account are in the log with the session.
    """
    watch = ctx.session.watch
    if watch is not None and not store.is_own and watch.stale:
        watch.own_names.update(names)


def namespace(ctx: AccountContext, _command: Namespace) -> Done:
    """Write the namespaces."""
    write_namespaces(ctx)
    return DONE


def write_namespaces(ctx: Context) -> None:
    """Write the namespaces: personal, of other users, and shared if there is one (RFC 2342).

    With translations of the prefixes in the language of the client (RFC 5255 section 3.4).
    """
    shared = ctx.services.pool.accounts.shared_account()
    prefixes = ("", OTHER_USERS, SHARED if shared is not None else None)
    words = []
    for one in prefixes:
        translation = b""
        if one is not None and (translated := ctx.session.language.namespaces.get(one)):
            text = mailbox_name(translated, utf8=False).strip(b'"')
            translation = b' "TRANSLATION" ("%b")' % text
        words.append(b"NIL" if one is None else b'(("%b" "/"%b))' % (one.encode(), translation))
    ctx.out.untagged(b"NAMESPACE " + b" ".join(words))
